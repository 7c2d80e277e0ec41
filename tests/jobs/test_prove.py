"""The job as a user runs it: two short songs whose bands are known, and a network that has learnt nothing."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import torch

from samuel import audio
from samuel.arranging import SoundFontSynthesiser, play
from samuel.arranging.soundfont import SHIPPED
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.locks import Locks
from tests.evaluation import signals
from tests.generation.generators import write_checkpoint
from tests.jobs.command import run_command

SECONDS = 12.5


def run(*arguments: object) -> tuple[int, str]:
    from jobs.prove import main

    return run_command(main, *arguments)


def write_song(folder: Path, bpm: float, chords: str) -> None:
    """Stems, and what their band plays."""
    folder.mkdir(parents=True)
    sheet = Locks.parse(bpm=bpm, first_beat=0.3, key="A minor", chords=chords).apply(LeadSheet(), SECONDS)
    band = play(sheet, seconds=SECONDS, seed=1, soundfont=SoundFontSynthesiser(SHIPPED))
    audio.write(folder / "vocals.flac", signals.band(SECONDS))
    audio.write(folder / "other.flac", torch.from_numpy(band))
    (folder / "annotations.json").write_text(json.dumps(sheet.to_dict() | {"key": "A minor"}))


def test_songs_are_compared_and_a_rerun_makes_nothing_anew(local_ray: None, tmp_path: Path) -> None:
    songs, out = tmp_path / "songs", tmp_path / "proof"
    write_song(songs / "one", 110.0, "| Am | F | C | G |")
    write_song(songs / "other", 90.0, "| Dm | Am | E | Am |")
    arguments = ("--songs", songs, "--split", "all", "--out", out, "--seconds", 12, "--quality", "draft")
    arguments += (
        "--checkpoint",
        write_checkpoint(tmp_path / "checkpoint"),
        "--device",
        "cpu",
        "--workers",
        1,
    )

    code, output = run(*arguments)
    assert code == 0, output
    assert "# " in (out / "proof.md").read_text()
    assert pq.read_table(out / "proof.parquet").num_rows > 0
    assert (out / "proof.png").read_bytes().startswith(b"\x89PNG")
    written = {path: path.stat().st_mtime_ns for path in (out / "audio").rglob("*") if path.is_file()}
    assert written

    code, output = run(*arguments)
    assert code == 0, output
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_what_cannot_be_proven_is_one_line(tmp_path: Path) -> None:
    for wrong, words in (
        ((), "give --songs"),
        (("--songs", tmp_path, "--split", "half"), "expected --split"),
        (("--songs", tmp_path, "--judge", "me"), "expected --judge"),
    ):
        code, output = run("--out", tmp_path / "proof", *wrong)
        assert code == 2
        assert words in output
