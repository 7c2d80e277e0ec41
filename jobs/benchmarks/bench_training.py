"""Measure size, speed and memory of the network, and write the table. One process, no Ray."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer

from jobs.benchmarks.page import Out, Record, app_of, publish
from samuel.training.benchmark import Benchmarked, authors, measure, ours, table, training_memory
from samuel.training.presets import preset_named


def main(
    out: Out = None,
    record: Record = False,
    peer: Annotated[
        Path | None, typer.Option(help="The src folder of a checkout of the authors' code.")
    ] = None,
    preset: Annotated[str, typer.Option(help="paper or tiny.")] = "paper",
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    repetitions: Annotated[int, typer.Option(min=1, help="The best of so many counts.")] = 3,
    threads: Annotated[int, typer.Option(min=1, help="Of torch on a CPU.")] = 1,
    timed_steps: Annotated[
        int, typer.Option(min=1, help="Run at most so many steps of a sampler and scale; 800: run all.")
    ] = 50,
    memory_of: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Write a table: parameters, operations, forward, training step, memory, sampling.

    \b
    python jobs/benchmarks/bench_training.py --out benchmarks.md
    python jobs/benchmarks/bench_training.py --peer SAMUeL-GEN/src     # beside the authors' code

    With --peer each measurement of ours alternates with theirs, so that both see the same machine: compare
    the ratios; the seconds are of the machine and its load.
    """
    torch.set_num_threads(threads)
    chosen = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    try:
        wanted = preset_named(preset)
        if memory_of:
            candidate = authors(str(peer), chosen) if memory_of == "authors" else ours(wanted, chosen)
            print(training_memory(candidate, chosen))
            return
        # First: on Linux a new process begins with the peak of the one that starts it.
        memory = [peak_in_a_new_process(whose) for whose in (("ours", "authors") if peer else ("ours",))]
        candidates: list[Benchmarked] = [ours(wanted, chosen)]
        if peer:
            candidates.append(authors(str(peer), chosen))
    except ValueError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    measured = measure(candidates, chosen, repetitions, timed_steps)
    name = f"CPU, {threads} thread(s), float32"
    if chosen.type == "cuda":
        name = f"{torch.cuda.get_device_name(chosen)}, products in bfloat16"
    text = f"On {name}:\n\n"
    text += table([one.name for one in candidates], measured, memory, chosen)
    publish(text, out, record)


def peak_in_a_new_process(whose: str) -> int:
    """Bytes: memory once used stays with a process, so each candidate has its own. Raises ValueError."""
    command = [sys.executable, *sys.argv, "--memory-of", whose]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(done.stderr.strip())
    return int(done.stdout.split()[-1])


if __name__ == "__main__":
    app_of(main)()
