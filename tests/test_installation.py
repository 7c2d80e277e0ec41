"""What is installed is what was tested together, and what is missing is told."""

import tomllib
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement
from rich.console import Console

from jobs.runtime.errors import USER_ERROR, user_errors

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())


def test_what_the_project_asks_for_is_held_at_one_version() -> None:
    constraints = [Requirement(one) for one in PROJECT["tool"]["uv"]["constraint-dependencies"]]
    held = {one.name: one.specifier for one in constraints if not one.marker or one.marker.evaluate()}
    extras = PROJECT["project"]["optional-dependencies"]
    assert set(extras.pop("all")[0].removeprefix("samuel[").removesuffix("]").split(",")) == set(extras)
    for asked in map(Requirement, chain(PROJECT["project"]["dependencies"], *extras.values())):
        name = asked.name.lower().replace("_", "-")
        assert version(name) in held[name], f"{name}: run .ci/constraints after uv lock"


def test_a_package_that_is_missing_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, user_errors(Console()):
        import package_that_is_missing  # noqa: F401
    assert ended.value.exit_code == USER_ERROR
    assert "package_that_is_missing is not installed" in capsys.readouterr().out.replace("\n", " ")
    with pytest.raises(ModuleNotFoundError), user_errors(Console()):
        import samuel.part_that_is_missing  # noqa: F401
