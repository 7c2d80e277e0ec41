"""The job as a user runs it, on two small scores, without rendered voices."""

import itertools
import tarfile
from pathlib import Path

import torch

from samuel.harmonizing.beat_network import BeatNetwork
from samuel.harmonizing.examples import side_of
from samuel.harmonizing.network import ChordNetwork
from samuel.harmonizing.training import load_weights, save_weights
from tests.jobs.command import run_command
from tests.rendering.scores import write_midi


def run(*arguments: object) -> tuple[int, str]:
    from jobs.train_harmonizer import main

    return run_command(main, *arguments)


def name_on(side: str) -> str:
    """A name of a MIDI file in `scores` whose song is on that side of the split."""
    for number in itertools.count():
        name = f"march-{number}.mid"
        if side_of(f"scores-march-{number}-01234567") == side:
            return name
    raise AssertionError


def write_scores(folder: Path, *sides: str) -> Path:
    """A folder with a song on each of these sides of the split."""
    folder.mkdir()
    for side in sides:
        write_midi(folder / name_on(side))
    return folder


def test_scores_become_weights_and_a_rerun_reads_nothing_anew(tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "scores", "train", "validation", "test")
    (scores / "broken.mid").write_bytes(b"?")
    arguments = ["--scores", scores, "--out", tmp_path / "out", "--steps", 1]
    code, output = run(*arguments)
    assert code == 0, output
    assert "left out: scores-broken" in output
    assert "chords: 1 songs and 0 voices to learn from, 1 songs held out" in output
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
    scores = write_scores(tmp_path / "scores", "test")
    code, output = run("--scores", scores, "--out", tmp_path / "out", "--steps", 1)
    assert code == 2
    assert "expected scores to learn from, got 1, all held out" in output


def test_a_song_is_on_one_side_wherever_it_lies(tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "scores", "train", "validation")
    with tarfile.open(tmp_path / "scores.tar.xz", "w:xz") as archive:
        archive.add(scores, arcname="scores/deeper")
    for number, source in enumerate((scores, tmp_path / "scores.tar.xz")):
        code, output = run(
            "--scores", source, "--out", tmp_path / f"{number}", "--steps", 1, "--part", "chords"
        )
        assert code == 0, output
        assert "chords: 1 songs and 0 voices to learn from, 1 songs held out" in output


def test_songs_that_are_named_teach_nothing(tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "scores", "train")
    (tmp_path / "held_out.txt").write_text(f"scores-{name_on('train').removesuffix('.mid')}-89abcdef\n")
    arguments = ["--scores", scores, "--out", tmp_path / "out", "--steps", 1]
    code, output = run(*arguments, "--hold-out", tmp_path / "held_out.txt")
    assert code == 2
    assert "got 1, all held out" in output
    code, output = run(*arguments, "--hold-out", tmp_path / "missing.txt")
    assert code == 2
    assert "cannot read" in output


def test_a_network_begins_with_the_weights_of_another(tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "scores", "train")
    torch.manual_seed(5)
    first = ChordNetwork()
    save_weights(first, tmp_path / "first.safetensors")
    arguments = ["--scores", scores, "--out", tmp_path / "out", "--steps", 1]
    arguments += ["--begin", tmp_path / "first.safetensors"]
    code, output = run(*arguments, "--part", "chords")
    assert code == 0, output
    second = load_weights(ChordNetwork, tmp_path / "out" / "chords.safetensors")
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert (one - other).abs().max() < 2e-3  # a step of the warm start, and half precision
    code, output = run(*arguments)
    assert code == 2
    assert "say which by --part" in output
    code, output = run(*arguments[:-1], tmp_path / "none.safetensors", "--part", "beats")
    assert code == 2
    assert "does not exist" in output
