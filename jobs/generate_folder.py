"""A folder of recordings into accompaniments with Ray Data: what `generate.py` runs for a folder."""

import json
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from jobs.build_popdb import from_anywhere
from jobs.connect import connect
from jobs.generate import make_producer
from jobs.machines import MachineHours
from jobs.pipeline import Workers, choose_workers
from samuel.generation.recordings import Recording, Report, recordings_in
from samuel.separation import load_separator
from samuel.storage import (
    StorageError,
    absolute,
    check_writable,
    exists,
    join,
    list_files,
    read_bytes,
    write_atomic,
)

import ray
from ray.data import ActorPoolStrategy, DataContext

FAILURES = "failures.jsonl"
SETTINGS = "settings.json"
GPU_RECORDINGS_AT_ONCE = 8
LINE_EVERY_SECONDS = 10.0
DIED = "its worker process ended without a word: out of memory, or a crash"


class Produce:
    """A Ray Data stage: recordings in, reports out. One actor holds one generator."""

    def __init__(self, settings: dict[str, Any], device: str, threads: int | None) -> None:
        import torch

        if threads:
            torch.set_num_threads(threads)
        self.producer = make_producer(settings, device)

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        recordings = [Recording(**json.loads(row)) for row in rows["recording"]]
        try:
            reports = self.producer(recordings)
        except StorageError as error:  # of the outputs: no fault of a recording, and no use in going on
            reports = [Report(one.vocals, error=str(error), stop=True) for one in recordings]
        return {"report": [json.dumps(asdict(report)) for report in reports]}


def generate_folder(
    folder: str,
    out: str,
    mixes: str | None,
    file_format: str,
    variations: int,
    settings: dict[str, Any],
    device: str,
    workers: int | None,
    console: Console,
) -> None:
    """Make what is missing of the accompaniments of all recordings in a folder. Raises ValueError, or
    typer.Exit(1) where none succeeded."""
    began = time.monotonic()
    out, mixes = absolute(out), absolute(mixes) if mixes else None
    recordings, failures = recordings_in(folder, out, mixes, file_format, variations)
    check_writable(out)
    settings["codec"] = from_anywhere(settings["codec"])
    if settings["separator"]:  # chosen once: a worker might choose otherwise
        settings["separator"] = load_separator(from_anywhere(settings["separator"])).name
    claim(out, settings)
    present = {
        str(join(place, file.name)) for place in (out, mixes) if place for file in list_files(place).files
    }
    pending = [one for one in recordings if not present.issuperset(one.files)]
    console.print(f"{len(recordings)} recordings, {len(recordings) - len(pending)} of them done before")
    seconds = 0.0
    unreported = {one.vocals for one in pending}
    if pending:
        chosen = choose_workers(connect(), device, workers)
        with MachineHours(out, console):
            for report in track(run(pending, settings, chosen), len(pending), console):
                if report.stop:
                    raise StorageError(report.error)
                unreported.discard(report.vocals)
                if report.error:
                    failures.append(report)
                    console.print(f"[yellow]failed[/] {escape(report.vocals)}: {escape(report.error)}")
                else:
                    seconds += report.seconds * variations
    failures += [Report(vocals, error=DIED) for vocals in sorted(unreported)]
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


def claim(out: str, settings: dict[str, Any]) -> None:
    """Keep what the files in `out` are made with; raises ValueError where an earlier run had it otherwise."""
    mine = {key: settings[key] for key in ("checkpoint", "codec", "separator")}
    mine |= {key: asdict(settings[key]) for key in ("recipe", "mixdown")}
    file = join(out, SETTINGS)
    if exists(file):
        theirs = json.loads(read_bytes(file))
        changed = [
            f"{key}: {theirs.get(key)!r} there, {mine[key]!r} now"
            for key in mine
            if mine[key] != theirs.get(key)
        ]
        if changed:
            raise ValueError(
                f"{out} was begun with other settings ({'; '.join(changed)}); choose another --out, or ask for "
                "the same as before"
            )
    write_atomic(file, json.dumps(mine, indent=2).encode())


def track(reports: Iterable[Report], total: int, console: Console) -> Iterator[Report]:
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


def run(recordings: list[Recording], settings: dict[str, Any], workers: Workers) -> Iterator[Report]:
    """Reports as they come. One block is one task: a worker's death costs the recordings that it held, no other."""
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    context.target_max_block_size = None
    context.execution_no_progress_timeout_s = -1
    at_once = GPU_RECORDINGS_AT_ONCE if workers.device == "cuda" else 1
    blocks = -(-len(recordings) // at_once)
    most = min(workers.count, blocks)
    rows = [{"recording": json.dumps(asdict(one))} for one in recordings]
    with warnings.catch_warnings():  # as in jobs/pipeline.py
        warnings.simplefilter("ignore", DeprecationWarning)
        reports = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            Produce,  # type: ignore[arg-type]
            fn_constructor_args=(settings, workers.device, workers.threads),
            batch_size=None,
            compute=ActorPoolStrategy(min_size=max(1, min(most, workers.ready)), max_size=most),
            num_cpus=workers.num_cpus,
            num_gpus=workers.num_gpus,
            max_task_retries=2,
        )
    for row in reports.iter_rows():
        yield Report(**json.loads(row["report"]))
