"""Recordings in folders: what becomes of one costs no other its band, and no reason is lost."""

from pathlib import Path
from typing import Any

import pytest

from samuel import audio
from samuel.config import SAMPLE_RATE
from samuel.generation import Direction, GenerationConfig
from samuel.generation.config import Mixdown
from samuel.generation.generator import Audio, Generator
from samuel.generation.producer import Producer
from samuel.generation.recordings import Outputs, recording_of, recordings_in
from samuel.storage import StorageError
from tests.generation.generators import generator
from tests.jobs.songs import song_audio


class Picky(Generator):
    """Ends with an error where a recording is of one second."""

    def _begun(self, vocals: Audio, *given: Any) -> Any:
        if vocals.shape[-1] == SAMPLE_RATE:
            raise ArithmeticError("no good number")
        return super()._begun(vocals, *given)


def write(folder: Path, *names: str, seconds: float = 0.5) -> None:
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        audio.write(folder / name, song_audio(seconds, seed))


def made(folder: Path, out: Path, **more: object) -> tuple[dict[str, str], list[Path]]:
    """Errors by recording's name, and the files that are there."""
    whole = generator()
    picky = Picky(whole.trained, whole.codec)
    producer = Producer(
        picky, GenerationConfig(steps=1), Mixdown(), direction=Direction(follow_voice_alone=True)
    )
    recordings, failures = recordings_in(str(folder), Outputs(str(out)), "wav", 2)
    reports = producer(recordings)
    return {Path(one.vocals).name: one.error for one in [*reports, *failures]}, sorted(out.glob("*.wav"))


def test_one_that_fails_costs_no_other_its_band(tmp_path: Path) -> None:
    write(tmp_path / "in", "a.wav", "b.wav")
    write(tmp_path / "in", "bad.wav", seconds=1.0)
    errors, files = made(tmp_path / "in", tmp_path / "out")
    assert errors == {"a.wav": "", "b.wav": "", "bad.wav": "ArithmeticError: no good number"}
    assert [file.name for file in files] == ["a-2.wav", "a.wav", "b-2.wav", "b.wav"]


def test_a_new_recording_under_an_old_name_is_made_anew_and_leaves_no_old_band(tmp_path: Path) -> None:
    write(tmp_path / "in", "a.wav", "b.wav")
    made(tmp_path / "in", tmp_path / "out")
    markers = {
        one.marker for one in recordings_in(str(tmp_path / "in"), Outputs(str(tmp_path / "out")), "wav", 2)[0]
    }
    assert all(Path(marker).exists() for marker in markers)
    write(tmp_path / "in", "b.wav", seconds=1.0)
    recordings, _ = recordings_in(str(tmp_path / "in"), Outputs(str(tmp_path / "out")), "wav", 2)
    assert [Path(one.marker).exists() for one in recordings] == [True, False]
    _, files = made(tmp_path / "in", tmp_path / "out")
    assert [file.name for file in files] == ["a-2.wav", "a.wav"]


def test_variations_of_one_are_not_written_over_another(tmp_path: Path) -> None:
    write(tmp_path / "in", "a.wav", "a-2.wav")
    recordings, failures = recordings_in(str(tmp_path / "in"), Outputs(str(tmp_path / "out")), "wav", 2)
    assert [Path(one.vocals).name for one in recordings] == ["a-2.wav"]
    assert [Path(one.vocals).name for one in failures] == ["a.wav"]
    assert "a-2.wav" in failures[0].error


def test_a_recording_behind_a_link_in_the_outputs_is_safe(tmp_path: Path) -> None:
    write(tmp_path / "in", "a.wav")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.wav").symlink_to(tmp_path / "in" / "a.wav")
    with pytest.raises(ValueError, match="written over the recording"):
        recordings_in(str(tmp_path / "in"), Outputs(str(tmp_path / "out")), "wav", 1)


def test_files_that_cannot_be_written_stop_the_run(tmp_path: Path) -> None:
    write(tmp_path / "in", "a.wav")
    (tmp_path / "file").write_text("no folder")
    whole = generator()
    producer = Producer(
        whole, GenerationConfig(steps=1), Mixdown(), direction=Direction(follow_voice_alone=True)
    )
    with pytest.raises(StorageError, match="cannot write"):
        producer([recording_of(str(tmp_path / "in" / "a.wav"), Outputs(str(tmp_path / "file" / "a.wav")))])
