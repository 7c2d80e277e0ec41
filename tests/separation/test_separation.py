"""Choosing a separator, and what holds for the stems of all of them."""

from pathlib import Path

import pytest
import torch

from samuel.separation import Separator, load_separator, split_stems
from samuel.separation import demucs as demucs_models
from tests.separation.tiny_demucs import save_model, tiny_model


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's own client, told to stay off the network: what a machine without one sees."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", "no-such-cache")


def test_stems_add_up_to_the_song() -> None:
    separator = load_separator("spleeter")
    assert isinstance(separator, Separator)
    audio = torch.rand(2, 100_000, generator=torch.Generator().manual_seed(0)) - 0.5
    stems = split_stems(separator, audio)
    torch.testing.assert_close(stems.vocals + stems.accompaniment, audio, rtol=0, atol=1e-7)


def test_no_audio_is_refused() -> None:
    with pytest.raises(ValueError, match=r"samples > 0; received \(2, 0\)"):
        split_stems(load_separator("spleeter"), torch.zeros(2, 0))


@pytest.mark.usefixtures("no_hub")
def test_a_model_that_cannot_be_fetched_says_what_to_do() -> None:
    with pytest.raises(demucs_models.WeightsUnavailable, match=r"'htdemucs'.*path of a folder.*'spleeter'"):
        load_separator("htdemucs")


@pytest.mark.usefixtures("no_hub")
def test_auto_falls_back_to_what_is_installed_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert load_separator("auto").identity.startswith("spleeter:2stems@")
    assert "separator auto: spleeter, for the weights of the Demucs model 'htdemucs'" in caplog.text


def test_auto_prefers_demucs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hub's download replaced by files that lie here."""
    folder = save_model(tmp_path, tiny_model())
    monkeypatch.setattr(demucs_models, "_hub_files", lambda name: demucs_models._local_files(folder))
    assert load_separator("auto").identity.startswith("demucs:tiny-")
