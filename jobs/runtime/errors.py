"""The one edge between errors and a person: what a user can mend becomes a sentence and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

USER_ERROR = 2
"""The exit code of what a user can mend; click's for a wrong option, too."""
INTERRUPTED = 130


@contextmanager
def user_errors(
    console: Console, stopped: str = "stopped; the same command goes on where this run was"
) -> Iterator[None]:
    """Within, ValueError, FileNotFoundError and a package that is missing end the command in a line of red; anything else
    is a defect, and rises.

    Ctrl-C ends it with the words `stopped`. Raises typer.Exit(USER_ERROR) and typer.Exit(INTERRUPTED).
    """
    try:
        yield
    except (ValueError, FileNotFoundError, ModuleNotFoundError) as error:
        words = str(error)
        if isinstance(error, ModuleNotFoundError):
            if (error.name or "").split(".")[0] in ("samuel", "jobs"):
                raise  # a defect
            words = f"the package {error.name} is not installed; install this part's extra, or `uv sync --all-extras`"
        console.print(f"[red]error:[/] {escape(words)}", soft_wrap=True, highlight=False)
        raise typer.Exit(USER_ERROR) from error
    except KeyboardInterrupt:
        console.print(stopped)
        raise typer.Exit(INTERRUPTED) from None
