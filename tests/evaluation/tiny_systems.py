"""Other systems' real classes, small and with random weights, written in the hub's layout."""

from pathlib import Path
from typing import Any

import torch

LETTERS = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [
    (one, -2.0) for one in "▁abcdefghijklmnopqrstuvwxyz ,"
]


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


def save_musicgen(folder: Path, family: str, extractor: Any, **options: Any) -> None:
    """A model and its processor of transformers' classes whose names begin with `family`."""
    import transformers

    text, codec, decoder = musicgen_parts()
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        text_encoder=text.to_dict(),
        audio_encoder=codec.to_dict(),
        decoder=getattr(transformers, f"{family}DecoderConfig")(**decoder).to_dict(),
        **options,
    )
    model = finish(getattr(transformers, f"{family}ForConditionalGeneration")(config))
    model.save_pretrained(folder)
    getattr(transformers, f"{family}Processor")(extractor, tokenizer()).save_pretrained(folder)


def write_musicgen(folder: Path) -> None:
    from transformers import EncodecFeatureExtractor

    extractor = EncodecFeatureExtractor(feature_size=1, sampling_rate=32_000, padding_side="left")
    save_musicgen(folder, "Musicgen", extractor)


def write_musicgen_melody(folder: Path) -> None:
    from transformers import MusicgenMelodyFeatureExtractor

    save_musicgen(folder, "MusicgenMelody", MusicgenMelodyFeatureExtractor(), chroma_length=20)


def write_stable_audio_open(folder: Path) -> None:
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
        sample_size=1024, in_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=2,
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
    StableAudioPipeline(vae, text, projection, words, transformer, scheduler).save_pretrained(folder)
