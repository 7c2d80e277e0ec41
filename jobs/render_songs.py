"""Scores -> songs with true stems. Run `python jobs/render_songs.py --help`."""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


class RenderSong:
    """A Ray Data stage: one row in (song_id, score), one row out (song_id, seconds, error)."""

    def __init__(
        self, out: str, seed: int, min_seconds: float, max_seconds: float, soundfont: str | None
    ) -> None:
        from samuel.rendering.soundfont import SoundFontSynthesiser

        self.out = Path(out)
        self.seed = seed
        self.lengths = {"min_seconds": min_seconds, "max_seconds": max_seconds}
        self.synthesiser = SoundFontSynthesiser(soundfont)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        from samuel.rendering.library import read_score
        from samuel.rendering.song import render_song, write_song

        song_id = str(row["song_id"])
        try:
            song = render_song(
                read_score(Path(str(row["score"]))), song_id, self.synthesiser, seed=self.seed, **self.lengths
            )
            write_song(song, self.out / song_id)
        except Exception as error:  # a bad score becomes a row and never stops the run
            return {"song_id": song_id, "seconds": 0.0, "error": f"{type(error).__name__}: {error}"}
        return {"song_id": song_id, "seconds": song.annotations["seconds"], "error": ""}


@app.command()
def main(
    scores: Annotated[
        Path, typer.Option(help="A folder, .tar.xz or .zip of .mid, .mxl and .musicxml files.")
    ],
    out: Annotated[Path, typer.Option(help="Becomes a stems folder: one folder a song.")],
    limit: Annotated[
        int | None, typer.Option(help="Render only the first N (in an order shuffled by hash).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed sings and plays the same scores differently.")] = 0,
    min_seconds: Annotated[
        float, typer.Option(help="Short forms are repeated up to about this length.")
    ] = 60.0,
    max_seconds: Annotated[float, typer.Option(help="Songs end at the last bar before this.")] = 240.0,
    soundfont: Annotated[
        Path | None, typer.Option(help="Any .sf2 or .sf3. Default: TimGM6mb.sf2 of the package pretty_midi.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes at once. Default: one for each CPU.")] = None,
) -> None:
    """Render symbolic songs as full songs with **true stems**, to train and measure on.

    Each score (MIDI with a track named MELODY; a MusicXML lead sheet with chord symbols) becomes

        OUT/SONG/vocals.flac drums.flac bass.flac other.flac   44.1 kHz, stereo; their sum is the mix
        OUT/SONG/annotations.json                              beats, downbeats, chords, key, melody

    Singer, style, instruments, key, tempo and mix are drawn at random from the seed and the song's id.
    Songs that exist are skipped, so a stopped run goes on where it was. Scores that cannot be rendered
    are listed with their error in OUT/failures.jsonl.

        python jobs/render_songs.py --scores openewld.tar.xz --out stems --limit 20
        python jobs/build_popdb.py --help                      # takes the stems folder from here
    """
    from jobs.connect import connect  # before ray: it sets Ray's environment

    import ray  # isort: skip

    from samuel.rendering.library import collection_name, find_scores, unpack
    from samuel.rendering.song import ANNOTATIONS

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".scores-") as unpacked:  # in OUT: every node sees it
        try:
            found = find_scores(unpack(scores, Path(unpacked)), name=collection_name(scores))
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--scores") from error
        wanted = found[:limit]
        rows = [
            {"song_id": score.song_id, "score": str(score.path)}
            for score in wanted
            if not (out / score.song_id / ANNOTATIONS).is_file()
        ]
        typer.echo(f"{len(wanted)} scores, {len(wanted) - len(rows)} of them rendered before")
        if not rows:
            return
        cpus = connect().cpus
        songs = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            RenderSong,  # type: ignore[arg-type]
            fn_constructor_args=(
                str(out.resolve()),
                seed,
                min_seconds,
                max_seconds,
                str(soundfont.resolve()) if soundfont else None,
            ),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(len(rows), workers or cpus)),
        )
        done, seconds, failures = 0, 0.0, []
        for row in songs.iter_rows():
            done += 1
            seconds += row["seconds"]
            if row["error"]:
                failures.append({"song_id": row["song_id"], "error": row["error"]})
                typer.echo(f"failed: {row['song_id']}: {row['error']}", err=True)
    (out / "failures.jsonl").write_text("".join(json.dumps(failure) + "\n" for failure in failures))
    typer.echo(
        f"{done - len(failures)} songs rendered ({seconds / 3600:.2f} h of audio), {len(failures)} failed"
    )


if __name__ == "__main__":
    app()
