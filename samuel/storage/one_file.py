"""A folder that stands for the one file in it."""

from collections.abc import Sequence
from pathlib import Path


def only_file(folder: Path, found: Sequence[Path], wanted: str) -> Path:
    """The one file of `found`. Raises ValueError, which names them, for none and for more; `wanted`: "model (.th)"."""
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise ValueError(f"{folder}: expected one {wanted}, found {names}; give the path of the file itself")
    return found[0]
