"""Songs -> the codec `mini`. Run `python jobs/train_codec.py --help`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from jobs.runtime.errors import user_errors

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def main(
    songs: Annotated[list[str], typer.Option(help="Stems folder or folder of audio files; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Folder of the run: features, checkpoint and the trained codec.")],
    steps: Annotated[
        int, typer.Option(help="Steps of the residual networks; 0 leaves the closed form.")
    ] = 2600,
    max_seconds: Annotated[float, typer.Option(help="Of a longer song, the middle part.")] = 90.0,
    seed: Annotated[int, typer.Option(help="Draws initial weights and batches.")] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    bass_of: Annotated[
        str | None,
        typer.Option(
            help="Leave this codec as it is (mini, a folder), and fit only what its decoder knows of the bass."
        ),
    ] = None,
) -> None:
    """Train the small codec on a CPU: measure the songs once, fit the closed form, train around it, fit the bass.

    Stopped, the same command goes on from the last checkpoint. `--codec OUT` then uses the result.

        python jobs/train_codec.py --songs stems --songs more-songs --out codec
        python jobs/train_codec.py --songs stems --out bass --bass-of mini
        python jobs/measure_codec.py --codec codec --songs held-out-songs
    """
    import torch

    from samuel.codec import load_codec
    from samuel.codec.bass_fitting import BassTraining, Lesson, fit_bass, lessons_in, save_bass
    from samuel.codec.corpus import prepare
    from samuel.codec.training import CodecTrainingConfig, train

    torch.set_num_threads(threads)
    with user_errors(Console()):
        features = out / "features"
        for catalogue in () if bass_of else songs:
            for song, error in prepare(catalogue, features, max_seconds):
                typer.echo(
                    f"left out: {song.source}: {error}" if error else f"measured {song.title}",
                    err=bool(error),
                )
        if not bass_of:
            train(features, out, replace(CodecTrainingConfig(), steps=steps, seed=seed), report=typer.echo)
        codec = load_codec(bass_of or out)
        lessons: list[Lesson] = []
        for catalogue in songs:
            for song, found in lessons_in(codec, catalogue, max_seconds):
                if isinstance(found, str):
                    typer.echo(f"left out: {song.source}: {found}", err=True)
                else:
                    lessons += found
        out.mkdir(parents=True, exist_ok=True)
        save_bass(out, fit_bass(lessons, replace(BassTraining(), seed=seed), report=typer.echo))
        typer.echo(f"{'bass' if bass_of else 'codec'} in {out.resolve()}")


if __name__ == "__main__":
    app()
