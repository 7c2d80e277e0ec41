"""Recordings of voices -> lead sheets. Run `python jobs/lead_sheets.py --help`."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.runtime.errors import user_errors
from jobs.runtime.options import MaxMinutes

if TYPE_CHECKING:
    from rich.console import Console

    from samuel.generation.lead_sheets import SheetTask

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

TABLE = "lead_sheets.jsonl"
SETTINGS = "settings.json"


class MakeSheets:
    """What a worker of the pool does: a row with a recording in, its report out."""

    def __init__(self, locks: dict[str, Any], separator: str | None, max_seconds: float) -> None:
        import torch

        from samuel.generation.lead_sheets import SheetMaker
        from samuel.lead_sheet.locks import Locks
        from samuel.separation import load_separator

        torch.set_num_threads(1)
        loaded = load_separator(separator) if separator else None
        self.maker = SheetMaker(Locks.parse(**locks), loaded, max_seconds)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        from samuel.generation.lead_sheets import SheetTask

        task = json.loads(row["task"])
        report = self.maker(SheetTask(**task | {"files": tuple(map(tuple, task["files"]))}))
        return {"report": report.to_json(), "error": report.error, "seconds": report.seconds}


@app.command()
def main(
    vocals: Annotated[str, typer.Option(help="A folder or s3:// prefix of recordings, at any depth.")],
    out: Annotated[str, typer.Option(help="A folder or s3:// prefix for the lead sheets.")],
    file_format: Annotated[
        list[str] | None,
        typer.Option(
            "--format", help="json, mid, musicxml, lab, txt or cho; may be repeated. Default: json."
        ),
    ] = None,
    variations: Annotated[
        int, typer.Option(min=1, max=99, help="So many with other likely chords: song.json, song-2.json, ...")
    ] = 1,
    separate: Annotated[
        bool, typer.Option("--separate", help="The recordings are whole mixes: take the voices out first.")
    ] = False,
    bpm: Annotated[float | None, typer.Option(help="The tempo of all. Default: found in each.")] = None,
    first_beat: Annotated[
        float | None, typer.Option(help="When the first bar begins, in seconds. Default: found.")
    ] = None,
    metre: Annotated[str | None, typer.Option(help="Such as 3/4 or 6/8. Default: found.")] = None,
    key: Annotated[str | None, typer.Option(help='Such as "A minor". Default: found.')] = None,
    separator: Annotated[str, typer.Option(help="With --separate: as for jobs/build_popdb.py.")] = "spleeter",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes at once. Default: one a core.")
    ] = None,
    max_minutes: MaxMinutes = 15.0,
) -> None:
    """Find lead sheets for a folder of voices: tempo, beats, downbeats, key and chords of each.

    What you give holds in all of them; the rest is found around it. OUT has the subfolders and names of the
    recordings, and lead_sheets.jsonl, a line for each recording: what was found, what of it is not sure, or why
    there is none. A recording that fails never stops the run.

    Run it again after a crash or with more recordings: only what is missing is made.

        python jobs/lead_sheets.py --vocals voices --out sheets
        python jobs/lead_sheets.py --vocals songs --separate --out sheets --format musicxml --format mid --variations 3
        python jobs/lead_sheets.py --vocals s3://bucket/takes --out s3://bucket/sheets --bpm 92 --metre 3/4
    """
    from rich.console import Console

    from jobs.runtime.options import from_anywhere
    from samuel.generation.lead_sheets import tasks_in
    from samuel.lead_sheet.locks import Locks
    from samuel.separation import load_separator
    from samuel.storage import absolute, check_writable

    console = Console(soft_wrap=True, highlight=False)
    locks = {"bpm": bpm, "first_beat": first_beat, "metre": metre, "key": key}
    formats = file_format or ["json"]
    with user_errors(console):
        Locks.parse(**locks)  # type: ignore[arg-type]
        tasks = tasks_in(absolute(vocals), absolute(out), formats, variations)
        check_writable(absolute(out))
        separator = from_anywhere(separator)
        settings = locks | {"formats": formats, "variations": variations, "separator": None}
        if separate:
            settings["separator"] = load_separator(separator).identity
        claim(absolute(out), settings)
        arguments = (locks, separator if separate else None, 60 * max_minutes)
        failed = make(tasks, absolute(out), arguments, workers, console)
    if failed:
        raise typer.Exit(1 if failed == len(tasks) else 0)


def make(
    tasks: list["SheetTask"],
    out: str,
    arguments: tuple[Any, ...],
    workers: int | None,
    console: "Console",
) -> int:
    """Make what is missing and write the table; returns how many recordings failed."""
    from rich.markup import escape

    from jobs.runtime.actor_pool import pool
    from jobs.runtime.cluster import connect
    from jobs.runtime.costs import MachineHours
    from jobs.runtime.progress import show_progress
    from jobs.runtime.worker_pool import choose_workers
    from samuel.generation.lead_sheets import SheetReport
    from samuel.storage import join, list_files, read_bytes, write_atomic

    present = {str(join(out, file.name)) for file in list_files(out).files}
    wanted = {task.name: {task.marker, *(file for files in task.files for file in files)} for task in tasks}
    pending = [task for task in tasks if not wanted[task.name] <= present]
    console.print(f"{len(tasks)} recordings, {len(tasks) - len(pending)} of them done before")
    lines: dict[str, str] = {}
    failed = 0
    if pending:
        rows = [{"name": task.name, "task": json.dumps(asdict(task))} for task in pending]
        chosen = choose_workers(connect(), "cpu", workers)
        with MachineHours(out, console), show_progress("recordings", len(rows), console) as count:
            for row in pool(rows, MakeSheets, arguments, chosen, key="name"):
                count(row.get("seconds") or 0.0)
                lines[row["name"]] = (
                    row.get("report") or SheetReport(row["name"], error=row["error"]).to_json()
                )
                if row["error"]:
                    failed += 1
                    console.print(f"[yellow]failed[/] {escape(row['name'])}: {escape(row['error'])}")
    for task in tasks:
        if task.name not in lines:
            lines[task.name] = read_bytes(task.marker).decode()
    write_atomic(join(out, TABLE), "".join(lines[task.name] + "\n" for task in tasks).encode())
    console.print(escape(f"{len(tasks) - failed} lead sheets in {out}, {failed} failed: see {TABLE} there"))
    return failed


def claim(out: str, settings: dict[str, Any]) -> None:
    """Keep what the files in OUT are made with. Raises ValueError where an earlier run had it otherwise."""
    from samuel.storage import exists, join, read_bytes, write_atomic

    file = join(out, SETTINGS)
    if exists(file) and (theirs := json.loads(read_bytes(file))) != json.loads(json.dumps(settings)):
        changed = [
            f"{name}: {theirs.get(name)!r} there, {value!r} now"
            for name, value in settings.items()
            if value != theirs.get(name)
        ]
        raise ValueError(
            f"{out} was begun with other settings ({'; '.join(changed)}); choose another --out, or ask for the same "
            "as before"
        )
    write_atomic(file, json.dumps(settings, indent=2).encode())


if __name__ == "__main__":
    app()
