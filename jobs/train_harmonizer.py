"""Scores -> the harmonizer's networks. Run `python jobs/train_harmonizer.py --help`."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from samuel.harmonizing.beat_training import VoiceLesson
    from samuel.harmonizing.examples import SongLesson

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


class Part(StrEnum):
    chords = "chords"
    beats = "beats"


@app.command()
def main(
    scores: Annotated[
        list[Path],
        typer.Option(help="A folder, .tar.xz or .zip of .mid, .mxl, .musicxml files; may be repeated."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run: lessons, checkpoints and weights.")],
    part: Annotated[
        list[Part] | None, typer.Option(help="Train only this network; may be repeated. Default: both.")
    ] = None,
    songs: Annotated[
        list[Path] | None,
        typer.Option(help="Stems folder of jobs/render_songs.py: its voices teach, too."),
    ] = None,
    hold_out: Annotated[
        Path | None,
        typer.Option(help="A file of song ids, one a line: they teach nothing, whatever side they are on."),
    ] = None,
    begin: Annotated[
        Path | None,
        typer.Option(
            help="Weights of the one --part to begin with, such as those of another run. Default: drawn."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each network.")] = 3000,
    seed: Annotated[int, typer.Option(help="Draws initial weights and singings.")] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Train the networks that find chords and beats for a voice, from symbols and rendered voices, on a CPU.

    The scores are read once (minutes), then sung anew at every step: late, gliding, with notes dropped and
    missed. For chords each is sung three times before (minutes, too), on beats as they are found. Songs on the
    sides of validation and test teach nothing, nor do those of which --songs has pairs there; those of validation
    judge while it trains. A score's side depends on its collection's and its own name alone.
    Stopped, the same command goes on from the last checkpoints.

        python jobs/train_harmonizer.py --scores pop909.tar.xz --scores openewld.tar.xz --songs stems --out harmonizer
    """
    import torch

    from samuel.harmonizing.chord_training import LEARNING_RATE
    from samuel.harmonizing.examples import split
    from samuel.harmonizing.training import HarmonizerTrainingConfig, save_weights, train

    if begin and len(part or Part) != 1:
        raise typer.BadParameter("weights are of one network: say which by --part", param_hint="--begin")
    if begin and not begin.is_file():
        raise typer.BadParameter(f"expected weights, but {begin} does not exist", param_hint="--begin")
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    lessons = [lesson for source in scores for lesson in _read(source, out)]
    folders = songs or []
    learn, judged = split(lessons, also=_held_out(folders, hold_out))
    if not learn:
        raise typer.BadParameter(
            f"expected scores to learn from, got {len(lessons)}, all held out", param_hint="--scores"
        )
    voices = _voices(folders, out / "voices")
    beats = HarmonizerTrainingConfig(steps=steps, seed=seed)
    configs = {Part.beats: beats, Part.chords: replace(beats, learning_rate=LEARNING_RATE)}
    for name in part or list(Part):
        torch.manual_seed(seed)
        if name is Part.chords:
            network, loss, judge = _chords(learn, judged, voices, begin, seed)
        else:
            network, loss, judge = _beats(learn, voices, begin)
        try:
            trained = train(
                network, loss, partial(_in_words, judge), out / f"{name}.pt", configs[name], typer.echo
            )
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--out") from error
        save_weights(trained, out / f"{name}.safetensors")
        typer.echo(f"weights in {(out / name).resolve()}.safetensors")


Training = tuple[Any, Callable[..., Any], Callable[[Any], Any]]
"""A network, its loss, and what judges it while it trains."""


def _chords(
    learn: "list[SongLesson]",
    judged: "list[SongLesson]",
    voices: "list[VoiceLesson]",
    begin: Path | None,
    seed: int,
) -> Training:
    from samuel.harmonizing.chord_training import WIDTH, chord_loss, hear_all, judge_chords
    from samuel.harmonizing.found_beats import hear_voice
    from samuel.harmonizing.network import ChordNetwork
    from samuel.harmonizing.training import load_weights

    rendered = _teaching(voices, learn)
    typer.echo(
        f"chords: {len(learn)} songs and {len(rendered)} voices to learn from, {len(judged)} songs held out; their beats are "
        "found first"
    )
    heard = [
        hear_voice(one.features, one.seconds, one.sheet) for one in rendered if one.sheet and one.sheet.key
    ]
    return (
        load_weights(ChordNetwork, begin) if begin else ChordNetwork(WIDTH, loops=True),
        partial(chord_loss, lessons=learn, heard=hear_all(learn, seed), rendered=heard),
        partial(judge_chords, songs=judged),
    )


def _beats(learn: "list[SongLesson]", voices: "list[VoiceLesson]", begin: Path | None) -> Training:
    from samuel.harmonizing.beat_network import BeatNetwork
    from samuel.harmonizing.beat_training import beat_loss, judge_beats
    from samuel.harmonizing.examples import side_of
    from samuel.harmonizing.training import load_weights

    rendered = _teaching(voices, learn)
    held_out = [voice for voice in voices if side_of(voice.song_id) == "validation"]
    typer.echo(
        f"beats: {len(learn)} songs and {len(rendered)} voices to learn from, {len(held_out)} voices held out"
    )
    return (
        load_weights(BeatNetwork, begin) if begin else BeatNetwork(),
        partial(beat_loss, lessons=learn, rendered=rendered),
        partial(judge_beats, voices=held_out),
    )


def _teaching(voices: "list[VoiceLesson]", learn: "list[SongLesson]") -> "list[VoiceLesson]":
    """The voices of songs to learn from."""
    from samuel.rendering.library import score_name

    teachers = {score_name(lesson.song_id) for lesson in learn}
    return [voice for voice in voices if score_name(voice.song_id) in teachers]


def _in_words(judge: Callable[[Any], Any], network: Any) -> str:
    return str(judge(network))


def _held_out(folders: list[Path], named: Path | None) -> set[str]:
    """Names of songs that teach nothing although their side is training."""
    from samuel.harmonizing.voices import held_out
    from samuel.rendering.library import score_name

    try:
        ids = named.read_text().split() if named else []
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"cannot read {named}: {error}", param_hint="--hold-out") from error
    return {score_name(song) for song in ids} | {
        score_name(song) for folder in folders for song in held_out(folder)
    }


def _voices(folders: list[Path], kept: Path) -> list["VoiceLesson"]:
    """Features of the voices of rendered songs, kept in OUT as they are measured."""
    from rich.console import Console

    from jobs.runtime.progress import show_progress
    from samuel.harmonizing.voices import find_voices, measure_voice

    found = [song for folder in folders for song in find_voices(folder)]
    voices = []
    with show_progress("voices", len(found), Console()) as count:
        for song in found:
            voices.append(measure_voice(song, kept))
            count(voices[-1].seconds)
    return voices


def _read(source: Path, out: Path) -> list["SongLesson"]:
    """The lessons of a collection, kept in OUT as they are read: a stopped run goes on where it was."""
    from rich.console import Console

    from jobs.runtime.progress import show_progress
    from samuel.harmonizing.examples import SongLesson, append_lesson, read_lessons
    from samuel.lead_sheet.notation.written import ScoreError
    from samuel.rendering.library import collection_name, find_scores, read_score, unpack

    name = collection_name(source)
    kept, done = out / f"{name}.jsonl", out / f"{name}.done"
    known = {lesson.song_id for lesson in read_lessons(kept)} if kept.is_file() else set()
    if not done.is_file():
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = find_scores(unpack(source, Path(folder)), name=name)
            except ValueError as error:
                raise typer.BadParameter(str(error), param_hint="--scores") from error
            missing = [file for file in found if file.song_id not in known]
            with show_progress(f"read {name}", len(missing), Console()) as count:
                for file in missing:
                    try:
                        append_lesson(SongLesson.of(file.song_id, read_score(file.path)), kept)
                    except ScoreError as error:
                        typer.echo(f"left out: {file.song_id}: {error}", err=True)
                    count()
        done.touch()
    return read_lessons(kept)


if __name__ == "__main__":
    app()
