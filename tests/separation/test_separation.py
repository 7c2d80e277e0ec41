"""Choosing a separator, and what holds for the stems of all of them."""

from pathlib import Path

import pytest
import torch

from samuel.separation import Separator, licence_of, load_separator, split_stems
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


def test_auto_never_chooses_what_a_licence_may_forbid(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not even where the weights of Demucs are at hand: here the hub's download replaced by files that lie here."""
    folder = save_model(tmp_path, tiny_model())
    monkeypatch.setattr(demucs_models, "_hub_files", lambda name: demucs_models._local_files(folder))
    by_name = load_separator("htdemucs").identity
    assert by_name.startswith("demucs:tiny-")
    assert "for scientific purposes only" in licence_of(by_name)
    auto = load_separator("auto")
    assert (auto.name, auto.identity.split("@")[0], licence_of(auto.identity)) == (
        "spleeter",
        "spleeter:2stems",
        "MIT",
    )
