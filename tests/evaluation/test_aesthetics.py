"""AudioBox-Aesthetics by Meta's package, with small random weights of the same class in its own checkpoint format."""

from pathlib import Path

import pytest
import torch

from samuel.config import SAMPLE_RATE
from samuel.evaluation.aesthetics import AXES, Aesthetics, WeightsError, fetch_weights
from tests.evaluation import signals

SMALL = {
    "encoder_layers": 2,
    "encoder_embed_dim": 32,
    "encoder_ffn_embed_dim": 32,
    "encoder_attention_heads": 2,
    "conv_feature_layers": "[(16,10,5)] + [(16,3,2)] * 4 + [(16,2,2)] * 2",
    "conv_pos": 16,
    "conv_pos_groups": 2,
}
LAYOUT = {
    "proj_num_layer": 1,
    "proj_ln": False,
    "proj_act_fn": "gelu",
    "proj_dropout": 0,
    "nth_layer": 3,
    "use_weighted_layer_sum": True,
    "precision": "32",
    "normalize_embed": True,
    "output_dim": 1,
}


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from audiobox_aesthetics.model import aes
    from audiobox_aesthetics.model.wavlm import WavLMConfig

    small = WavLMConfig({**vars(aes.DEFAULT_AUDIO_CFG), **SMALL})
    monkeypatch.setattr(aes, "DEFAULT_AUDIO_CFG", small)
    torch.manual_seed(0)
    target = {axis: {"mean": 5.0, "std": 1.0} for axis in AXES}
    model = aes.AesMultiOutput(**LAYOUT, target_transform=target)
    path = tmp_path / "checkpoint.pt"
    weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"state_dict": weights, "model_cfg": LAYOUT, "target_transform": target}, path)
    return path


def test_scores_are_those_of_the_package(checkpoint: Path) -> None:
    judge = Aesthetics(str(checkpoint))
    audio = signals.band(23.0)  # two windows and a third of one
    scores = judge(audio)
    (expected,) = judge.predictor.forward([{"path": audio, "sample_rate": SAMPLE_RATE}])
    assert tuple(scores) == AXES
    for axis in AXES:
        assert scores[axis] == pytest.approx(expected[axis], abs=1e-4)


def test_scores_do_not_depend_on_what_was_heard_before(checkpoint: Path) -> None:
    judge = Aesthetics(str(checkpoint))
    alone = judge(signals.band(11.0))
    judge(signals.band(5.0, transpose=3))
    assert judge(signals.band(11.0)) == alone
    assert judge(signals.band(5.0, transpose=3)) != alone


def test_weights_have_a_name_that_changes_with_them(checkpoint: Path) -> None:
    name = fetch_weights(str(checkpoint))
    content = torch.load(checkpoint, weights_only=True)
    content["target_transform"]["PQ"]["mean"] = 6.0
    torch.save(content, checkpoint)
    assert fetch_weights(str(checkpoint)) != name


def test_missing_weights_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match=r"no file at .*nowhere\.pt.*--aesthetics"):
        fetch_weights(str(tmp_path / "nowhere.pt"))
    (tmp_path / "broken.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(WeightsError, match=r"checkpoint\.pt as a local file"):
        Aesthetics(str(tmp_path / "broken.pt"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="facebook/audiobox-aesthetics"):
        fetch_weights("hub")
