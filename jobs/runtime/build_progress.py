"""What a person sees of a build: a progress line while it runs, a summary when it is done."""

import shlex
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from samuel.config import CHUNK_SECONDS
from samuel.popdb.completing import GuideReport

MOST_REASONS = 20

LINE_EVERY_SECONDS = 10.0
"""Where the output is no terminal (a submitted job's log), a line of progress at most this often."""


@dataclass
class Tally:
    """Counts of one run, and of the POPDB after it."""

    catalogue: int
    present: int = 0
    """Songs that an earlier run had done, or had seen fail."""
    pairs: int = 0
    seconds: float = 0.0
    dropped_seconds: float = 0.0
    stage_seconds: dict[str, float] = field(default_factory=dict)
    succeeded: set[str] = field(default_factory=set)
    doubtful: int = 0
    """Songs built of files that are not as they say: with holes, cut off, with stems that are left out."""
    guided: int = 0
    """Songs whose lead sheet and other guides were found."""
    guide_seconds: float = 0.0
    """Of audio in those."""
    guide_work_seconds: float = 0.0
    unguided: int = 0
    """Songs whose guides could not be found: the next run tries again."""
    failures: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Failed songs of this run: id -> title, stage, error."""
    started: float = field(default_factory=time.monotonic)
    database_songs: int = 0
    database_pairs: int = 0
    database_failures: int = 0

    def add(self, report: dict[str, Any]) -> None:
        """Count the report of one song."""
        if report["error"]:
            self.failures[report["song_id"]] = (report["title"], report["failed_stage"], report["error"])
            return
        self.succeeded.add(report["song_id"])
        self.doubtful += len(report["warnings"]) > 0
        self.pairs += report["pairs"]
        self.seconds += report["seconds"]
        self.dropped_seconds += report["dropped_seconds"]
        for stage, seconds in report["stage_seconds"].items():
            self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + seconds

    @property
    def reported(self) -> set[str]:
        return self.succeeded | self.failures.keys()

    @property
    def reports(self) -> int:
        return len(self.succeeded) + len(self.failures)


class BuildProgress:
    """A bar in a terminal, a line now and then elsewhere. Use as a context; `add` each report."""

    def __init__(self, tally: Tally, songs: int, console: Console) -> None:
        self.tally = tally
        self.songs = songs
        self.console = console
        self.bar = Bar(
            TextColumn("songs"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal or not songs,
        )
        self.task = self.bar.add_task("songs", total=songs, state="starting")
        self.last_line = time.monotonic()
        self.guides_left = 0

    def __enter__(self) -> "BuildProgress":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def add(self, report: dict[str, Any]) -> None:
        self.tally.add(report)
        if report["error"]:
            self.console.print(
                f"[yellow]failed[/] {escape(report['title'] or report['song_id'])} "
                f"({report['failed_stage']}): {escape(report['error'])}"
            )
        for warning in report["warnings"]:
            self.console.print(
                f"[yellow]note[/] {escape(report['title'] or report['song_id'])}: {escape(warning)}"
            )
        elapsed = time.monotonic() - self.tally.started
        speed = self.tally.seconds / elapsed
        state = (
            f"{self.tally.pairs} pairs, {self.tally.seconds / 3600:.2f} h of audio, {speed:.1f} x real time"
        )
        self.bar.update(self.task, completed=self.tally.reports, state=state)
        if self.bar.disable and time.monotonic() - self.last_line > LINE_EVERY_SECONDS:
            self.last_line = time.monotonic()
            self.console.print(f"{self.tally.reports} of {self.songs} songs, {state}")

    def add_guides(self, report: GuideReport) -> None:
        if report.error:
            self.tally.unguided += 1
            self.console.print(f"[yellow]no lead sheet[/] of song {report.song_id}: {escape(report.error)}")
            return
        self.tally.guided += 1
        self.tally.guide_seconds += report.seconds
        self.tally.guide_work_seconds += report.work_seconds
        self._say_guides()

    def wait_for_guides(self, songs: int) -> None:
        """From now on, only lead sheets of so many songs are waited for."""
        self.guides_left = self.tally.guided + self.tally.unguided + songs
        self._say_guides()

    def _say_guides(self) -> None:
        if not self.guides_left:
            return
        state = f"lead sheets of {self.tally.guided} of {self.guides_left}"
        self.bar.update(self.task, state=state)
        if self.bar.disable and time.monotonic() - self.last_line > LINE_EVERY_SECONDS:
            self.last_line = time.monotonic()
            self.console.print(state)


def print_summary(tally: Tally, duplicates: int, root: str, workers: int, console: Console) -> None:
    """The end of a build: what was done, how fast, what failed, where it lies, what to type next."""
    wall = time.monotonic() - tally.started
    table = Table(title="This run", show_header=False, title_justify="left")
    table.add_row("songs in the catalogue", f"{tally.catalogue} ({duplicates} duplicates dropped)")
    table.add_row("done before or failed before", str(tally.present))
    table.add_row("built", f"{len(tally.succeeded)} songs, {tally.pairs} pairs")
    if tally.doubtful:
        table.add_row("of these with notes", f"{tally.doubtful} songs, see above")
    table.add_row("failed", str(len(tally.failures)))
    if tally.guided or tally.unguided:
        table.add_row(
            "lead sheets",
            f"of {tally.guided} songs; not of {tally.unguided}, see above"
            if tally.unguided
            else f"of {tally.guided} songs",
        )
    table.add_row(
        "audio",
        f"{tally.seconds / 3600:.3f} h, of which {tally.dropped_seconds / 3600:.3f} h in trailing parts",
    )
    table.add_row("time", f"{wall:.1f} s, {tally.seconds / wall:.1f} x real time, {workers} workers at most")
    console.print(table)
    if tally.succeeded or tally.guided:
        stages = Table(
            "stage", "seconds", "x real time", title="Stages, over all workers", title_justify="left"
        )
        for stage, seconds in tally.stage_seconds.items():
            if stage != "chunk" and seconds:
                stages.add_row(stage, f"{seconds:.1f}", f"{tally.seconds / max(seconds, 1e-9):.1f}")
        if tally.guided:
            speed = tally.guide_seconds / max(tally.guide_work_seconds, 1e-9)
            stages.add_row("lead sheets", f"{tally.guide_work_seconds:.1f}", f"{speed:.1f}")
        console.print(stages)
    if tally.failures:
        console.print(_failures_by_reason(tally))
    hours = tally.database_pairs * CHUNK_SECONDS / 3600
    console.print(
        f"POPDB: {tally.database_songs} songs, {tally.database_pairs} pairs, {hours:.2f} h at\n  {escape(root)}"
    )
    if tally.database_failures:
        console.print(
            f"{tally.database_failures} failed songs are in failures.parquet there; --retry-failed tries them again"
        )
    if tally.database_pairs:
        console.print(f"Next: python jobs/train.py --data {escape(shlex.quote(root))} --out RUN")


def _failures_by_reason(tally: Tally) -> Table:
    table = Table("songs", "stage", "reason", "for example", title="Failures", title_justify="left")
    by_reason: dict[tuple[str, str], list[str]] = {}
    for title, stage, error in tally.failures.values():
        by_reason.setdefault((stage, error.split(":")[0][:60]), []).append(title)
    ordered = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    for (stage, reason), titles in ordered[:MOST_REASONS]:
        table.add_row(str(len(titles)), stage, escape(reason), escape(titles[0]))
    return table
