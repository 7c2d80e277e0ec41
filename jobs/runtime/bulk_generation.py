"""A folder of recordings into accompaniments with Ray Data: what `generate.py` runs for a folder."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from jobs.runtime.actor_pool import pool
from jobs.runtime.cluster import connect
from jobs.runtime.costs import MachineHours
from jobs.runtime.options import from_anywhere
from jobs.runtime.worker_pool import WorkerPool, choose_workers
from samuel.generation import PRETRAINED
from samuel.generation.producer import Producer, ProducerSettings
from samuel.generation.recordings import Outputs, Recording, RecordingReport, recordings_in
from samuel.separation import load_separator
from samuel.storage import absolute, check_writable, exists, join, list_files, read_bytes, write_atomic
from samuel.training.checkpoint import best_of, fingerprint

FAILURES = "failures.jsonl"
SETTINGS = "settings.json"
GPU_RECORDINGS_AT_ONCE = 8
LINE_EVERY_SECONDS = 10.0


class Produce:
    """What a worker of the pool does: recordings in, reports out. One worker holds one generator."""

    def __init__(self, settings: ProducerSettings, device: str, threads: int | None) -> None:
        import torch

        if threads:
            torch.set_num_threads(threads)
        self.producer = Producer.load(settings, device)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        reports = self.producer([Recording(**json.loads(one)) for one in row["recordings"]])
        return {"reports": [json.dumps(asdict(report)) for report in reports]}


def generate_folder(
    folder: str,
    outputs: Outputs,
    file_format: str,
    variations: int,
    settings: ProducerSettings,
    device: str,
    workers: int | None,
    console: Console,
) -> None:
    """Make what is missing of the outputs of all recordings in a folder. Raises ValueError, or typer.Exit(1) where none
    succeeded."""
    began = time.monotonic()
    recordings, failures = recordings_in(folder, outputs, file_format, variations)
    for place in outputs.places:
        check_writable(absolute(place))
    out = absolute(outputs.band)
    settings, made_with = settled(settings)
    claim(out, settings, made_with)
    present = {
        str(join(place, file.name))
        for place in (out, outputs.mix, outputs.midi)
        if place
        for file in list_files(place).files
    }
    pending = [one for one in recordings if not present.issuperset((*one.files, one.marker))]
    console.print(f"{len(recordings)} recordings, {len(recordings) - len(pending)} of them done before")
    seconds = 0.0
    if pending:
        chosen = choose_workers(connect(), device, workers)
        with MachineHours(out, console):
            for report in track(run(pending, settings, chosen), len(pending), console):
                if report.error:
                    failures.append(report)
                    console.print(f"[yellow]failed[/] {escape(report.vocals)}: {escape(report.error)}")
                else:
                    seconds += report.seconds * variations
    rows = [{"vocals": one.vocals, "error": one.error} for one in failures]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    write_atomic(join(out, FAILURES), "".join(lines).encode())
    wall = time.monotonic() - began
    console.print(
        f"{escape(out)}: {seconds / 60:.1f} minutes of accompaniment in {wall:.0f} s "
        f"({seconds / wall:.1f} x real time)"
    )
    if failures:
        console.print(f"{len(failures)} failed: see {FAILURES} there; the same command tries them again")
        raise typer.Exit(1 if len(failures) == len(recordings) else 0)


def settled(settings: ProducerSettings) -> tuple[ProducerSettings, dict[str, str]]:
    """With the weights chosen, once for all workers, though a run may go on meanwhile; and which these are."""
    settings = replace(settings, codec=from_anywhere(settings.codec))
    made_with = {}
    if settings.plays_network:
        checkpoint = best_of(settings.checkpoint or PRETRAINED)
        settings = replace(settings, checkpoint=checkpoint)
        made_with["weights"] = fingerprint(checkpoint)  # which know their codec's
    if settings.separator:
        separator = load_separator(from_anywhere(settings.separator))
        settings = replace(settings, separator=separator.name)
        made_with["separator weights"] = separator.identity
    return settings, made_with


def claim(out: str, settings: ProducerSettings, made_with: dict[str, str]) -> None:
    """Keep what the files in `out` are made with; raises ValueError where an earlier run had it otherwise.

    A checkpoint that was trained on counts as another one, and one that was moved as the same.
    """
    mine: dict[str, Any] = {"codec": settings.codec, "separator": settings.separator} | made_with
    mine |= {"recipe": asdict(settings.config)}  # named so in folders that were begun before
    mine |= {"mixdown": asdict(settings.mixdown), "direction": asdict(settings.direction)}
    mine = json.loads(json.dumps(mine))
    file = join(out, SETTINGS)
    if exists(file):
        theirs = json.loads(read_bytes(file))
        changed = [
            f"{key}: {theirs.get(key)!r} there, {mine[key]!r} now"
            for key in mine
            if key in theirs and mine[key] != theirs[key]
        ]
        if changed:
            raise ValueError(
                f"{out} was begun with other settings ({'; '.join(changed)}); choose another --out, or ask for "
                "the same as before"
            )
    write_atomic(file, json.dumps(mine, indent=2).encode())


def track(reports: Iterable[RecordingReport], total: int, console: Console) -> Iterator[RecordingReport]:
    """The reports, with a bar in a terminal and a line now and then elsewhere."""
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    last_line = time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("recordings", total=total)
        for number, report in enumerate(reports, 1):
            yield report
            bar.update(task, completed=number)
            if bar.disable and time.monotonic() - last_line > LINE_EVERY_SECONDS:
                last_line = time.monotonic()
                console.print(f"{number} of {total} recordings")


def run(
    recordings: list[Recording], settings: ProducerSettings, workers: WorkerPool
) -> Iterator[RecordingReport]:
    """Reports as they come; on a GPU some recordings are made together, those of a lost worker each alone."""
    arguments = (settings, workers.device, workers.threads)
    together = GPU_RECORDINGS_AT_ONCE if workers.device == "cuda" else 1
    lost: list[Recording] = []
    for size in (together, 1):
        tasks = dict(enumerate(batched(recordings, size)))
        rows = [
            {"task": n, "recordings": [json.dumps(asdict(one)) for one in task]} for n, task in tasks.items()
        ]
        for row in pool(rows, Produce, arguments, workers, key="task"):
            if not row["error"]:
                yield from (RecordingReport(**json.loads(one)) for one in row["reports"])
            elif size > 1:
                lost += tasks[row["task"]]
            else:
                yield from (RecordingReport(one.vocals, error=row["error"]) for one in tasks[row["task"]])
        recordings = lost


def batched(recordings: list[Recording], size: int) -> list[list[Recording]]:
    return [recordings[start : start + size] for start in range(0, len(recordings), size)]
