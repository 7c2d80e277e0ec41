"""Chords as musicians write them: Am, F#m7b5, Bb/D, Gsus4, Cmaj7, N.C.

A chord may lose a tension that no player here plays (C13#11 is played as C13); it never gains a note.
"""

import re

from samuel.lead_sheet.chord import QUALITIES, Chord, pitch_class
from samuel.lead_sheet.sheet import LeadSheetError
from samuel.lead_sheet.signatures import Key

NO_CHORD = "N.C."
SUFFIXES = {
    "maj": "", "min": "m", "dim": "dim", "aug": "aug", "sus2": "sus2", "sus4": "sus4", "maj6": "6", "min6": "m6",
    "7": "7", "maj7": "maj7", "min7": "m7", "minmaj7": "m(maj7)", "dim7": "dim7", "hdim7": "m7b5", "aug7": "aug7",
    "sus4(b7)": "7sus4", "9": "9", "maj9": "maj9", "min9": "m9", "11": "11", "13": "13", "7(b5,*5)": "7b5",
    "7(*5)": "7no5", "min7(*5)": "m7no5", "maj7(*5)": "maj7no5", "maj(*5)": "no5", "min(*5)": "mno5", "5": "5", "1": "1",
}  # fmt: skip
"""How each quality of `samuel.lead_sheet.chord.QUALITIES` is written after its root."""

_SPELLINGS = {suffix: quality for quality, suffix in SUFFIXES.items()} | {
    "M": "maj", "major": "maj", "Maj": "maj", "min": "min", "-": "min", "mi": "min", "minor": "min",
    "o": "dim", "°": "dim", "mb5": "dim", "+": "aug", "#5": "aug", "sus": "sus4", "2": "sus2", "4": "sus4",
    "no3": "5", "M6": "maj6", "add6": "maj6", "-6": "min6", "min6": "min6", "dom7": "7",
    "M7": "maj7", "Maj7": "maj7", "ma7": "maj7", "j7": "maj7", "Δ": "maj7", "Δ7": "maj7", "^": "maj7", "^7": "maj7",
    "min7": "min7", "-7": "min7", "mi7": "min7", "mM7": "minmaj7", "mmaj7": "minmaj7", "m(M7)": "minmaj7",
    "-maj7": "minmaj7", "minmaj7": "minmaj7", "o7": "dim7", "°7": "dim7", "ø": "hdim7", "ø7": "hdim7",
    "-7b5": "hdim7", "min7b5": "hdim7", "m7(b5)": "hdim7", "+7": "aug7", "7#5": "aug7", "7+": "aug7", "7(#5)": "aug7",
    "7sus": "sus4(b7)", "9sus4": "sus4(b7)", "11sus": "sus4(b7)", "M9": "maj9", "Maj9": "maj9", "-9": "min9",
    "min9": "min9", "m11": "min9", "maj13": "maj9", "m13": "min9",
    "add9": "maj", "add2": "maj", "(add9)": "maj", "madd9": "min", "m(add9)": "min", "add11": "maj", "add4": "maj",
    "6/9": "maj6", "69": "maj6", "m6/9": "min6", "m69": "min6",
    "7b9": "7", "7#9": "7", "7(b5)": "7(b5,*5)", "7#11": "7", "7b13": "7", "9#11": "9", "13#11": "13", "13b9": "7",
    "7(b9)": "7", "7(#9)": "7", "7(#11)": "7", "maj7#11": "maj7", "maj7#5": "aug", "7alt": "7(*5)", "alt": "7(*5)",
}  # fmt: skip
_CHORD = re.compile(r"([A-Ga-g])([#b♯♭]*)(.*)")
_FLAT_KEYS = frozenset({5, 10, 3, 8, 1, 6})  # tonics of major keys that are written with flats
_FLATS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def parse_chord_name(name: str, start: float = 0.0, end: float = 1.0) -> Chord:
    """ "F#m7b5", "Bb/D", "N.C." as a chord over a stretch. Raises LeadSheetError."""
    text = name.strip()
    if text.upper().replace(".", "") in ("NC", "N", "-"):
        return Chord(start, end)
    bass = None
    body = text
    if "/" in text and text not in ("6/9",):
        head, _, tail = text.rpartition("/")
        if re.fullmatch(r"[A-Ga-g][#b♯♭]*", tail):
            body, bass = head, tail
    match = _CHORD.fullmatch(body)
    quality = _SPELLINGS.get(match[3].replace("♭", "b").replace("♯", "#").strip()) if match else None
    if match is None or quality is None:
        raise LeadSheetError(
            f"cannot read the chord {name!r}; expected a root from A to G with # or b, then one of: "
            f"{', '.join(suffix for suffix in SUFFIXES.values() if suffix)} (or nothing: major), then perhaps a "
            "bass such as /G; N.C. for no chord"
        )
    root = _pitch(match[1] + match[2])
    low = None if bass is None else _pitch(bass)
    return Chord(start, end, root, quality, None if low == root else low)


def chord_name(chord: Chord, key: Key | None = None) -> str:
    """As musicians write it; flats or sharps by the key."""
    if chord.root is None:
        return NO_CHORD
    names = _note_names(key)
    name = names[chord.root] + SUFFIXES[chord.quality]
    return name if chord.bass is None or chord.bass == chord.root else f"{name}/{names[chord.bass]}"


def key_name(key: Key) -> str:
    """ "A minor"."""
    return f"{_note_names(key)[key.tonic]} {key.mode}"


def _note_names(key: Key | None) -> tuple[str, ...]:
    if key is None:
        return _FLATS
    major = key.tonic if key.mode == "major" else (key.tonic + 3) % 12
    return _FLATS if major in _FLAT_KEYS else _SHARPS


def _pitch(name: str) -> int:
    plain = name.replace("♭", "b").replace("♯", "#")
    return pitch_class(plain[0].upper() + plain[1:])


assert SUFFIXES.keys() == QUALITIES.keys()
