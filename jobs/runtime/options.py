"""Options that several jobs have, with one help."""

from pathlib import Path
from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="cpu, cuda, or auto: cuda where the cluster has a GPU.")]
ModelWorkers = Annotated[
    int | None, typer.Option(min=1, help="Model workers at most. Default: one a GPU, or one a core.")
]
MaxMinutes = Annotated[float, typer.Option(min=0.01, help="Longer audio is refused.")]


def from_anywhere(name: str) -> str:
    """A name of weights as it is; a path to weights absolute, since workers run in other folders."""
    path = Path(name).expanduser()
    return str(path.resolve()) if path.exists() else name
