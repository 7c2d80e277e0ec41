"""Tables and lists of songs, as people have them, into entries: a title and an artist, an address, or a file.

Nothing is swallowed, and nothing becomes a title that is none: a line that can be read in more than one way, or in
none, is told with its number.
"""

import ast
import csv
import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import url2pathname

from samuel.catalogue import titles
from samuel.catalogue.csv_rows import Doubts, read_rows
from samuel.catalogue.encodings import decoded
from samuel.storage.audio_names import AUDIO_EXTENSIONS, is_audio

TITLE_COLUMNS = (
    *("song_name", "song_title", "track_name", "track_title", "title", "song", "track", "name"),
    *(
        "tracktitle",
        "trackname",
        "songtitle",
        "songname",
        "name_of_song",
        "song_names",
        "titles",
        "songs",
        "tracks",
    ),
    *("titel", "titre", "titulo", "titolo", "lied", "chanson", "cancion", "nombre", "nome", "nom", "tytul"),
    *("曲名", "タイトル", "歌名", "歌曲", "标题", "歌曲名", "제목", "곡명", "название", "песня", "трек"),
)
ARTIST_COLUMNS = (
    *("artist_name", "artist", "artists", "artist_s_name", "artist_names", "track_artist", "song_artist"),
    *(
        "artists_names",
        "artist_name_s",
        "artist_s",
        "artistname",
        "performer",
        "singer",
        "singer_name",
        "band",
    ),
    *("アーティスト", "歌手", "艺术家", "演唱者", "가수", "아티스트", "исполнитель", "артист", "wykonawca"),
    *("interpret", "kunstler", "artiste", "artista", "interprete"),
)
ADDRESS_COLUMNS = (
    "url",
    "youtube_url",
    "video_url",
    "webpage_url",
    "youtube_link",
    "youtube",
    "link",
    "address",
)
VIDEO_COLUMNS = (
    "video_id",
    "youtube_id",
    "youtube_video_id",
    "yt_id",
    "ytid",
    "videoid",
    "youtubeid",
    "yt_video_id",
)
TITLE_WORDS = re.compile(r"(.+_)?(track|song)_(name|title)(_.+)?")
ARTIST_WORDS = re.compile(r"(.+_)?(artist|performer|singer)s?(_(s|name|names))*")
"""Of columns that are called more than that: "master_metadata_track_name"."""
SEPARATORS = ",;\t|"
EXCEL_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
SAMPLE_ROWS = 500
NO_TITLE_SHARE = 0.9  # of a column's values, from which on it holds no titles
NUMBER = re.compile(r"[\d\s.,:/#-]+")
SPOTIFY_ID = re.compile(r"(spotify:(track|artist):)?(?=.*\d)(?=.*[A-Z])(?=.*[a-z])[0-9A-Za-z]{22}")
NOTHING = frozenset(
    {"nan", "null", "n/a", "#n/a", "#name?", "#ref!", "#value!", "<na>", "\\n", "-", "--", "–", "—"}
)
"""What programs write where there is nothing."""
NOBODY = frozenset(
    {"none", "unknown", "unknown artist", "<unknown>", "various", "various artists", "[]", "()", "{}"}
)
"""What they write for an artist that they do not know."""

URL = re.compile(r"https?://(?:(?!,https?://)[^\s<>\"|\\^`{}])+", re.IGNORECASE)
FILE_URL = re.compile(r"file:///", re.IGNORECASE)
OTHER_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|spotify:|file:|magnet:", re.IGNORECASE)
ENDINGS = "com|net|org|be|fm|tv|io|co|me|de|fr|uk|jp|kr|cn|ru|nl|it|es|pl|br|se|ch|at|gl|ly|app|to|info|cc|audio|edu"
BARE_URL = re.compile(
    rf"(?:www\.\S+|(?:[a-z0-9-]+\.)+(?:{ENDINGS})(?::\d+)?/\S*)", re.IGNORECASE
)  # "youtu.be/abc": an address that a browser shows without its beginning
PLAYED = re.compile(
    r"(?:https?://)?(?:[a-z0-9-]+\.)*(?:youtube\.com|youtube-nocookie\.com|youtu\.be|soundcloud\.com|bandcamp\.com|"
    r"vimeo\.com|archive\.org|dailymotion\.com|audius\.co)/\S+",
    re.IGNORECASE,
)
"""Addresses that are taken before the title beside them: sites that give what they name. Shops and encyclopedias do not."""
VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{11}")
HYPERLINK = re.compile(r'=HYPERLINK\(\s*"([^"]*)"(?:\s*[,;]\s*"([^"]*)")?\s*\)', re.IGNORECASE)
ENTITY = re.compile(r"&(#\d{1,6}|#x[0-9a-f]{1,6}|amp|quot|apos|lt|gt|nbsp);", re.IGNORECASE)
SEARCH = re.compile(r"\w+search(?:\d+|all|date\d*)?:(.*)", re.IGNORECASE)  # yt-dlp's way to write a query
PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\|~?/|\.\.?[\\/]")
NUMBERED = re.compile(r"(\d{1,4}[.)]|[-*•–])\s+(?=\S)")
EXCEL_TEXT = re.compile(r'="(.*)"')
CONTROLS = dict.fromkeys(range(32), " ") | {127: " ", 0: None}
MOST_BREAKS = 3  # of lines within one title


@dataclass(frozen=True)
class Entry:
    """One song of a catalogue: its words, its address or its file, and the line that it stands in."""

    line: int
    title: str = ""
    artist: str = ""
    url: str = ""
    file: str = ""


def read_table(data: bytes, where: str) -> tuple[list[Entry], list[str]]:
    """A CSV or TSV with a column of titles, or of addresses, and perhaps one of artists; and what is to be told.

    Raises ValueError where it is none.
    """
    text, warnings = decoded(data, where)
    first = 1
    separators = SEPARATORS
    lines = re.split(r"\r\n|\r|\n", text)
    if lines and (excel := EXCEL_SEPARATOR.fullmatch(lines[0].strip(" \r\n\ufeff"))):
        separators, first, lines = excel[1], 2, lines[1:]
    while len(lines) > 1 and (not lines[0].strip() or lines[0].startswith("# ")):
        first, lines = first + 1, lines[1:]
    separator, columns = _header(lines, separators, where, first)
    doubts = Doubts(where)
    rows = list(read_rows(lines, separator, len(columns), where, first, doubts))
    title_column = _column(columns, TITLE_COLUMNS, rows, where, TITLE_WORDS)
    address_column = _column(columns, ADDRESS_COLUMNS, [], where)
    artist_column = _column(columns, ARTIST_COLUMNS, rows, where, ARTIST_WORDS)
    video_column = _column(columns, VIDEO_COLUMNS, [], where)
    alike = {
        column: _alike(columns, column)
        for column in (title_column, address_column, artist_column, video_column)
    }
    if any(
        _took_in_lines(row[column], separator)
        for _, row in rows
        for column in (*alike[title_column], *alike[artist_column])
        if column < len(row)
    ):
        doubts = Doubts(where)
        rows = list(read_rows(lines, separator, len(columns), where, first, doubts, by_line=True))
    entries: list[Entry] = []
    for line, row in rows:
        title, artist = _cell(row, alike[title_column]), _artist(_cell(row, alike[artist_column]))
        address = _cell(row, alike[address_column])
        video = _cell(row, alike[video_column])
        if linked := HYPERLINK.fullmatch(title):
            address, title = linked[1] or address, linked[2] or ""
        if url := _whole_url(title):
            entries.append(Entry(line, artist=artist, url=url))
        elif PLAYED.fullmatch(address) or (not title and _whole_url(address)):
            entries.append(Entry(line, title, artist, url=_whole_url(address)))
        elif VIDEO_ID.fullmatch(video):
            entries.append(Entry(line, title, artist, url=f"https://www.youtube.com/watch?v={video}"))
        elif titles.normalised(title):
            entries.append(Entry(line, title, artist))
            if title.casefold() == "none":
                doubts.add(line, "with the title None: searched for as it stands")
        else:
            doubts.add(line, "without a title: left out")
    return entries, warnings + doubts.told()


def read_list(data: bytes, where: str) -> tuple[list[Entry], list[str]]:
    """Addresses, queries and files, one a line, # for comments; and what is to be told.

    Raises ValueError for a line that is none of them.
    """
    text, warnings = decoded(data, where)
    lines = [(number, line.strip()) for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if len(lines) > 1 and all(NUMBERED.match(line) for _, line in lines):
        lines = [(number, NUMBERED.sub("", line, count=1)) for number, line in lines]
    doubts = Doubts(where)
    entries = [entry for number, line in lines for entry in _entries(number, line, where, doubts)]
    return entries, warnings + doubts.told()


def _entries(number: int, line: str, where: str, doubts: Doubts) -> Iterator[Entry]:
    line = _unquoted(line)
    if FILE_URL.match(line):
        yield Entry(number, file=url2pathname(urlsplit(line).path))
        return
    if line.startswith("//"):
        line = "https:" + line
    addresses = [address.rstrip(".,;:!?)]'\"") for address in URL.findall(line)]
    if not addresses and BARE_URL.fullmatch(line):
        addresses = ["https://" + line]
    if addresses:
        rest = URL.sub("", line).strip(" \t<>()[],;-")
        if rest and not rest.startswith("#") and BARE_URL.fullmatch(line) is None:
            doubts.add(number, "with words beside an address: not used")
        yield from (Entry(number, url=address) for address in addresses)
    elif OTHER_URL.match(line):
        raise ValueError(
            f"expected an http(s) address, words to search for or an audio file in line {number} of {where}, got "
            f"{line!r}; give a folder or s3:// prefix of audio by itself, not in a list"
        )
    elif PATH.match(line) or is_audio(line):
        yield Entry(number, file=line)
    else:
        if search := SEARCH.fullmatch(line):
            line = search[1].strip()
        if titles.normalised(line):
            artist, title = titles.artist_and_title(line)
            yield Entry(number, title, artist)
        else:
            doubts.add(number, "without a title: left out")


def without_extension(file: str) -> str:
    """A file's name as words to search for."""
    name, _, ending = re.split(r"[\\/]", file)[-1].rpartition(".")
    return name if ending.lower() in AUDIO_EXTENSIONS else file


def _header(lines: list[str], separators: str, where: str, first: int) -> tuple[str, list[str]]:
    """The separator with which the first line has a column of titles, and that line's names."""
    most: list[str] = []
    by = separators[0]
    for separator in separators:
        try:
            names = next(csv.reader(lines[:1], delimiter=separator, skipinitialspace=True, strict=True), [])
        except csv.Error as error:
            if separator == separators[-1] and not most:
                raise ValueError(
                    f"line {first} of {where}, the names of the columns, is no CSV: {error}; check its quotes"
                ) from error
            continue
        if any(_named(names, wanted) for wanted in (TITLE_COLUMNS, ADDRESS_COLUMNS, VIDEO_COLUMNS)):
            return separator, names
        if len(names) > len(most):
            most, by = names, separator
    if any(TITLE_WORDS.fullmatch(_plain(name)) for name in most):
        return by, most
    raise ValueError(
        f"expected a column of song titles ({', '.join(TITLE_COLUMNS[:8])}, ...) in {where}, "
        f"found the columns {most}; rename one in the first line"
    )


def _column(
    columns: list[str],
    wanted: Iterable[str],
    rows: list[tuple[int, list[str]]],
    where: str,
    like: re.Pattern[str] | None = None,
) -> int | None:
    """The first wanted column that does not hold numbers or codes: "track" may be a number, and "name" its title.

    After the wanted names come those that are `like` them.
    """
    found = _named(columns, wanted)
    if like is not None:
        also = (column for column, name in enumerate(columns) if like.fullmatch(_plain(name)))
        found += [column for column in also if column not in found]
    for column in found:
        values = [row[column].strip() for _, row in rows[:SAMPLE_ROWS] if column < len(row)]
        values = [value for value in values if value]
        codes = sum(bool(NUMBER.fullmatch(value) or SPOTIFY_ID.fullmatch(value)) for value in values)
        if not values or codes < NO_TITLE_SHARE * len(values):
            return column
    if found and _plain(columns[found[0]]) == "track":
        raise ValueError(
            f"the column {columns[found[0]]!r} of {where} holds numbers, not titles; found the columns {columns}: "
            f"rename the one of titles to title"
        )
    return found[0] if found else None


def _named(columns: list[str], wanted: Iterable[str]) -> list[int]:
    """The columns with a wanted name, in the order of those, whatever their case and punctuation."""
    plain = [_plain(name) for name in columns]
    return [plain.index(name) for name in wanted if name in plain]


def _plain(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)  # "trackName"
    letters = "".join(
        c for c in unicodedata.normalize("NFKD", words.casefold()) if not unicodedata.combining(c)
    )
    return unicodedata.normalize("NFC", re.sub(r"[\W_]+", "_", letters).strip("_"))


def _alike(columns: list[str], column: int | None) -> list[int]:
    """The column, and those after it that have its name, too: where it is empty, they may know."""
    if column is None:
        return []
    name = _plain(columns[column])
    return [other for other in range(column, len(columns)) if _plain(columns[other]) == name]


def _took_in_lines(cell: str, separator: str) -> bool:
    """Whether a quote that was not closed took in more lines; a title may have a break or two."""
    return "\n" in cell and (separator in cell or cell.strip().count("\n") > MOST_BREAKS)


def _cell(row: list[str], columns: list[int]) -> str:
    """The first value that is one, on one line and without control characters."""
    for column in columns:
        value = row[column].translate(CONTROLS).strip() if column < len(row) else ""
        value = ENTITY.sub(lambda entity: html.unescape(entity[0]), value).strip()
        if excel := EXCEL_TEXT.fullmatch(value):
            value = excel[1]
        if value and value.casefold() not in NOTHING:
            return value
    return ""


def _artist(artist: str) -> str:
    """The first of a list as Python, JSON or a table of Spotify's writes it, else the words as they are."""
    if artist[:1] + artist[-1:] in ("[]", "()", "{}"):
        try:
            listed = ast.literal_eval(artist)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            listed = re.split(r"['\"]\s*,\s*['\"]", artist[1:-1])
        listed = (
            [listed]
            if isinstance(listed, dict | str)
            else list(listed)
            if hasattr(listed, "__iter__")
            else []
        )
        names = [str(one.get("name", "") if isinstance(one, dict) else one).strip(" '\"") for one in listed]
        artist = next((name for name in names if name), "" if listed == [] else artist)
    artist = re.split(r"(?<=\S);(?=\S)", artist)[0]  # "A; B" may be one name
    return "" if artist.casefold() in NOBODY else artist


def _whole_url(text: str) -> str:
    if URL.fullmatch(text):
        return text
    return f"https://{text}" if BARE_URL.fullmatch(text) else ""


def _unquoted(line: str) -> str:
    for opening, closing in ('""', "''", "“”", "<>"):
        if len(line) > 2 and line[0] == opening and line[-1] == closing and opening not in line[1:-1]:
            return line[1:-1].strip()
    return line
