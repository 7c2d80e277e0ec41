"""Tracks of several systems in folders, aligned by file name.

A system is a folder or s3:// prefix of audio files at any depth. A file's track is its path in the folder without
the extension: `truth/verse/1.wav` and `samuel/verse/1.mp3` are one track of two systems.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from samuel.storage import as_path, join, kind_of, list_files
from samuel.storage.audio_names import AUDIO_EXTENSIONS


@dataclass(frozen=True)
class Sample:
    """One audio file: a track as a system has it."""

    system: str
    track: str
    source: str
    """Absolute path or s3:// URL."""
    version: str
    """Changes when the file does."""

    @property
    def key(self) -> str:
        """A name for what is known of this very file."""
        return hashlib.sha256(f"{self.source}\n{self.version}".encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Folder:
    """One system's samples, by track, and what to tell the user."""

    samples: dict[str, Sample]
    warnings: tuple[str, ...] = ()


def parse_systems(arguments: Sequence[str]) -> dict[str, str]:
    """NAME=FOLDER arguments as a dict. Raises ValueError for other forms and for a name given twice."""
    systems: dict[str, str] = {}
    for argument in arguments:
        name, equals, folder = argument.partition("=")
        if not equals or not folder or not re.fullmatch(r"[\w.() +-]+", name):
            raise ValueError(f"expected NAME=FOLDER, such as samuel=outputs/samuel; got {argument!r}")
        if name in systems:
            raise ValueError(f"the system {name!r} is given twice; names must differ")
        systems[name] = folder
    return systems


def read_folder(system: str, folder: str) -> Folder:
    """The audio files of a folder. Raises ValueError when there are none, and StorageError."""
    root = as_path(folder)
    if kind_of(root) != "directory":
        raise ValueError(f"expected a folder of audio files for {system!r}, but there is none at {root}")
    listing = list_files(folder)
    samples: dict[str, Sample] = {}
    warnings = [f"{system}: the folder {one} cannot be read" for one in listing.unreadable]
    for found in listing.files:
        file = PurePosixPath(found.name)
        if file.suffix[1:].lower() not in AUDIO_EXTENSIONS or any(
            part.startswith(".") for part in file.parts
        ):
            continue
        track = unicodedata.normalize("NFC", file.with_suffix("").as_posix())
        if track in samples:
            warnings.append(
                f"{system}: {found.name} is left out, as {samples[track].source} is the same track"
            )
            continue
        version = f"{found.size} {found.version}"
        samples[track] = Sample(system, track, str(join(root, found.name)), version)
    if not samples:
        raise ValueError(
            f"there are no audio files for {system!r} in {root}; expected {sorted(AUDIO_EXTENSIONS)}"
        )
    return Folder(samples, tuple(warnings))


def folder_version(folder: str) -> str:
    """What changes when any file of a folder does; empty where there is no folder. Raises StorageError."""
    files = list_files(folder).files
    return hashlib.sha256(repr(files).encode()).hexdigest()[:24] if files else ""


def missing_tracks(folders: dict[str, Folder]) -> list[str]:
    """A line for each folder that lacks tracks which another one has."""
    everything = sorted(set().union(*(folder.samples for folder in folders.values())))
    lines = []
    for name, folder in folders.items():
        missing = [track for track in everything if track not in folder.samples]
        if missing:
            some = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            lines.append(f"{name} lacks {len(missing)} of {len(everything)} tracks: {some}")
    return lines
