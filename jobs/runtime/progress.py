"""A bar in a terminal, a line now and then elsewhere: for jobs that do one thing many times."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_EVERY_SECONDS = 10.0


@contextmanager
def show_progress(what: str, total: int, console: Console) -> Iterator[Callable[..., None]]:
    """Gives a function to call when one of `total` is done, with the seconds of audio that it was."""
    columns = (
        *(TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}")),
        *(TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()),
    )
    began = last_line = time.monotonic()
    done, audio_seconds = 0, 0.0
    with Progress(*columns, console=console, disable=not console.is_terminal or not total) as bar:
        task = bar.add_task(what, total=total, speed="")

        def count(seconds: float = 0.0) -> None:
            nonlocal done, audio_seconds, last_line
            done, audio_seconds = done + 1, audio_seconds + seconds
            elapsed = time.monotonic() - began
            speed = f"{audio_seconds / elapsed:.1f} x real time" if audio_seconds else ""
            bar.update(task, completed=done, speed=speed)
            if bar.disable and (done == total or time.monotonic() - last_line > LINE_EVERY_SECONDS):
                last_line = time.monotonic()
                console.print(f"{what} {done} of {total} in {elapsed:.0f} s{', ' if speed else ''}{speed}")

        yield count
