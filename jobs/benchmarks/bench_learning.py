"""Measure what a network learns in short runs on a POPDB, and write the table. One process, no Ray."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from jobs.benchmarks.page import Record, app_of, publish


def main(
    data: Annotated[str, typer.Option(help="A POPDB: a folder or s3://bucket/prefix.")],
    out: Annotated[Path, typer.Option(help="A folder for the runs and the table; the same again goes on.")],
    steps: Annotated[int, typer.Option(min=1, help="Of each run that is compared.")] = 500,
    steps_by_heart: Annotated[int, typer.Option(min=1, help="Of the run on eight pairs.")] = 1500,
    preset: Annotated[str, typer.Option(help="paper or tiny.")] = "paper",
    crop_frames: Annotated[
        int, typer.Option(min=1, max=1024, help="Frames of each pair that a step sees.")
    ] = 256,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="Of torch on a CPU.")] = 1,
    record: Record = False,
) -> None:
    """Does the network fit eight pairs, and does another reading of the paper or more noise help?

    \b
    python jobs/benchmarks/bench_learning.py --data popdb --out learning

    Writes OUT/learning.md: errors of x0 on held-out songs with the right vocals, another song's, and none, for
    the paper's two readings of its attention mix and for three strengths of noise on the vocals.
    """
    import torch
    from rich.console import Console

    from samuel.training.data import load_training_data
    from samuel.training.learning import run_all, table
    from samuel.training.presets import Preset, preset_named

    console = Console(soft_wrap=True, highlight=False)

    class Progress:
        def trained(self, step: int, total: int, values: dict[str, float]) -> None:
            if step % 50 == 0:
                console.print(f"step {step}: loss {values['loss']:.4f}")

        def validated(self, step: int, values: dict[str, float]) -> None:
            console.print(f"step {step}: validation {values['loss']:.4f}")

    torch.set_num_threads(threads)
    chosen = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    learned = []
    found = preset_named(preset)
    training = dataclasses.replace(
        found.training, crop_frames=crop_frames, validate_every=250, validation_items=60
    )
    short = Preset(found.model, training)
    for one in run_all(
        short, preset, load_training_data(data), str(out), steps, steps_by_heart, chosen, Progress()
    ):
        learned.append(one)
        console.print(f"done: {one.name}")
        (out / "learning.md").write_text(table(learned))
    publish(table(learned), record=record)


if __name__ == "__main__":
    app_of(main)()
