"""What a person sees of a training: workers write to a reporter, the driver shows it."""

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

import ray

LINE_EVERY_SECONDS = 10.0
"""Where the output is no terminal (a submitted job's log), a line of progress at most this often."""


@dataclass
class Outcome:
    """How a training ended."""

    message: str = ""
    error: str = ""


@dataclass
class State:
    """What the workers last said."""

    starts: int = 0
    """Times that the workers began: more than once where some died."""
    process: int = 0
    """Of the leading worker."""
    pairs: int = 0
    step: int = 0
    total: int = 0
    loss: float = float("nan")
    steps_per_second: float = 0.0
    validated_step: int = 0
    validation_loss: float = float("nan")

    @property
    def seconds_left(self) -> float:
        return (self.total - self.step) / self.steps_per_second if self.steps_per_second else float("inf")

    def line(self) -> str:
        seen = f"loss {self.loss:.4f}, {self.steps_per_second:.2f} steps/s, {clock(self.seconds_left)} left"
        return seen if not self.validated_step else f"{seen}, validation {self.validation_loss:.4f}"


class ProgressActor:
    """As an actor, in the middle between workers that come and go and the driver."""

    def __init__(self) -> None:
        self.now = State()
        self.end = Outcome()

    def begin(self, process: int, pairs: int) -> None:
        self.now = State(starts=self.now.starts + 1, process=process, pairs=pairs)

    def trained(self, step: int, total: int, values: dict[str, float]) -> None:
        self.now.step, self.now.total = step, total
        self.now.loss, self.now.steps_per_second = values["loss"], values["steps_per_second"]

    def validated(self, step: int, values: dict[str, float]) -> None:
        self.now.validated_step, self.now.validation_loss = step, values["loss"]

    def fail(self, error: str) -> None:
        self.end.error = self.end.error or error

    def finish(self, message: str) -> None:
        self.end.message = message

    def state(self) -> State:
        return self.now

    def outcome(self) -> Outcome:
        return self.end


class ProgressDisplay:
    """Shows a reporter while its context lasts: a bar in a terminal, a line now and then elsewhere."""

    def __init__(self, reporter: Any, console: Console) -> None:
        self.reporter = reporter
        self.console = console
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._show, daemon=True)
        self.bar = Bar(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[line]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.done.set()
        self.thread.join()

    def _show(self) -> None:
        last_line, starts = 0.0, 0
        with self.bar:
            task = self.bar.add_task("", total=None, line="starting workers")
            while not self.done.wait(0.5):
                state: State = ray.get(self.reporter.state.remote())
                if state.starts > starts:
                    starts = state.starts
                    again = "" if starts == 1 else ", again after a worker died"
                    self._print(f"training on {state.pairs} pairs in process {state.process}{again}")
                if not state.total:
                    continue
                self.bar.update(task, total=state.total, completed=state.step, line=state.line())
                if not self.console.is_terminal and time.monotonic() - last_line > LINE_EVERY_SECONDS:
                    last_line = time.monotonic()
                    self._print(f"step {state.step} of {state.total}: {state.line()}")

    def _print(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, highlight=False)


def clock(seconds: float) -> str:
    """h:mm:ss, or a dash where nobody knows."""
    if seconds == float("inf"):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
