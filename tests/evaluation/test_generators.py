"""Other systems' real classes, small and with random weights."""

from pathlib import Path

import pytest
import torch

from samuel.config import SAMPLE_RATE
from samuel.evaluation import generators
from samuel.evaluation.aesthetics import WeightsError
from samuel.evaluation.generators import Task, cross_fade, load_system, stereo
from tests.evaluation.tiny_systems import write_musicgen, write_musicgen_melody, write_stable_audio_open

SECONDS = 2.5


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def vocals() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 0.1 * torch.randn(2, round(SECONDS * SAMPLE_RATE), generator=generator)


def test_samuel_is_counted_with_its_codec(vocals: torch.Tensor) -> None:
    system = load_system("samuel")
    network = sum(one.numel() for one in system.generator.trained.model.parameters())  # type: ignore[attr-defined]
    assert network + 3_000_000 < system.parameters < network + 4_000_000
    assert system.generate(Task(vocals)).shape == vocals.shape


def test_musicgen_goes_on_from_what_it_made(
    tmp_path: Path, vocals: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_musicgen(tmp_path)
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
    write_musicgen_melody(tmp_path)
    system = load_system(f"musicgen-melody@{tmp_path}")
    made = system.generate(Task(vocals))
    assert made.shape == vocals.shape
    assert torch.equal(made, system.generate(Task(vocals)))


def test_stable_audio_open_makes_stereo_of_the_vocals_length(tmp_path: Path, vocals: torch.Tensor) -> None:
    write_stable_audio_open(tmp_path)
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
