"""The job with a lead sheet: what is given holds, is printed and written; what cannot be is one line."""

import inspect
from pathlib import Path

import pytest

from samuel import audio
from samuel.config import SAMPLE_RATE
from samuel.generation import GenerationConfig
from samuel.lead_sheet.files import read_lead_sheet
from tests.generation.generators import write_checkpoint
from tests.jobs.test_generate import run
from tests.vocals.test_vocals import voice

LOCKS = ("--bpm", "120", "--first-beat", "0", "--key", "C", "--chords", "| C | F |")


@pytest.fixture
def vocals(tmp_path: Path) -> Path:
    audio.write(tmp_path / "vocals.wav", voice(6.0))
    return tmp_path / "vocals.wav"


def test_what_is_given_is_printed_and_played(vocals: Path, tmp_path: Path) -> None:
    out, sheet = tmp_path / "band.wav", tmp_path / "sheet.json"
    code, output = run(
        vocals, "-o", out, *LOCKS, "--strength", 0, "--style", "rock", "--lead-sheet-out", sheet
    )
    assert code == 0, output
    assert "120 bpm, 4/4, C major, rock" in output
    assert "| C | F | C |" in output
    assert [chord.label for chord in read_lead_sheet(sheet).chords] == ["C:maj", "F:maj", "C:maj"]
    assert audio.decode(out).shape == (2, 6 * SAMPLE_RATE)
    again = tmp_path / "again.wav"
    code, output = run(vocals, "-o", again, "--lead-sheet", sheet, "--strength", 0)
    assert code == 0, output
    assert again.read_bytes() == out.read_bytes()


def test_strength_changes_the_band_and_no_lead_sheet_does_without(vocals: Path, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    given = (vocals, "--checkpoint", checkpoint, "--quality", "draft")
    bands = set()
    for number, options in enumerate((("--strength", 0.3), ("--strength", 0.9), ("--no-lead-sheet",))):
        code, output = run(*given, *options, "-o", tmp_path / f"{number}.wav")
        assert code == 0, output
        assert ("bpm" in output) == (number < 2)
        bands.add((tmp_path / f"{number}.wav").read_bytes())
    assert len(bands) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--chords", "| C | Foo |"), "bar 2: cannot read the chord 'Foo'"),
        (("--bpm", "1000"), "a tempo from 20 to 400 bpm"),
        (("--first-beat", "-1"), "the first beat at 0 s or later"),
        (("--metre", "4/5"), "a metre such as"),
        (("--key", "H"), "a key such as"),
        (("--energy", "2"), "energy from 0 to 1"),
        (("--style", "polka"), "bossa nova"),
        (("--parts", "kazoo"), "kazoo"),
        (("--lead-sheet", "nowhere.json"), "no such file"),
        (("--lead-sheet-out", "sheet.pdf"), "ends in .json"),
        (("--midi", "band.wav"), "ends in .mid"),
        (("--no-lead-sheet", "--bpm", "90"), "nothing to lock"),
        (("--soundfont", "nowhere.sf2", "--strength", "0"), "nowhere.sf2"),
        (("--strength", "0", "--keep", "{vocals}", "--region", "1:2"), "--strength 0"),
    ],
)
def test_wrong_arguments_are_one_clear_line(vocals: Path, arguments: tuple[str, ...], says: str) -> None:
    code, output = run(
        vocals, "-o", vocals.with_name("band.wav"), *(one.format(vocals=vocals) for one in arguments)
    )
    assert code == 2, output
    assert says in output
    assert "Traceback" not in output
    assert not vocals.with_name("band.wav").exists()


def test_the_commands_default_strength_is_the_librarys() -> None:
    from jobs.generate import main

    assert inspect.signature(main).parameters["strength"].default == GenerationConfig.strength
