"""A job as a user runs it."""

from collections.abc import Callable
from typing import Any

import typer
from typer.testing import CliRunner


def run_command(main: Callable[..., Any], *arguments: object) -> tuple[int, str]:
    """Exit code and output of a job's `main`; what it raises beside SystemExit is raised here."""
    app = typer.Typer()
    app.command()(main)
    result = CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output
