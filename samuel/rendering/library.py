"""Where scores come from: a MIDI or MusicXML file, a folder of them, or a .tar(.xz, .gz) or .zip archive.

A song's id is the collection's name, the score's name and a hash of its path inside the collection:
"openewld-home-sweet-home-1f3a9c20". Ids depend on the relative path only, so a folder and an archive
of the same files give the same ids; where an archive has a folder more around them, only the hashes differ (`score_name`).
"""

import hashlib
import lzma
import re
import tarfile
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from samuel.lead_sheet.notation.written import ScoreError
from samuel.rendering.midi_score import read_midi
from samuel.rendering.musicxml_score import read_musicxml_score
from samuel.rendering.score import Score

MIDI_SUFFIXES = (".mid", ".midi")
LEAD_SHEET_SUFFIXES = (".mxl", ".musicxml", ".xml")


@dataclass(frozen=True)
class ScoreFile:
    """`path` is the readable file, `song_id` the name of its song."""

    song_id: str
    path: Path


def find_scores(source: Path, *, name: str = "") -> list[ScoreFile]:
    """All score files below a folder, in an order that hashes shuffle (so that a part is a fair sample), or one file.

    `name` begins the ids (default: the folder's name). Left out are POP909's alternative versions, and what
    systems put beside files (`._song.mid`, `__MACOSX`, the `META-INF` of an unpacked .mxl).
    Raises ValueError where there is nothing to render.
    """
    folder, own_name = (source.parent, source.stem) if source.is_file() else (source, source.resolve().name)
    paths = [source] if source.is_file() else [p for p in source.rglob("*") if _is_score(p, source)]
    if not paths:
        suffixes = ", ".join(MIDI_SUFFIXES + LEAD_SHEET_SUFFIXES)
        raise ValueError(f"expected scores ({suffixes}) in {source}, found none")
    prefix = _slug(name or own_name)
    scores = []
    for path in paths:
        digest = hashlib.sha256(path.relative_to(folder).as_posix().encode()).hexdigest()
        scores.append((digest, ScoreFile(f"{prefix}-{_slug(path.stem)[:48]}-{digest[:8]}", path)))
    return [score for _, score in sorted(scores, key=lambda pair: pair[0])]


def score_name(song_id: str) -> str:
    """A song's id without the hash of its path: the same for a folder and for an archive in which the folder lies."""
    return re.sub(r"-[0-9a-f]{8}$", "", song_id)


def _is_score(path: Path, folder: Path) -> bool:
    if path.suffix.lower() not in MIDI_SUFFIXES + LEAD_SHEET_SUFFIXES or not path.is_file():
        return False
    inside = path.relative_to(folder).parts
    if path.name.startswith("._") or {"__MACOSX", "META-INF"} & set(inside):
        return False
    if inside[-2:-1] != ("versions",) or len(inside) < 3:
        return True
    song = path.parent.parent  # POP909: 001/001.mid, and 001/versions/001-v1.mid
    return not (song / f"{song.name}.mid").is_file()


def read_score(path: Path) -> Score:
    """Raises ScoreError for a file that cannot become a song."""
    suffix = path.suffix.lower()
    if suffix in MIDI_SUFFIXES:
        return read_midi(path)
    if suffix in LEAD_SHEET_SUFFIXES:
        return read_musicxml_score(path)
    raise ScoreError(f"expected MIDI or MusicXML, got {path.name}")


def unpack(source: Path, folder: Path) -> Path:
    """A folder and a single score are returned as they are; an archive is unpacked into `folder`, which is returned.

    Raises ValueError for anything else. Members that would land outside `folder` are refused.
    """
    if source.is_dir() or (source.is_file() and source.suffix.lower() in MIDI_SUFFIXES + LEAD_SHEET_SUFFIXES):
        return source
    if not source.is_file():
        raise ValueError(f"expected a folder, a score or an archive of scores, but {source} does not exist")
    try:
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                archive.extractall(folder)
        elif tarfile.is_tarfile(source):
            with tarfile.open(source) as archive:
                archive.extractall(folder, filter="data")
        else:
            raise ValueError(
                f"expected a folder, a score, a .tar(.xz, .gz) or a .zip of scores, got {source}"
            )
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        RuntimeError,
    ) as error:
        raise ValueError(f"{source} cannot be unpacked: it is damaged or protected ({error})") from error
    return folder


def collection_name(source: Path) -> str:
    """ "openewld" for .../openewld.tar.xz and for .../openewld/; "song" for .../song.mxl."""
    name = source.resolve().name
    ends = "|".join(re.escape(suffix) for suffix in MIDI_SUFFIXES + LEAD_SHEET_SUFFIXES)
    return re.sub(rf"(\.(tar(\.\w+)?|tgz|txz|tbz2?|zip)|{ends})$", "", name, flags=re.IGNORECASE)


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "score"
