"""Demucs models from a local folder: both formats, bags, joining, and files that are not to be trusted."""

import os
from pathlib import Path

import pytest
import torch
from demucs.apply import apply_model

from samuel.config import SAMPLE_RATE
from samuel.separation import load_separator
from samuel.separation.demucs import WeightsUnavailable
from tests.separation.tiny_demucs import package, save_model, save_package, save_safetensors, tiny_model


@pytest.fixture(scope="module")
def song() -> torch.Tensor:
    noise = torch.randn(2, 2 * SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    return 0.1 * noise / noise.abs().max()


def test_segments_are_joined_as_demucs_joins_them(tmp_path: Path, song: torch.Tensor) -> None:
    model = tiny_model()
    separator = load_separator(str(save_model(tmp_path, model)))
    mono = song.mean(0)
    mean, scale = mono.mean(), mono.std()
    stems = apply_model(model, ((song - mean) / scale)[None], shifts=0, overlap=0.25)
    expected = stems[0, model.sources.index("vocals")] * scale
    received = separator(song)
    assert received.shape == song.shape
    # Demucs shows its last, shorter segment some of the song before it; here it sees silence after it.
    same = 5 * int(0.75 * 0.5 * SAMPLE_RATE)
    torch.testing.assert_close(received[:, :same], expected[:, :same], rtol=1e-3, atol=1e-6)
    assert torch.equal(received, separator(song))


def test_both_formats_give_the_same_model(tmp_path: Path, song: torch.Tensor) -> None:
    model = tiny_model()
    pickled = load_separator(str(save_model(tmp_path / "a", model)))
    safe = load_separator(str(save_safetensors(tmp_path / "b", model)))
    assert torch.equal(pickled(song), safe(song))
    assert safe.identity.startswith("demucs:tiny@")
    assert len(safe.identity.split("@")[1]) == 12


def test_a_bag_weighs_its_models(tmp_path: Path, song: torch.Tensor) -> None:
    """One model alone, and a bag that gives the other one no say in the vocals."""
    first, second = tiny_model(), tiny_model(channels=16)
    alone = load_separator(str(save_model(tmp_path / "alone", first)))
    folder = save_model(save_model(tmp_path / "bag", first, "aaaa"), second, "bbbb")
    yaml = folder / "both.yaml"
    yaml.write_text("models: ['aaaa', 'bbbb']\nweights: [[1., 1., 1., 1.], [1., 1., 1., 0.]]\n")
    bag = load_separator(str(folder))
    torch.testing.assert_close(bag(song), alone(song), rtol=1e-4, atol=1e-6)
    yaml.write_text("models: ['aaaa', 'bbbb']\n")
    even = load_separator(str(yaml))
    assert even.identity != bag.identity
    assert not torch.allclose(even(song), alone(song), rtol=1e-2)


def test_short_songs(tmp_path: Path) -> None:
    separator = load_separator(str(save_model(tmp_path, tiny_model())))
    for samples in (1, 1000):
        assert separator(torch.rand(2, samples)).shape == (2, samples)


class Harmful:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("harm-done",)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = save_package(tmp_path / "model", package(tiny_model()) | {"training_args": Harmful()})
    with pytest.raises(ValueError, match="holds more than a plain Demucs model"):
        load_separator(str(folder))
    assert not (tmp_path / "harm-done").exists()


def test_a_safetensors_file_that_names_another_class_is_refused(tmp_path: Path) -> None:
    folder = save_safetensors(tmp_path, tiny_model(), klass="os.system")
    with pytest.raises(ValueError, match=r"its class is 'os.system'"):
        load_separator(str(folder))


def test_a_damaged_file_is_noticed(tmp_path: Path) -> None:
    (file,) = save_model(tmp_path, tiny_model()).iterdir()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match="is damaged"):
        load_separator(str(file))


def test_models_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it has no vocals"):
        load_separator(str(save_model(tmp_path / "a", tiny_model(sources=["drums", "rest"]))))
    with pytest.raises(ValueError, match="expected a model for 44100 Hz"):
        load_separator(str(save_model(tmp_path / "b", tiny_model(samplerate=48_000))))


def test_folders_that_do_not_say_which_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found none"):
        load_separator(str(tmp_path))
    save_model(save_model(tmp_path, tiny_model(), "aaaa"), tiny_model(), "bbbb")
    with pytest.raises(ValueError, match=r"found aaaa-\w+.th, bbbb-\w+.th"):
        load_separator(str(tmp_path))
    (tmp_path / "bag.yaml").write_text("models: ['cccc']\n")
    with pytest.raises(WeightsUnavailable, match="lists the model cccc"):
        load_separator(str(tmp_path))
    with pytest.raises(WeightsUnavailable, match="expected a folder"):
        load_separator(str(tmp_path / "absent"))
