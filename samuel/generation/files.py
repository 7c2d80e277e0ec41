"""Recordings and lead sheets in files, local or on S3: they appear under their names whole or not at all."""

import io
import tempfile
from pathlib import Path, PurePosixPath

from samuel import audio
from samuel.audio.loudness import encoded
from samuel.generation.generator import Audio
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.files import read_lead_sheet, write_lead_sheet
from samuel.storage import Location, as_path, kind_of, read_bytes, write_atomic


def read_audio(path: Location, max_seconds: float | None = None) -> Audio:
    """A recording from a file. Raises FileNotFoundError, or AudioError where it is none."""
    if kind_of(path) == "missing":
        raise FileNotFoundError(f"{path}: no such file")
    return audio.decode(io.BytesIO(read_bytes(path)), max_seconds=max_seconds)


def write_audio(path: Location, samples: Audio) -> None:
    """A file in the format of its extension, with true peaks of at most -1 dBTP."""
    write_atomic(path, encoded(samples, as_path(path).suffix.lstrip(".").lower()))


def read_sheet(path: Location) -> LeadSheet:
    """A lead sheet from a file, local or on S3. Raises LeadSheetError, FileNotFoundError."""
    if kind_of(path) == "missing":
        raise FileNotFoundError(f"{path}: no such file")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / PurePosixPath(str(path)).name
        file.write_bytes(read_bytes(path))
        return read_lead_sheet(file)


def write_sheet(sheet: LeadSheet, path: str) -> None:
    """A lead sheet into a file, local or on S3. Raises LeadSheetError, StorageError."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / PurePosixPath(path).name
        write_lead_sheet(sheet, file)
        for made in Path(folder).iterdir():  # some formats have a second file beside the first
            write_atomic(path.removesuffix(file.name) + made.name, made.read_bytes())
