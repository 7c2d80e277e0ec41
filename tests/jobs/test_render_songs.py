"""The job as a user runs it, on a small archive with one broken score."""

import json
import tarfile
from pathlib import Path

from samuel.arranging.soundfont import SHIPPED
from samuel.rendering.song import ANNOTATIONS, STEMS
from tests.jobs.command import run_command
from tests.rendering.scores import write_lead_sheet, write_midi


def run(*arguments: object) -> tuple[int, str]:
    from jobs.render_songs import main

    return run_command(main, *arguments)


def test_an_archive_becomes_a_stems_folder_and_a_rerun_skips_it(local_ray: None, tmp_path: Path) -> None:
    scores = tmp_path / "scores"
    scores.mkdir()
    write_midi(scores / "march.mid")
    write_lead_sheet(scores / "waltz.musicxml")
    (scores / "broken.mid").write_bytes(b"?")
    with tarfile.open(tmp_path / "tunes.tar.xz", "w:xz") as archive:
        archive.add(scores, arcname=".")
    out = tmp_path / "stems"
    arguments = ("--scores", tmp_path / "tunes.tar.xz", "--out", out, "--min-seconds", 5, "--max-seconds", 8)

    code, output = run(*arguments)
    assert code == 0
    assert "2 songs in" in output
    songs = sorted(path.name.rsplit("-", 1)[0] for path in out.iterdir() if path.is_dir())
    assert songs == ["tunes-march", "tunes-waltz"]
    for song in (path for path in out.iterdir() if path.is_dir()):
        assert {path.name for path in song.iterdir()} == {ANNOTATIONS, *(f"{name}.flac" for name in STEMS)}
    [failure] = [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]
    assert failure["song_id"].startswith("tunes-broken")
    assert "not readable as MIDI" in failure["error"]

    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")}
    code, output = run(*arguments)
    assert (code, "3 scores, 2 of them rendered before" in output) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")} == written


def test_a_soundfont_that_cannot_be_read_is_told_before_anything_is_made(tmp_path: Path) -> None:
    write_midi(tmp_path / "march.mid")
    (tmp_path / "text.sf3").write_text("no font" * 100)
    fonts = ("--soundfont", SHIPPED, "--soundfont", tmp_path / "text.sf3")
    code, output = run("--scores", tmp_path / "march.mid", "--out", tmp_path / "out", *fonts)
    assert code == 2
    assert "--soundfont" in output
    assert "text.sf3" in output
    assert not (tmp_path / "out").exists()


def test_a_missing_folder_is_explained(tmp_path: Path) -> None:
    code, output = run("--scores", tmp_path / "absent", "--out", tmp_path / "out")
    assert code == 2
    assert "does not exist" in output
