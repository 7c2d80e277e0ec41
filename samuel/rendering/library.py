"""Where scores come from: a folder, or a .tar(.xz, .gz) or .zip archive, of MIDI and MusicXML files.

A song's id is the collection's name, the score's name and a hash of its path inside the collection:
"openewld-home-sweet-home-1f3a9c20". Ids depend on the relative path only, so a folder and an archive
of the same files give the same ids.
"""

import hashlib
import re
import tarfile
import unicodedata
import zipfile
from dataclasses import dataclass
from pathlib import Path

from samuel.rendering.lead_sheet import read_lead_sheet
from samuel.rendering.midi_score import read_midi
from samuel.rendering.score import Score, ScoreError

MIDI_SUFFIXES = (".mid", ".midi")
LEAD_SHEET_SUFFIXES = (".mxl", ".musicxml", ".xml")


@dataclass(frozen=True)
class ScoreFile:
    """`path` is the readable file, `song_id` the name of its song."""

    song_id: str
    path: Path


def find_scores(folder: Path, *, name: str = "") -> list[ScoreFile]:
    """All score files below `folder`, in an order that hashes shuffle (so that a part is a fair sample).

    `name` begins the ids (default: the folder's name). POP909's alternative versions are left out.
    Raises ValueError where there is nothing to render.
    """
    suffixes = MIDI_SUFFIXES + LEAD_SHEET_SUFFIXES
    paths = [p for p in folder.rglob("*") if p.suffix.lower() in suffixes and "versions" not in p.parts]
    if not paths:
        raise ValueError(f"expected scores ({', '.join(suffixes)}) in {folder}, found none")
    prefix = _slug(name or folder.resolve().name)
    scores = []
    for path in paths:
        digest = hashlib.sha256(path.relative_to(folder).as_posix().encode()).hexdigest()
        scores.append((digest, ScoreFile(f"{prefix}-{_slug(path.stem)[:48]}-{digest[:8]}", path)))
    return [score for _, score in sorted(scores, key=lambda pair: pair[0])]


def read_score(path: Path) -> Score:
    """Raises ScoreError for a file that cannot become a song."""
    suffix = path.suffix.lower()
    if suffix in MIDI_SUFFIXES:
        return read_midi(path)
    if suffix in LEAD_SHEET_SUFFIXES:
        return read_lead_sheet(path)
    raise ScoreError(f"expected MIDI or MusicXML, got {path.name}")


def unpack(source: Path, folder: Path) -> Path:
    """A folder is returned as it is; an archive is unpacked into `folder`, which is returned.

    Raises ValueError for anything else. Members that would land outside `folder` are refused.
    """
    if source.is_dir():
        return source
    if not source.is_file():
        raise ValueError(f"expected a folder or an archive of scores, but {source} does not exist")
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            archive.extractall(folder)
    elif tarfile.is_tarfile(source):
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
    else:
        raise ValueError(f"expected a folder, a .tar(.xz, .gz) or a .zip of scores, got {source}")
    return folder


def collection_name(source: Path) -> str:
    """ "openewld" for .../openewld.tar.xz and for .../openewld/."""
    return re.sub(r"\.(tar(\.\w+)?|tgz|txz|zip)$", "", source.resolve().name, flags=re.IGNORECASE)


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "score"
