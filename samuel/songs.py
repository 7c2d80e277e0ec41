"""Songs and catalogues: which songs there are, each with a stable id and a side of the split.

A song is one of four kinds. "query": words to search for; "url": an http(s) address; "audio": a file; "stems": a
folder with `vocals.<ext>` and other audio files whose sum is the accompaniment. Its id is 16 hexadecimal digits
of the SHA-256 of a versioned key that says what the song is, not where it lies:

- query: normalised title and artist, so that a catalogue and a list of queries agree;
- url: the address in one canonical form (all of YouTube's forms are one);
- audio: path relative to the given folder, and size. Both come with a listing, so that a million files on S3 cost
  no reading, and both stay when the folder moves, to S3 too;
- stems: relative path of the folder, and names and sizes of its audio files.
"""

import codecs
import csv
import hashlib
import io
import re
import unicodedata
import urllib.parse
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from samuel import storage, titles

DEMO_SONGS = Path(__file__).parent / "demo_songs"
"""A folder of short songs that come with the package, free to share: see its CREDITS.md."""

AUDIO_EXTENSIONS = frozenset(
    ["mp3", "m4a", "aac", "mp4", "ogg", "oga", "opus", "flac", "wav", "webm", "mka", "aif", "aiff", "wma"]
)  # what PyAV's FFmpeg reads and people have
TABLE_EXTENSIONS = frozenset({"csv", "tsv"})
TEXT_EXTENSIONS = frozenset({"txt", "list", "urls"})
TITLE_COLUMNS = ("song_name", "song_title", "track_name", "track_title", "title", "song", "track", "name")
ARTIST_COLUMNS = (
    *("artist_name", "artist", "artists", "artist_s_name", "artist_names", "track_artist", "song_artist"),
    *("artists_names", "performer", "singer", "band"),
)
MIXES = frozenset({"mixture", "mix"})
WHOLE_ACCOMPANIMENTS = frozenset({"accompaniment", "instrumental", "no_vocals"})
URL = re.compile(r"https?://\S+", re.IGNORECASE)
OTHER_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
YOUTUBE_HOSTS = frozenset({"youtube.com", "youtube-nocookie.com", "youtu.be"})
YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
TRACKING = re.compile(r"utm_\w+|si|feature|fbclid|gclid|igshid|pp")

Kind = Literal["query", "url", "audio", "stems"]
Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Song:
    """One song: its id, what is known of its name ("" if nothing), and where it comes from.

    `source` is the words to search for, the address, the file's or the folder's absolute path or s3:// URL.
    """

    song_id: str
    title: str
    artist: str
    source: str
    kind: Kind

    @property
    def split(self) -> Split:
        """The side of the split on which all of the song's pairs lie."""
        return split_of(self.song_id)


@dataclass(frozen=True)
class Catalogue:
    """Songs in a stable order without repeats, how many repeats were dropped, and what to tell the user."""

    songs: tuple[Song, ...]
    duplicates: int = 0
    warnings: tuple[str, ...] = ()


def split_of(song_id: str) -> Split:
    """train, validation or test (80, 10, 10 %) by a hash of the id: the same for ever and on every machine."""
    bucket = int(hashlib.sha256(f"split:v1:{song_id}".encode()).hexdigest(), 16) % 10
    return "train" if bucket < 8 else "validation" if bucket == 8 else "test"


def read_catalogue(songs: str) -> Catalogue:
    """Read the songs that a user names: see the README for the forms.

    `songs` is a CSV or TSV with a column of titles, a text file of addresses and queries (one a line, # for
    comments), a folder or s3:// prefix of audio files and stems folders at any depth, one audio file, or one
    http(s) address. Raises ValueError when it is none of these or has no song in it, and StorageError.
    """
    if URL.fullmatch(songs.strip()):
        return _without_repeats([url_song(songs.strip())], [])
    where = storage.absolute(songs)
    extension = _extension(where)
    kind = storage.kind_of(where)
    if kind == "directory":
        return _read_folder(where)
    if kind == "missing":
        raise ValueError(f"there are no songs at {where}: nothing is there. {_expected()}")
    if extension in TABLE_EXTENSIONS:
        found, warnings = _read_table(storage.read_bytes(where), where)
    elif extension in TEXT_EXTENSIONS:
        found, warnings = _read_lines(storage.read_bytes(where), where)
    elif extension in AUDIO_EXTENSIONS:
        name = where.rsplit("/", 1)[1]
        found, warnings = [_audio_song(where, storage.StoredFile(name, storage.size_of(where)))], []
    else:
        raise ValueError(f"cannot tell what {where} is from its name. {_expected()}")
    if not found:
        raise ValueError(f"there are no songs in {where}. {_expected()}")
    return _without_repeats(found, warnings)


def query_song(title: str, artist: str = "") -> Song:
    """A song to search for by its title and, where known, its artist."""
    title, artist = " ".join(title.split()), " ".join(artist.split())
    key = f"title:v1:{titles.normalised(title)}\n{titles.normalised(artist)}"
    return Song(_hashed(key), title, artist, f"{artist} - {title}" if artist else title, "query")


def url_song(url: str) -> Song:
    """A song at an address; its name is known only where the address ends in an audio file's name."""
    canonical = canonical_url(url)
    key = "url:v1:" + re.sub(r"^https?://", "", canonical)
    name = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name
    artist, title = (
        titles.from_file_name(PurePosixPath(name).stem) if _extension(name) in AUDIO_EXTENSIONS else ("", "")
    )
    return Song(_hashed(key), title, artist, canonical, "url")


def canonical_url(url: str) -> str:
    """One form for an address: host in lower case, no fragment, no tracking, one address for a YouTube video."""
    parts = urllib.parse.urlsplit(url.strip())
    host = (parts.hostname or "").removeprefix("www.").removeprefix("m.").removeprefix("music.")
    if host in YOUTUBE_HOSTS and (video := _youtube_id(host, parts)):
        return f"https://www.youtube.com/watch?v={video}"
    netloc = parts.netloc.lower() if "@" not in parts.netloc else parts.netloc
    netloc = netloc.removesuffix(":443" if parts.scheme.lower() == "https" else ":80")
    arguments = [
        pair for pair in parts.query.split("&") if pair and not TRACKING.fullmatch(pair.split("=")[0])
    ]
    return urllib.parse.urlunsplit((parts.scheme.lower(), netloc, parts.path or "/", "&".join(arguments), ""))


def stem_files(folder: str) -> tuple[str, list[str]]:
    """(the vocals file, the files whose sum is the accompaniment) of a stems folder, as absolute paths.

    A file named mixture or mix is left out; one named accompaniment, instrumental or no_vocals counts alone
    (the others are then its parts). Raises ValueError when either side is missing.
    """
    here = [file.name for file in storage.list_files(folder).files if "/" not in file.name]
    audio = {name: PurePosixPath(name).stem.casefold() for name in here if _is_audio(name)}
    vocals = [name for name, stem in audio.items() if stem == "vocals"]
    others = [name for name, stem in audio.items() if stem != "vocals" and stem not in MIXES]
    whole = [name for name in others if audio[name] in WHOLE_ACCOMPANIMENTS]
    if len(vocals) != 1 or not others:
        raise ValueError(
            f"expected in a stems folder one vocals.<ext> and at least one other audio file, "
            f"found {sorted(audio)} in {folder}; add what is missing"
        )
    root = storage.absolute(folder)
    return f"{root}/{vocals[0]}", [f"{root}/{name}" for name in (whole[:1] or others)]


def _read_folder(where: str) -> Catalogue:
    """Audio files and stems folders at any depth, in order of their relative paths."""
    listing = storage.list_files(where)
    warnings = [
        f"cannot open {folder}: its songs are missing; change its rights" for folder in listing.unreadable
    ]
    visible = [
        file for file in listing.files if not any(part.startswith(".") for part in file.name.split("/"))
    ]
    audio = [file for file in visible if _is_audio(file.name)]
    hidden = sum(_is_audio(file.name) for file in listing.files) - len(audio)
    if hidden:
        warnings.append(f"{hidden} hidden audio files (names that begin with a dot) in {where} are left out")
    if not audio:
        kinds = sorted({_extension(file.name) or "no extension" for file in visible})
        also = "; ".join(["", *warnings]) if warnings else ""
        raise ValueError(
            f"there are no audio files in {where}: found {kinds[:12] or 'no files'}{also}. {_expected()}"
        )
    folders: dict[str, list[storage.StoredFile]] = defaultdict(list)
    for file in audio:
        folders[file.name.rpartition("/")[0]].append(file)
    found: list[tuple[str, Song]] = []
    for folder, files in folders.items():
        if any(PurePosixPath(file.name).stem.casefold() == "vocals" for file in files):
            found.append((folder, _stems_song(where, folder, files)))
        else:
            found += [(file.name, _audio_song(f"{where}/{file.name}", file)) for file in files]
    unspeakable = sum(_printable(name) != name for name, _ in found)
    if unspeakable:
        warnings.append(f"{unspeakable} names in {where} are not UTF-8 and cannot be opened; rename them")
    return _without_repeats([song for _, song in sorted(found, key=lambda pair: pair[0])], warnings)


def _audio_song(source: str, file: storage.StoredFile) -> Song:
    artist, title = titles.from_file_name(PurePosixPath(_printable(file.name)).stem)
    key = f"audio:v1:{unicodedata.normalize('NFC', file.name)}:{file.size}"
    return Song(_hashed(key), title, artist, _printable(source), "audio")


def _stems_song(where: str, folder: str, files: list[storage.StoredFile]) -> Song:
    relative = folder or where.rsplit("/", 1)[1]
    parts = sorted(f"{file.name.rpartition('/')[2]}:{file.size}" for file in files)
    key = "stems:v1:" + unicodedata.normalize("NFC", "\n".join([relative, *parts]))
    artist, title = titles.from_file_name(_printable(relative).rpartition("/")[2])
    return Song(_hashed(key), title, artist, _printable(f"{where}/{folder}".rstrip("/")), "stems")


def _read_table(data: bytes, where: str) -> tuple[list[Song], list[str]]:
    text, warnings = _decoded(data, where)
    separator, columns, title_column = _layout(text, where)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    next(rows)
    artist_column = _column(columns, ARTIST_COLUMNS)
    found: list[Song] = []
    untitled: list[int] = []
    try:
        for row in rows:
            title = row[title_column] if title_column < len(row) else ""
            artist = row[artist_column] if artist_column is not None and artist_column < len(row) else ""
            if titles.normalised(title):
                found.append(query_song(title, artist))
            elif row:
                untitled.append(rows.line_num)
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num} of {where} is no CSV: {error}; check its quotes") from error
    if untitled:
        some = ", ".join(map(str, untitled[:5])) + (", ..." if len(untitled) > 5 else "")
        warnings.append(f"{len(untitled)} rows of {where} have no title and are left out (lines {some})")
    return found, warnings


def _layout(text: str, where: str) -> tuple[str, list[str], int]:
    """The separator with which the first line has a column of titles, that line's names, and the column."""
    most: list[str] = []
    for separator in ",;\t|":
        names = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
        title_column = _column(names, TITLE_COLUMNS)
        if title_column is not None:
            return separator, names, title_column
        most = max(most, names, key=len)
    raise ValueError(
        f"expected a column of song titles ({', '.join(TITLE_COLUMNS)}) in {where}, "
        f"found the columns {most}; rename one in the first line"
    )


def _column(columns: list[str], wanted: Iterable[str]) -> int | None:
    """The index of the first wanted name, whatever its case and punctuation."""
    plain = [re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_") for name in columns]
    return next((plain.index(name) for name in wanted if name in plain), None)


def _read_lines(data: bytes, where: str) -> tuple[list[Song], list[str]]:
    text, warnings = _decoded(data, where)
    found: list[Song] = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if URL.fullmatch(line):
            found.append(url_song(line))
        elif OTHER_URL.match(line):
            raise ValueError(
                f"expected an http(s) address or words to search for in line {number} of {where}, got {line!r}; "
                "give a folder or s3:// prefix of audio by itself, not in a list"
            )
        elif titles.normalised(line):
            artist, title = titles.artist_and_title(line)
            found.append(query_song(title, artist))
    return found, warnings


def _decoded(data: bytes, where: str) -> tuple[str, list[str]]:
    """UTF-8, or UTF-16 by its byte order mark; else the most likely other encoding, with a warning."""
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if marked else "utf-8-sig"), []
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        guesses = from_bytes(data)
        western = [guess for guess in guesses if "cp1252" in guess.could_be_from_charset]
        guess = western[0] if western else guesses.best()  # of the likely ones it is by far the most used
        if guess is None:
            raise ValueError(f"{where} is no text; save it as UTF-8") from None
        encoding = "cp1252" if western else guess.encoding
        return data.decode(encoding), [f"{where} is not UTF-8; read as {encoding}: check the titles"]


def _without_repeats(songs: list[Song], warnings: list[str]) -> Catalogue:
    unique = {song.song_id: song for song in reversed(songs)}  # the first of equals wins
    kept = tuple(song for song in songs if unique.get(song.song_id) is song)
    return Catalogue(kept, len(songs) - len(kept), tuple(warnings))


def _youtube_id(host: str, parts: urllib.parse.SplitResult) -> str | None:
    steps = [step for step in parts.path.split("/") if step]
    if host == "youtu.be":
        candidate = steps[0] if steps else ""
    elif steps[:1] == ["watch"]:
        candidate = urllib.parse.parse_qs(parts.query).get("v", [""])[0]
    elif len(steps) >= 2 and steps[0] in ("shorts", "embed", "live", "v"):
        candidate = steps[1]
    else:
        candidate = ""
    return candidate if YOUTUBE_ID.fullmatch(candidate) else None


def _extension(name: str) -> str:
    return PurePosixPath(name).suffix[1:].lower()


def _is_audio(name: str) -> bool:
    return _extension(name) in AUDIO_EXTENSIONS


def _printable(name: str) -> str:
    """The name with bytes that are no UTF-8 written as escapes, so that any table can hold it."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _expected() -> str:
    return (
        "Expected a CSV with song titles, a .txt file of addresses or queries, a folder or s3:// prefix of audio files "
        f"({', '.join(sorted(AUDIO_EXTENSIONS))}) or stems, or one audio file"
    )
