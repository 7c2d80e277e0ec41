"""Songs and catalogues: which songs there are, each with a stable id and a side of the split.

A song is one of four kinds. "query": words to search for; "url": an http(s) address; "audio": a file; "stems": a
voice and other audio whose sum is the accompaniment, in one of the layouts of `samuel.stems`. Its id is 16 hexadecimal digits
of the SHA-256 of a versioned key that says what the song is, not where it lies:

- query: normalised title and artist, so that a catalogue and a list of queries agree;
- url: the address in one canonical form (all of YouTube's forms are one);
- audio: path relative to the given folder, and size. Both come with a listing, so that a million files on S3 cost
  no reading, and both stay when the folder moves, to S3 too;
- stems: relative path of the folder (or file), and names and sizes of its audio files.
"""

import hashlib
import re
import unicodedata
import urllib.parse
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from samuel import storage
from samuel.catalogue import tables, titles
from samuel.catalogue.tables import URL, Entry
from samuel.stems.layouts import STEM_FILE_ENDINGS, Found, StemsSong, find_stems
from samuel.stems.names import folded, song_name
from samuel.storage.audio_names import AUDIO_EXTENSIONS, extension, is_audio, is_hidden, left_out

DEMO_SONGS = Path(__file__).parents[1] / "demo_songs"
"""A folder of short songs that come with the package, free to share: see its CREDITS.md."""

TABLE_EXTENSIONS = frozenset({"csv", "tsv"})
TEXT_EXTENSIONS = frozenset({"txt", "list", "urls"})
UNTOLD_FOLDERS = frozenset({"stems", "stem", "multitrack", "multitracks", "tracks"})
"""Names of folders of stems that are no song's: that is the folder above."""
YOUTUBE_HOSTS = frozenset({"youtube.com", "youtube-nocookie.com", "youtu.be"})
YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
LEADING = frozenset(
    (
        *(("consent.youtube.com", "/m"), ("consent.youtube.com", "/ml"), ("youtube.com", "/redirect")),
        *(
            ("google.com", "/url"),
            ("l.facebook.com", "/l.php"),
            ("l.instagram.com", "/"),
            ("consent.google.com", "/m"),
        ),
    )
)
"""(host, path) of addresses that lead to another one."""
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
    comments), a folder or s3:// prefix of audio files and stems at any depth, one audio file, or one
    http(s) address. Raises ValueError when it is none of these or has no song in it, and StorageError.
    """
    if URL.fullmatch(songs.strip()):
        return _without_repeats([url_song(songs.strip())], [])
    where = storage.absolute(songs)
    kind = storage.kind_of(where)
    if kind == "missing" and tables.BARE_URL.fullmatch(bare := songs.strip().removeprefix("//")):
        return _without_repeats([url_song("https://" + bare)], [])
    if kind == "directory":
        return _read_folder(where)
    if kind == "missing":
        raise ValueError(f"there are no songs at {where}: nothing is there. {_expected()}")
    if extension(where) in TABLE_EXTENSIONS:
        entries, warnings = tables.read_table(storage.read_bytes(where), where)
        found = _songs_of(entries, where, warnings)
    elif extension(where) in TEXT_EXTENSIONS:
        entries, warnings = tables.read_list(storage.read_bytes(where), where)
        found = _songs_of(entries, where, warnings)
    elif is_audio(where):
        found, warnings = [_file_song(where, where.rsplit("/", 1)[1], storage.size_of(where))], []
    else:
        raise ValueError(f"cannot tell what {where} is from its name. {_expected()}")
    if not found:
        told = "; ".join(["", *warnings])
        raise ValueError(f"there are no songs in {where}{told}. {_expected()}")
    return _without_repeats(found, warnings)


def query_song(title: str, artist: str = "") -> Song:
    """A song to search for by its title and, where known, its artist."""
    title, artist = " ".join(title.split()), " ".join(artist.split())
    key = f"title:v1:{titles.normalised(title)}\n{titles.normalised(artist)}"
    return Song(_hashed(key), title, artist, f"{artist} - {title}" if artist else title, "query")


def url_song(url: str) -> Song:
    """A song at an address; its name is known only where the address ends in an audio file's name."""
    try:
        canonical = canonical_url(url)
    except ValueError as error:
        raise ValueError(f"expected an http(s) address, got {url!r}: {error}; check it") from error
    key = "url:v1:" + re.sub(r"^https?://", "", canonical)
    name = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name
    artist, title = titles.from_file_name(PurePosixPath(name).stem) if is_audio(name) else ("", "")
    return Song(_hashed(key), title, artist, canonical, "url")


def canonical_url(url: str) -> str:
    """One form for an address: host in lower case, no fragment, no tracking, one address for a YouTube video."""
    parts = urllib.parse.urlsplit(url.strip())
    host = (
        (parts.hostname or "")
        .removeprefix("www.")
        .removeprefix("m.")
        .removeprefix("music.")
        .removeprefix("gaming.")
        .removesuffix(".")
    )
    if inner := _led_to(host, parts):
        return canonical_url(inner)
    if host in YOUTUBE_HOSTS and (video := _youtube_id(host, parts)):
        return f"https://www.youtube.com/watch?v={video}"
    netloc = parts.netloc.lower() if "@" not in parts.netloc else parts.netloc
    netloc = netloc.removesuffix(":443" if parts.scheme.lower() == "https" else ":80")
    arguments = [
        pair for pair in parts.query.split("&") if pair and not TRACKING.fullmatch(pair.split("=")[0])
    ]
    return urllib.parse.urlunsplit((parts.scheme.lower(), netloc, parts.path or "/", "&".join(arguments), ""))


def _songs_of(entries: list[Entry], where: str, warnings: list[str]) -> list[Song]:
    """The songs of a table or a list; a file is one that lies where the list says, seen from the list's folder."""
    found: list[Song] = []
    searched: list[int] = []
    for entry in entries:
        if entry.url:
            song = url_song(entry.url)
            found.append(replace(song, title=entry.title or song.title, artist=entry.artist or song.artist))
        elif not entry.file:
            found.append(query_song(entry.title, entry.artist))
        else:
            path = (
                entry.file if entry.file.startswith(("/", "~")) else f"{where.rsplit('/', 1)[0]}/{entry.file}"
            )
            path = storage.absolute(path)
            if is_audio(path) and storage.kind_of(path) == "file":
                found.append(_file_song(path, entry.file, storage.size_of(path)))
            elif "/" in entry.file or "\\" in entry.file:
                raise ValueError(
                    f"expected an address, words to search for or an audio file in line {entry.line} of {where}, got "
                    f"{entry.file!r}, and there is no audio file at {path}"
                )
            else:
                artist, title = titles.from_file_name(tables.without_extension(entry.file))
                found.append(query_song(title, artist))
                searched.append(entry.line)
    if searched:
        some = ", ".join(map(str, searched[:8])) + (", ..." if len(searched) > 8 else "")
        warnings.append(
            f"{len(searched)} names of files in {where} are searched for: they do not lie there (lines {some})"
        )
    return found


def _read_folder(where: str) -> Catalogue:
    """Audio files and stems at any depth, in order of their relative paths."""
    listing = storage.list_files(where)
    warnings = [
        f"cannot open {folder}: its songs are missing; change its rights" for folder in listing.unreadable
    ]
    visible = [file for file in listing.files if not is_hidden(file.name)]
    audio = {file.name: file for file in visible if is_audio(file.name)}
    hidden = sum(is_audio(file.name) for file in listing.files) - len(audio)
    if hidden:
        warnings.append(f"{hidden} hidden audio files (names that begin with a dot) in {where} are left out")
    if strange := left_out(file.name for file in visible):
        warnings.append(f"files in {where} that are no audio by their names are left out: {strange}")
    if not audio:
        kinds = sorted({extension(file.name) or "no extension" for file in visible})
        also = "; ".join(["", *warnings]) if warnings else ""
        raise ValueError(
            f"there are no audio files in {where}: found {kinds[:12] or 'no files'}{also}. {_expected()}"
        )
    stems = find_stems(list(audio), [file.name for file in visible])
    warnings += _told(stems, where)
    found = [(song.place, _stems_song(where, song, audio)) for song in stems.songs]
    for name, file in audio.items():
        if name not in stems.taken:
            found.append((name, _file_song(f"{where}/{name}", name, file.size)))
    if not found:
        raise ValueError(f"there are no songs in {where}: {'; '.join(warnings)}. {_expected()}")
    unspeakable = sum(_printable(name) != name for name, _ in found)
    if unspeakable:
        warnings.append(f"{unspeakable} names in {where} are not UTF-8 and cannot be opened; rename them")
    return _without_repeats([song for _, song in sorted(found, key=lambda pair: pair[0])], warnings)


def _told(stems: Found, where: str) -> list[str]:
    """A sentence for each kind of stems that are no songs."""
    told = []
    for files, what in (
        (stems.no_voice, "folders of stems without a voice are left out: nothing to learn singing from"),
        (stems.alone, "voices without their accompaniment beside are left out"),
        (stems.mixes, "mixes of which the stems are there are left out"),
        (stems.again, "stems by another model of songs whose stems are there are left out"),
    ):
        if files:
            some = ", ".join(_printable(file) or where for file in files[:3]) + (
                ", ..." if len(files) > 3 else ""
            )
            told.append(f"{len(files)} {what} ({some})")
    return told


def _file_song(source: str, name: str, size: int) -> Song:
    """A song in one file: audio, or several streams that are its stems. `name`: its path as the user's folder has it."""
    if name.casefold().endswith(STEM_FILE_ENDINGS):
        where = source.removesuffix(f"/{name}")
        return _stems_song(where, StemsSong(name, files=(name,)), {name: storage.StoredFile(name, size)})
    artist, title = titles.from_file_name(PurePosixPath(_printable(name)).stem)
    key = f"audio:v1:{unicodedata.normalize('NFC', name)}:{size}"
    return Song(_hashed(key), title, artist, _printable(source), "audio")


def _stems_song(where: str, song: StemsSong, files: dict[str, storage.StoredFile]) -> Song:
    relative = song.place or where.rsplit("/", 1)[1]
    folder = f"{song.place}/" if song.place and song.place not in files else ""
    parts = sorted(f"{name.removeprefix(folder)}:{files[name].size}" for name in song.files)
    key = "stems:v1:" + unicodedata.normalize("NFC", "\n".join([relative, *parts]))
    artist, title = titles.from_file_name(_title_of(f"{where}/{song.place}".rstrip("/"), song.place in files))
    return Song(_hashed(key), title, artist, _printable(f"{where}/{song.place}".rstrip("/")), "stems")


def _title_of(place: str, is_file: bool) -> str:
    """What a song's folder or file is called, without what says that it is stems."""
    above, _, name = _printable(place).rpartition("/")
    if not is_file:
        return above.rpartition("/")[2] if folded(name) in UNTOLD_FOLDERS else name
    stem = PurePosixPath(name).stem
    return stem.removesuffix(".stem") if name.casefold().endswith(STEM_FILE_ENDINGS) else song_name(stem)


def _without_repeats(songs: list[Song], warnings: list[str]) -> Catalogue:
    unique = {song.song_id: song for song in reversed(songs)}  # the first of equals wins
    kept = tuple(song for song in songs if unique.get(song.song_id) is song)
    return Catalogue(kept, len(songs) - len(kept), tuple(warnings))


def _led_to(host: str, parts: urllib.parse.SplitResult) -> str | None:
    """The address of a video in one that leads to it: of YouTube's question of consent, a search engine, a network."""
    if (host, parts.path) not in LEADING:
        return None
    asked = urllib.parse.parse_qs(parts.query)
    inner = next((asked[name][0] for name in ("continue", "q", "url", "u") if name in asked), "")
    return inner if URL.fullmatch(inner) else None


def _youtube_id(host: str, parts: urllib.parse.SplitResult) -> str | None:
    path, query = urllib.parse.unquote(parts.path), urllib.parse.unquote(parts.query.replace("&amp;", "&"))
    if parts.fragment.startswith(("!", "/watch")):  # as they were once written
        path, query = "watch", parts.fragment.lstrip("!").partition("?")[2] or parts.fragment.lstrip("!")
    steps = [step for step in re.split(r"[/&]", path) if step]
    if host == "youtu.be":
        candidate = steps[0] if steps else ""
    elif steps[:1] == ["attribution_link"]:
        inner = urllib.parse.urlsplit(urllib.parse.parse_qs(parts.query).get("u", [""])[0])
        return None if inner.path.startswith("/attribution") else _youtube_id(host, inner)
    elif steps in (["watch"], []):
        candidate = urllib.parse.parse_qs(query).get("v", [""])[0]
    elif len(steps) >= 2 and steps[0] in ("shorts", "embed", "live", "v", "e", "watch", "vi"):
        candidate = steps[1]
    else:
        candidate = ""
    candidate = candidate[:11] if re.fullmatch(r"[\w-]{11}[^\w-].*", candidate) else candidate
    return candidate if YOUTUBE_ID.fullmatch(candidate) else None


def _printable(name: str) -> str:
    """The name with bytes that are no UTF-8 written as escapes, so that any table can hold it."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _expected() -> str:
    return (
        "Expected a CSV with song titles, a .txt file of addresses or queries, a folder or s3:// prefix of audio files "
        f"(.mp3, .flac, .wav, .m4a, ... of {len(AUDIO_EXTENSIONS)} kinds) or stems, or one audio file"
    )
