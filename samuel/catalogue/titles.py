"""Titles of songs: what makes two spellings the same song, and "Artist - Title" taken apart.

`normalised` gives a key to compare, never to show. It forgets case, punctuation, width and composition of letters
(Unicode NFKC) and the noise that shops and video sites add: "feat. X", "(Official Video)", "- Remastered 2011".
It keeps what makes another recording: live, remix, acoustic, cover, instrumental. Letters, marks, digits and
symbols of every script stay, and what consists of punctuation alone ("!!!", "...") stays as it is.
"""

import re
import unicodedata

NOISE = re.compile(
    r"(the )?official( (hd|hq|4k|music|lyrics?|audio|video))*( (video|audio|visuali[sz]er|clip|version))?"
    r"|(official )?(music|lyrics?|lyrical) video|lyrics?|with lyrics|audio|video|m v|mv|visuali[sz]er|hd|hq|4k|uhd"
    r"|(full )?(audio|video)( (hd|hq|4k))?|(hd|hq|4k) (audio|video)|explicit( version)?|album version|single version"
    r"|((19|20)\d\d )?((digital|digitally|full) )?remaster(ed)?( version)?( (19|20)\d\d)?( version)?"
)
BRACKETS = re.compile(r"\(([^()]*)\)|\[([^\[\]]*)\]|【([^【】]*)】")
GUESTS_IN_BRACKETS = re.compile(r"\s*(feat|ft|featuring)\b", re.IGNORECASE)
GUESTS = re.compile(r"\s(feat\.|feat\b|ft\.|featuring\b).*", re.IGNORECASE | re.DOTALL)
DASH = re.compile(r"\s+[-‐‑‒–—―]\s+")
APOSTROPHES = dict.fromkeys(map(ord, "'`´‘’ʼ＇"))
TRACK_NUMBER = re.compile(r"\d{1,2}(\s*[-.]\s+|\.(?=\D))(?=\S)")


def normalised(title: str) -> str:
    """A key that equal songs share, in lower case; empty only when the title has no visible character."""
    text = unicodedata.normalize("NFKC", title.translate(APOSTROPHES))
    return _folded(_without_noise(text)) or _folded(text) or _visible(title)


def artist_and_title(text: str) -> tuple[str, str]:
    """("Artist", "Title") from "Artist - Title" (any dash between spaces), else ("", text)."""
    parts = DASH.split(text.strip(), maxsplit=1)
    if len(parts) == 2 and all(parts) and not _is_noise(parts[1]):
        return parts[0], parts[1]
    return "", text.strip()


def from_file_name(stem: str) -> tuple[str, str]:
    """(artist, title) from a file's name without its extension: "01 - Artist - Title", "Artist_-_Title", ..."""
    text = stem if " " in stem.strip() else stem.replace("_", " ")
    text = text.strip()
    return artist_and_title(TRACK_NUMBER.sub("", text, count=1) if TRACK_NUMBER.match(text) else text)


def _without_noise(text: str) -> str:
    while (shorter := BRACKETS.sub(_bracket, text)) != text:
        text = shorter
    parts = DASH.split(text)
    while len(parts) > 1 and _is_noise(parts[-1]):
        parts.pop()
    return GUESTS.sub("", " - ".join(parts))


def _bracket(match: re.Match[str]) -> str:
    inside = next((group for group in match.groups() if group is not None), "")
    if _is_noise(inside) or GUESTS_IN_BRACKETS.match(inside):
        return " "
    return f" {inside} "


def _is_noise(words: str) -> bool:
    return NOISE.fullmatch(_folded(words)) is not None


def _folded(text: str) -> str:
    """Case folded; punctuation, separators and controls become single spaces; what is invisible goes."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = []
    for character in folded.translate(APOSTROPHES).replace("&", " and "):
        category = unicodedata.category(character)
        if category == "Cf" or "\ufe00" <= character <= "\ufe0f":
            continue  # joiners, directions, and selectors of a text or emoji style
        kept.append(" " if category[0] in "PZ" or category == "Cc" else character)
    return " ".join("".join(kept).split())


def _visible(text: str) -> str:
    """The text, case folded, without spaces and controls: for titles such as "!!!"."""
    return "".join(c for c in text.casefold() if unicodedata.category(c)[0] not in "ZC")
