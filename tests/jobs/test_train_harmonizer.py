"""The job as a user runs it, on two small scores, without rendered voices."""

import hashlib
import itertools
from pathlib import Path

from samuel.catalogue.songs import split_of
from samuel.harmonizing.beat_network import BeatNetwork
from samuel.harmonizing.network import ChordNetwork
from samuel.harmonizing.training import load_weights
from tests.jobs.command import run_command
from tests.rendering.scores import write_midi


def run(*arguments: object) -> tuple[int, str]:
    from jobs.train_harmonizer import main

    return run_command(main, *arguments)


def name_on(side: str) -> str:
    """A name of a MIDI file in `scores` whose song is on that side of the split."""
    for number in itertools.count():
        name = f"march-{number}.mid"
        digest = hashlib.sha256(name.encode()).hexdigest()
        if split_of(f"scores-march-{number}-{digest[:8]}") == side:
            return name
    raise AssertionError


def test_scores_become_weights_and_a_rerun_reads_nothing_anew(tmp_path: Path) -> None:
    scores = tmp_path / "scores"
    scores.mkdir()
    for side in ("train", "validation", "test"):
        write_midi(scores / name_on(side))
    (scores / "broken.mid").write_bytes(b"?")
    arguments = ["--scores", scores, "--out", tmp_path / "out", "--steps", 1]
    code, output = run(*arguments)
    assert code == 0, output
    assert "left out: scores-broken" in output
    assert "chords: 1 songs to learn from, 1 held out" in output
    load_weights(ChordNetwork, tmp_path / "out" / "chords.safetensors")
    load_weights(BeatNetwork, tmp_path / "out" / "beats.safetensors")
    (scores / name_on("train")).unlink()
    code, output = run(*arguments, "--part", "chords")
    assert code == 0
    assert "goes on from step 1" in output
    code, output = run(*arguments, "--part", "chords", "--seed", 1)
    assert code == 2
    assert "another training" in output


def test_scores_that_are_all_held_out_are_refused(tmp_path: Path) -> None:
    scores = tmp_path / "scores"
    scores.mkdir()
    write_midi(scores / name_on("test"))
    code, output = run("--scores", scores, "--out", tmp_path / "out", "--steps", 1)
    assert code == 2
    assert "expected scores to learn from, got 1, all held out" in output
