"""The rooms of the house: folders of `samuel` and `jobs`, and which may import which."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def imports() -> Iterator[tuple[Path, str]]:
    """(file, imported module) of all Python files, wherever in a file the import stands."""
    for file in sorted([*ROOT.glob("samuel/**/*.py"), *ROOT.glob("jobs/**/*.py")]):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                yield file, node.module or ""
                yield from ((file, f"{node.module}.{name.name}") for name in node.names)
            elif isinstance(node, ast.Import):
                yield from ((file, name.name) for name in node.names)


def room(parts: tuple[str, ...]) -> str:
    """samuel/model for samuel/model/unet.py; jobs for jobs/train.py."""
    return "/".join(parts[:2]) if (ROOT / parts[0] / "".join(parts[1:2])).is_dir() else parts[0]


def test_rooms_import_each_other_without_a_circle() -> None:
    below: dict[str, set[str]] = {}
    for file, module in imports():
        here = room(file.relative_to(ROOT).parts)
        there = room(tuple(module.split(".")))
        if there.startswith(("samuel/", "jobs")) and here not in (there, "samuel"):
            below.setdefault(here, set()).add(there)
    assert len(below) > 15
    TopologicalSorter(below).prepare()  # raises CycleError, which names the circle


def test_the_library_knows_neither_ray_nor_the_jobs() -> None:
    above = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file, module in imports()
        if file.is_relative_to(ROOT / "samuel") and module.split(".")[0] in ("ray", "jobs")
    ]
    assert not above
