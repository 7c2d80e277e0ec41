"""The job as a user runs it: a folder of voices, one of them broken, and once more."""

import json
from pathlib import Path

import pytest

from samuel import audio
from samuel.lead_sheet.files import read_lead_sheet
from tests.jobs.command import run_command
from tests.vocals.test_vocals import voice


def run(*arguments: object) -> tuple[int, str]:
    from jobs.lead_sheets import main

    return run_command(main, *arguments)


def rows(out: Path) -> dict[str, dict]:
    lines = (out / "lead_sheets.jsonl").read_text().splitlines()
    return {row["recording"]: row for row in map(json.loads, lines)}


def test_a_folder_of_voices_becomes_lead_sheets_and_a_rerun_keeps_them(
    local_ray: None, tmp_path: Path
) -> None:
    voices, out = tmp_path / "voices", tmp_path / "sheets"
    (voices / "album").mkdir(parents=True)
    audio.write(voices / "album" / "one.wav", voice(6.0))
    audio.write(voices / "album" / "one.flac", voice(4.0))
    (voices / "broken.wav").write_bytes(b"?")
    options = ("--format", "json", "--format", "lab", "--variations", 2, "--bpm", 120, "--key", "D minor")
    code, output = run("--vocals", voices, "--out", out, *options)
    assert code == 0, output
    assert "failed broken.wav" in output
    assert "2 lead sheets in" in output
    found = rows(out)
    assert found["album/one.wav"]["bpm"] == 120
    assert found["album/one.wav"]["key"] == "D minor"
    assert found["album/one.wav"]["seconds"] == 6
    assert found["album/one.flac"]["seconds"] == 4
    assert found["broken.wav"]["error"]
    first, second = (read_lead_sheet(out / "album" / f"one.wav{number}.json") for number in ("", "-2"))
    assert first.beats == second.beats
    assert first.chords != second.chords
    assert [c.label for c in read_lead_sheet(out / "album" / "one.wav.lab").chords] == [
        c.label for c in first.chords
    ]

    written = {path: path.stat().st_mtime_ns for path in out.rglob("one*")}
    audio.write(voices / "broken.wav", voice(5.0))
    code, output = run("--vocals", voices, "--out", out, *options)
    assert (code, "3 recordings, 2 of them done before" in output) == (0, True), output
    assert {path: path.stat().st_mtime_ns for path in out.rglob("one*")} == written
    assert rows(out)["broken.wav"]["error"] == ""
    assert rows(out)["album/one.wav"] == found["album/one.wav"]
    code, output = run("--vocals", voices, "--out", out, "--bpm", 90)
    assert code == 2
    assert "begun with other settings" in output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--format", "docx"), "expected --format .json"),
        (("--bpm", 1000), "a tempo from 20 to 400 bpm"),
        (("--metre", "4/5"), "a metre such as"),
        (("--out", "{folder}/sheets"), "choose a folder beside"),
        (("--vocals", "{folder}-nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_is_said_before_anything_begins(tmp_path: Path, options, says: str) -> None:
    folder = tmp_path / "voices"
    folder.mkdir()
    audio.write(folder / "one.wav", voice(1.0))
    given = [str(one).format(folder=folder) for one in options]
    code, output = run("--vocals", folder, "--out", tmp_path / "sheets", *given)
    assert code == 2
    assert says in output
    assert not list(tmp_path.rglob("*.json"))
