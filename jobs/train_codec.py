"""Songs -> the codec `mini`. Run `python jobs/train_codec.py --help`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

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
) -> None:
    """Train the small codec on a CPU: measure the songs once, fit the closed form, train around it.

    Stopped, the same command goes on from the last checkpoint. `--codec OUT` then uses the result.

        python jobs/train_codec.py --songs stems --songs more-songs --out codec
        python jobs/measure_codec.py --codec codec --songs held-out-songs
    """
    import torch

    from samuel.codec.corpus import prepare
    from samuel.codec.training import TrainingConfig, train

    torch.set_num_threads(threads)
    features = out / "features"
    for catalogue in songs:
        for song, error in prepare(catalogue, features, max_seconds):
            typer.echo(
                f"left out: {song.source}: {error}" if error else f"measured {song.title}", err=bool(error)
            )
    train(features, out, replace(TrainingConfig(), steps=steps, seed=seed), report=typer.echo)
    typer.echo(f"codec in {out.resolve()}")


if __name__ == "__main__":
    app()
