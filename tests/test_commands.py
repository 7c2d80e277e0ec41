"""Each command that the documentation shows is one that its program takes: parsed to the last option, not run."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import typer

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "cluster" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REFUSED = (click.UsageError, *typer.BadParameter.__bases__, FileNotFoundError)
"""What says that a command is none; typer has a click of its own."""

OTHERS = {
    "aws",
    "curl",
    "docker",
    "export",
    "gcloud",
    "helm",
    "kubectl",
    "mkdir",
    "openssl",
    "pip",
    "pre-commit",
    "pytest",
    "sed",
    "uv",
}
"""Programs that are not ours; of their commands the files are checked."""


def shown(document: Path) -> Iterator[str]:
    """The commands of the document's shell blocks, whole, without comments."""
    for block in re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield from (each.strip() for each in shlex.join(words).replace("'&&'", "&&").split("&&"))


def cases() -> list[str]:
    return sorted({command for document in DOCUMENTS for command in shown(document)})


def command_of(module: ModuleType) -> Any:
    """What a script runs: its typer app, or its main."""
    app = getattr(module, "app", None)
    if not isinstance(app, typer.Typer):
        app = typer.Typer(add_completion=False)
        app.command()(module.main)
    return typer.main.get_command(app)


def check(words: list[str]) -> None:
    """Raises one of `REFUSED` for a command that cannot be."""
    program, *arguments = words
    if program == "uv" and arguments[:1] == ["run"]:
        rest = arguments[1:]
        while rest[0].startswith("-"):
            rest = rest[2:] if rest[0] in ("--group", "--with") else rest[1:]
        check(rest)
    elif program == "python":
        script = ROOT / arguments[0]
        if not script.is_file():
            raise FileNotFoundError(script)
        parse(command_of(importlib.import_module(f"jobs.{script.stem}")), arguments[1:])
    elif program == "ray":
        from ray.scripts.scripts import cli as ray

        entrypoint = parse(ray, arguments)
        if entrypoint and arguments[:2] == ["job", "submit"]:
            check(entrypoint)
    elif program == "serve":
        from ray.serve.scripts import cli as serve

        parse(serve, arguments)
    elif program not in OTHERS:
        raise click.UsageError(f"unknown program {program}")
    for word in words:
        file = word.removeprefix("file://")
        if re.match(r"(cluster|jobs|samuel|tests)/\S+\.\w+$", file) and not list(ROOT.glob(file)):
            raise FileNotFoundError(file)


def parse(command: Any, arguments: list[str]) -> list[str]:
    """Parse as the program would, down to the last subcommand; the entry point of a job, where that is one."""
    if isinstance(command, click.Group):
        _, inner, rest = command.resolve_command(click.Context(command), list(arguments))
        return parse(inner, rest)
    context = command.make_context(command.name or "", list(arguments))
    return list(context.params.get("entrypoint", ()))


@pytest.mark.parametrize("command", cases())
def test_a_shown_command_is_one(command: str) -> None:
    check(shlex.split(command))


@pytest.mark.parametrize(
    "wrong",
    [
        "python jobs/build_popdb.py --song songs",
        "uv run python jobs/train.py --data popdb",
        "uv run --group measure python jobs/measure.py",
        "ray job submit --working-dirs . -- python jobs/build_popdb.py",
        "ray job submit --working-dir . -- python jobs/build_popdb.py --outs popdb",
        "kubectl create -f cluster/kuberay/nothing.yaml",
    ],
)
def test_one_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(REFUSED):
        check(shlex.split(wrong))


def test_python_that_is_shown_is_python() -> None:
    for document in DOCUMENTS:
        for block in re.findall(r"^```python\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL):
            compile(block, str(document), "exec")
