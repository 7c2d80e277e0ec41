"""How a benchmark runs, and where its table goes: the screen, a file, and, with --record, its section of docs/measured.md."""

import datetime
import functools
import os
import platform
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from jobs.runtime.errors import user_errors

MEASURED = Path(__file__).parents[2] / "docs" / "measured.md"

Out = Annotated[Path | None, typer.Option(help="Write the table into this file.")]
Record = Annotated[
    bool, typer.Option("--record", help="Write the table into docs/measured.md, in place of the one before.")
]


def app_of(main: Callable[..., None], **options: Any) -> typer.Typer:
    """The command line of a benchmark, in which a user's error is a line and an exit code. `options`: typer.Typer's."""

    @functools.wraps(main)
    def guarded(*arguments: Any, **given: Any) -> None:
        with user_errors(Console(stderr=True), stopped="stopped"):
            main(*arguments, **given)

    app = typer.Typer(add_completion=False, **options)
    app.command()(guarded)
    return app


def publish(table: str, out: Path | None = None, record: bool = False) -> None:
    """Print Markdown, below the command that gave it, and write it where it was asked for."""
    script = Path(sys.argv[0])
    given = [one for one in sys.argv[1:] if one != "--record"]
    command = shlex.join(["python", f"jobs/benchmarks/{script.name}", *given])
    today = datetime.datetime.now(datetime.UTC).date()
    text = f"`{command}`, {os.cpu_count()} cores ({platform.machine()}), {today}:\n\n{table.strip()}\n"
    print(text)
    if out:
        out.write_text(text)
    if record:
        MEASURED.write_text(replaced(MEASURED.read_text(), script.stem, text))


def replaced(page: str, name: str, section: str) -> str:
    """A page with another section between the markers of a benchmark. Raises ValueError where it has none."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    changed, found = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: begin + section + end, page, flags=re.DOTALL
    )
    if found != 1:
        raise ValueError(f"expected one section between {begin.strip()} and {end} in the page, found {found}")
    return changed
