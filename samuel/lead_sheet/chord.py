"""Chords: labels in Harte's syntax, and the pitch classes they stand for.

Pitch classes are 0 to 11 with C = 0. Labels are those of mir_eval.chord (Harte et al., "Symbolic
representation of musical chords", ISMIR 2005): "C:maj7", "A:min/b3", "N" for no chord.
"""

import re
from dataclasses import dataclass, replace

NOTE_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
_STEPS = dict(zip("CDEFGAB", MAJOR_SCALE, strict=True))
QUALITIES: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "aug7": (0, 4, 8, 10),
    "7(b5,*5)": (0, 4, 6, 10),
    "min7": (0, 3, 7, 10),
    "minmaj7": (0, 3, 7, 11),
    "hdim7": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9),
    "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
    "sus4(b7)": (0, 5, 7, 10),
    "9": (0, 4, 7, 10, 2),
    "maj9": (0, 4, 7, 11, 2),
    "min9": (0, 3, 7, 10, 2),
    "13": (0, 4, 7, 10, 2, 9),
    "11": (0, 4, 7, 10, 2, 5),
    "7(*5)": (0, 4, 10),
    "min7(*5)": (0, 3, 10),
    "maj7(*5)": (0, 4, 11),
    "maj(*5)": (0, 4),
    "min(*5)": (0, 3),
    "5": (0, 7),
    "1": (0,),
}
"""Semitones above the root, in the order in which `quality_of` prefers them: common ones first, and at the end
those without a third or a fifth, for chords of which no more is sure. "*5" is Harte's "without the fifth"."""

_HARTE_SPELLING = {"aug7": "aug(b7)"}
_SHORTHANDS = QUALITIES | {
    "": (0, 4, 7),
    "6": (0, 4, 7, 9),
    "maj11": (0, 4, 7, 11, 2, 5),
    "min11": (0, 3, 7, 10, 2, 5),
    "maj13": (0, 4, 7, 11, 2, 9),
    "min13": (0, 3, 7, 10, 2, 9),
}
_LABEL = re.compile(
    r"(?P<root>[A-G][#b]*)(:(?P<shorthand>[a-z]*\d*)(\((?P<degrees>[^()]*)\))?)?(/(?P<bass>[#b]*\d+))?"
)
_DEGREE = re.compile(r"(?P<without>\*?)(?P<alter>[#b]*)(?P<number>\d+)")


@dataclass(frozen=True)
class Chord:
    """A chord over a stretch of beats. `root` and `bass` are pitch classes; `root` None is "no chord"."""

    start: float
    end: float
    root: int | None = None
    quality: str = "maj"
    bass: int | None = None

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """From the root upwards; empty for "no chord"."""
        if self.root is None:
            return ()
        return tuple((self.root + interval) % 12 for interval in QUALITIES[self.quality])

    @property
    def bass_pitch_class(self) -> int | None:
        return self.root if self.bass is None else self.bass

    @property
    def label(self) -> str:
        if self.root is None:
            return "N"
        name = f"{NOTE_NAMES[self.root]}:{_HARTE_SPELLING.get(self.quality, self.quality)}"
        if self.bass is None or self.bass == self.root:
            return name
        degree = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")[
            (self.bass - self.root) % 12
        ]
        return f"{name}/{degree}"

    def transposed(self, semitones: int) -> "Chord":
        if self.root is None:
            return self
        bass = None if self.bass is None else (self.bass + semitones) % 12
        return replace(self, root=(self.root + semitones) % 12, bass=bass)


def pitch_class(name: str) -> int:
    """ "F#" -> 6. Raises ValueError for anything but a letter A to G with sharps or flats."""
    if not name or name[0] not in _STEPS or set(name[1:]) - set("#b-"):
        raise ValueError(f"expected a note name such as F# or Bb, got {name!r}")
    return (_STEPS[name[0]] + name.count("#") - name[1:].count("b") - name.count("-")) % 12


def parse_chord(label: str, start: float, end: float) -> Chord:
    """Reads a label in Harte's syntax. A chord that no quality of `QUALITIES` spells loses notes, and gains none.

    Raises ValueError for anything else.
    """
    text = label.strip()
    if text in ("N", "X", ""):
        return Chord(start, end)
    match = _LABEL.fullmatch(text)
    if match is None or (match["shorthand"] or "") not in _SHORTHANDS:
        raise ValueError(f"expected a chord in Harte's syntax, such as A:min7/b3 or N, got {label!r}")
    root = pitch_class(match["root"])
    intervals = _with_degrees(match["shorthand"], match["degrees"], label)
    bass = None if match["bass"] is None else (root + _degree(match["bass"], label)[1]) % 12
    return Chord(start, end, root, quality_of(intervals), None if bass == root else bass)


def _with_degrees(shorthand: str | None, degrees: str | None, label: str) -> frozenset[int]:
    """Intervals of "7(b9,*5)". A listed b5 stands in place of the 5, as many writers mean it."""
    if not shorthand and degrees is not None:
        return frozenset({0, *(_degree(degree, label)[1] for degree in degrees.split(",") if degree.strip())})
    intervals = set(_SHORTHANDS[shorthand or ""])
    listed = [_degree(degree, label) for degree in (degrees or "").split(",") if degree.strip()]
    for without, interval, natural in listed:
        if not without:
            intervals.discard(natural)
        elif interval in intervals:
            intervals.discard(interval)
        else:  # "min(*3)" for "min(*b3)"
            intervals -= {interval - 1, interval + 1}
    return frozenset(intervals | {interval for without, interval, _ in listed if not without})


def _degree(text: str, label: str) -> tuple[bool, int, int]:
    """ "*b7" -> (left out, its interval, the interval of the plain degree)."""
    match = _DEGREE.fullmatch(text.strip())
    if match is None or not 1 <= int(match["number"]) <= 13:
        raise ValueError(f"expected a degree such as b7 or *5 in the chord {label!r}, got {text!r}")
    natural = MAJOR_SCALE[(int(match["number"]) - 1) % 7]
    alter = match["alter"].count("#") - match["alter"].count("b")
    return bool(match["without"]), (natural + alter) % 12, natural


def quality_of(intervals: frozenset[int]) -> str:
    """The quality with the most notes of those whose notes are all among `intervals` (semitones above the root)."""
    known = intervals | {0}
    return max(
        (quality for quality, notes in QUALITIES.items() if known.issuperset(notes)),
        key=lambda quality: len(QUALITIES[quality]),
    )
