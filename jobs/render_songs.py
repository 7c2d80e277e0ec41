"""Scores -> songs with true stems. Run `python jobs/render_songs.py --help`."""

import json
import tempfile
import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from jobs.runtime.errors import user_errors

if TYPE_CHECKING:
    from samuel.rendering.library import ScoreFile
    from samuel.rendering.renderer import Options

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


class MixFormat(StrEnum):
    flac = "flac"
    mp3 = "mp3"
    m4a = "m4a"
    opus = "opus"


class RenderSong:
    """What a worker of the pool does: a row with a score in, its report out. One worker holds the SoundFonts."""

    def __init__(self, options: dict[str, Any]) -> None:
        from samuel.rendering.renderer import Options, Renderer

        self.renderer = Renderer(Options(**options))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return asdict(self.renderer(str(row["song_id"]), Path(str(row["score"]))))


@app.command()
def main(
    scores: Annotated[
        Path, typer.Option(help="A folder, .tar.xz or .zip of .mid, .mxl, .musicxml files, or one.")
    ],
    out: Annotated[Path, typer.Option(help="Becomes a stems folder: one folder a song.")],
    limit: Annotated[
        int | None, typer.Option(help="Only the first N, in an order that hashes shuffle.")
    ] = None,
    only: Annotated[str, typer.Option(help="Only songs whose id contains this, such as daisy-bell.")] = "",
    seed: Annotated[int, typer.Option(help="Another seed sings and plays the same scores differently.")] = 0,
    min_seconds: Annotated[float, typer.Option(help="Shorter songs are repeated up to this length.")] = 60.0,
    max_seconds: Annotated[float, typer.Option(help="Songs end at the last bar before this.")] = 240.0,
    soundfont: Annotated[
        list[Path] | None,
        typer.Option(
            help="Any .sf2 or .sf3. Give it several times: each song is played with one, drawn by the seed and the song's "
            "id. Default: FluidR3Mono_GM.sf3, which comes with this package."
        ),
    ] = None,
    mixes: Annotated[Path | None, typer.Option(help="Also write the mixes, as files in this folder.")] = None,
    mix_format: Annotated[MixFormat, typer.Option(help="How the mixes are encoded.")] = MixFormat.flac,
    workers: Annotated[int | None, typer.Option(help="Processes at once. Default: one for each CPU.")] = None,
) -> None:
    """Render scores as full songs with **true stems**, to train and to measure on.

    Each score (MIDI with a track named MELODY or Vocals, or a MusicXML lead sheet with chord symbols) becomes

        OUT/SONG/vocals.flac  drums.flac  bass.flac  other.flac
        OUT/SONG/annotations.json   beats, downbeats, chords, key, melody

    at 44.1 kHz in stereo; the sum of the stems is the mix. Singer, style, instruments, SoundFont, key, tempo
    and balance are drawn at random from the seed and the song's id: the same command gives the same songs.

    Songs that exist are skipped, so a stopped run goes on where it was. Scores that cannot be rendered
    are listed with their errors in OUT/failures.jsonl.

        python jobs/render_songs.py --scores openewld.tar.xz --out stems --limit 20
        python jobs/render_songs.py --scores scores --out stems --soundfont one.sf2 --soundfont other.sf3
        python jobs/build_popdb.py --help       # takes the stems folder from here
    """
    from samuel.rendering.library import collection_name, find_scores, unpack
    from samuel.rendering.renderer import Options

    options = Options(
        out=out.resolve(),
        seed=seed,
        min_seconds=min_seconds,
        max_seconds=max_seconds,
        soundfonts=tuple(font.resolve() for font in soundfont or ()),
        mixes=mixes.resolve() if mixes else None,
        mix_format=mix_format.value,
    )
    _check(options, scores)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".scores-") as unpacked:  # in OUT: every node sees it
        try:
            found = find_scores(unpack(scores, Path(unpacked)), name=collection_name(scores))
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--scores") from error
        wanted = [score for score in found if only in score.song_id][:limit]
        missing = [score for score in wanted if not options.is_done(score.song_id)]
        typer.echo(f"{len(wanted)} scores, {len(wanted) - len(missing)} of them rendered before")
        if missing:
            render(missing, options, workers)


def _check(options: "Options", scores: Path) -> None:
    """Before anything is made. Raises typer.BadParameter for folders in one another, and for what is no SoundFont."""
    from samuel.rendering.renderer import load_soundfonts
    from samuel.storage.overwriting import refuse_overwriting, refuse_within

    try:
        refuse_overwriting({"the scores": [scores]}, {"--out": [options.out]})
        if options.mixes:
            refuse_within(options.mixes, {"the stems folder": [options.out]}, "--mixes")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        load_soundfonts(options.soundfonts)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--soundfont") from error


def render(scores: "list[ScoreFile]", options: "Options", workers: int | None) -> None:
    """Renders them in a pool of workers; writes failures.jsonl and tells what came of it."""
    from jobs.runtime.actor_pool import pool
    from jobs.runtime.cluster import connect
    from jobs.runtime.worker_pool import choose_workers

    rows = [{"song_id": score.song_id, "score": str(score.path.resolve())} for score in scores]
    began = time.monotonic()
    seconds, failures = 0.0, []
    with user_errors(Console(stderr=True)):
        chosen = choose_workers(connect(), "cpu", workers)
        for report in pool(rows, RenderSong, (asdict(options),), chosen, key="song_id"):
            seconds += report.get("seconds", 0.0)
            if report["error"]:
                failures.append({"song_id": report["song_id"], "error": report["error"]})
                typer.echo(f"failed: {report['song_id']}: {report['error']}", err=True)
    lines = (json.dumps(failure) + "\n" for failure in failures)
    (options.out / "failures.jsonl").write_text("".join(lines))
    wall = time.monotonic() - began
    typer.echo(
        f"{len(rows) - len(failures)} songs in {options.out}: {seconds / 3600:.2f} h of audio in {wall:.0f} s "
        f"({seconds / wall:.0f} x real time), {len(failures)} failed"
    )


if __name__ == "__main__":
    app()
