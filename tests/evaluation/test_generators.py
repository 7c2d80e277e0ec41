"""Other systems' real classes with small random weights, in the hub's layout on disk."""

from pathlib import Path
from typing import Any

import pytest
import torch

from samuel.config import SAMPLE_RATE
from samuel.evaluation import generators
from samuel.evaluation.aesthetics import WeightsError
from samuel.evaluation.generators import Task, cross_fade, load_system, stereo

LETTERS = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [
    (one, -2.0) for one in "▁abcdefghijklmnopqrstuvwxyz ,"
]
SECONDS = 2.5


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def vocals() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 0.1 * torch.randn(2, round(SECONDS * SAMPLE_RATE), generator=generator)


def tokenizer() -> Any:
    from transformers import T5TokenizerFast

    return T5TokenizerFast(vocab=LETTERS, extra_ids=0)


def musicgen_parts() -> tuple[Any, Any, Any]:
    from transformers import EncodecConfig, T5Config

    text = T5Config(vocab_size=len(LETTERS), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    codec = EncodecConfig(
        sampling_rate=32_000, num_filters=4, num_residual_layers=1, upsampling_ratios=[8, 5, 4, 4], codebook_size=64,
        codebook_dim=16, hidden_size=16, num_lstm_layers=1, target_bandwidths=[2.2], norm_type="weight_norm",
    )  # fmt: skip
    decoder = {
        "vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 16,
        "num_codebooks": codec.num_quantizers, "pad_token_id": 64, "bos_token_id": 64,
    }  # fmt: skip
    return text, codec, decoder


def finish(model: Any) -> Any:
    """With codebooks that are not empty, and the token that begins a piece."""
    for layer in model.audio_encoder.quantizer.layers:
        layer.codebook.embed.normal_()
    for name in ("decoder_start_token_id", "pad_token_id", "bos_token_id"):
        setattr(model.generation_config, name, 64)
    return model


def test_samuel_is_counted_with_its_codec(vocals: torch.Tensor) -> None:
    system = load_system("samuel")
    network = sum(one.numel() for one in system.generator.trained.model.parameters())  # type: ignore[attr-defined]
    assert network + 3_000_000 < system.parameters < network + 4_000_000
    assert system.generate(Task(vocals)).shape == vocals.shape


def test_musicgen_goes_on_from_what_it_made(
    tmp_path: Path, vocals: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import (
        EncodecFeatureExtractor,
        MusicgenConfig,
        MusicgenDecoderConfig,
        MusicgenForConditionalGeneration,
        MusicgenProcessor,
    )

    text, codec, decoder = musicgen_parts()
    torch.manual_seed(0)
    config = MusicgenConfig(
        text_encoder=text.to_dict(),
        audio_encoder=codec.to_dict(),
        decoder=MusicgenDecoderConfig(**decoder).to_dict(),
    )
    finish(MusicgenForConditionalGeneration(config)).save_pretrained(tmp_path)
    extractor = EncodecFeatureExtractor(feature_size=1, sampling_rate=32_000, padding_side="left")
    MusicgenProcessor(extractor, tokenizer()).save_pretrained(tmp_path)

    monkeypatch.setattr(generators, "MUSICGEN_SECONDS", 1.5)
    monkeypatch.setattr(generators, "MUSICGEN_CONTEXT_SECONDS", 0.5)
    system = load_system(f"musicgen-small@{tmp_path}")
    made = system.generate(Task(vocals, "a band"))
    assert made.shape == vocals.shape
    assert made[:, -4410:].abs().max() > 0  # to the end
    assert torch.equal(made, system.generate(Task(vocals, "a band")))
    assert not torch.equal(made, system.generate(Task(vocals, "a band", seed=1)))
    assert system.parameters > 10_000


def test_musicgen_melody_hears_the_vocals(tmp_path: Path, vocals: torch.Tensor) -> None:
    from transformers import (
        MusicgenMelodyConfig,
        MusicgenMelodyDecoderConfig,
        MusicgenMelodyFeatureExtractor,
        MusicgenMelodyForConditionalGeneration,
        MusicgenMelodyProcessor,
    )

    text, codec, decoder = musicgen_parts()
    torch.manual_seed(0)
    config = MusicgenMelodyConfig(
        text_encoder=text.to_dict(),
        audio_encoder=codec.to_dict(),
        decoder=MusicgenMelodyDecoderConfig(**decoder).to_dict(),
        chroma_length=20,
    )
    finish(MusicgenMelodyForConditionalGeneration(config)).save_pretrained(tmp_path)
    MusicgenMelodyProcessor(MusicgenMelodyFeatureExtractor(), tokenizer()).save_pretrained(tmp_path)

    system = load_system(f"musicgen-melody@{tmp_path}")
    made = system.generate(Task(vocals))
    assert made.shape == vocals.shape
    assert torch.equal(made, system.generate(Task(vocals)))


def test_stable_audio_open_makes_stereo_of_the_vocals_length(tmp_path: Path, vocals: torch.Tensor) -> None:
    from diffusers import (
        AutoencoderOobleck,
        EDMDPMSolverMultistepScheduler,
        StableAudioDiTModel,
        StableAudioPipeline,
        StableAudioProjectionModel,
    )
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(0)
    vae = AutoencoderOobleck(
        encoder_hidden_size=4, downsampling_ratios=[4, 8, 8, 8], channel_multiples=[1, 1, 1, 1], decoder_channels=4,
        decoder_input_channels=4, sampling_rate=44_100,
    )  # fmt: skip
    transformer = StableAudioDiTModel(
        sample_size=64, in_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=2,
        num_key_value_attention_heads=1, out_channels=4, cross_attention_dim=16, time_proj_dim=8,
        global_states_input_dim=32, cross_attention_input_dim=16,
    )  # fmt: skip
    text = T5EncoderModel(
        T5Config(vocab_size=len(LETTERS), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    )
    projection = StableAudioProjectionModel(
        text_encoder_dim=16, conditioning_dim=16, min_value=0, max_value=512
    )
    scheduler = EDMDPMSolverMultistepScheduler(
        sigma_min=0.3, sigma_max=500, sigma_data=1.0, sigma_schedule="exponential", prediction_type="v_prediction",
        solver_order=2, final_sigmas_type="zero",
    )  # fmt: skip
    words = tokenizer()
    words.model_max_length = 16
    StableAudioPipeline(vae, text, projection, words, transformer, scheduler).save_pretrained(tmp_path)

    system = load_system(f"stable-audio-open@{tmp_path}")
    made = system.generate(Task(vocals))
    assert made.shape == vocals.shape
    assert made.abs().max() <= 1


def test_names_and_weights_that_are_not_there_are_clear(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="musicgen-small"):
        load_system("musicgen-gigantic")
    with pytest.raises(WeightsError, match="musicgen-small@FOLDER"):
        load_system(f"musicgen-small@{tmp_path / 'nowhere'}")


def test_mono_becomes_stereo_of_the_wanted_length() -> None:
    assert stereo(torch.full((1, 16_000), 2.0), 32_000, 30_000).shape == (2, 30_000)
    assert stereo(torch.ones(1, 16_000), 32_000, 22_050)[:, 100:-100].allclose(torch.tensor(1.0), atol=1e-2)


def test_cross_fades_keep_the_power_of_unlike_signals() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 1, 40_000, generator=generator)
    joined = cross_fade(first, second, 20_000)
    assert joined.shape == (1, 60_000)
    assert joined[:, 20_000:40_000].pow(2).mean() == pytest.approx(1, abs=0.05)
    assert torch.equal(joined[:, :20_000], first[:, :20_000])
