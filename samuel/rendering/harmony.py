"""Chords: labels in Harte's syntax, and the pitch classes they stand for.

Pitch classes are 0 to 11 with C = 0. Labels are those of mir_eval.chord (Harte et al., "Symbolic
representation of musical chords", ISMIR 2005): "C:maj7", "A:min/b3", "N" for no chord.
"""

from dataclasses import dataclass, replace

NOTE_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_DEGREES = {"1": 0, "2": 2, "3": 4, "4": 5, "5": 7, "6": 9, "7": 11, "9": 2, "11": 5, "13": 9}

QUALITIES: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "minmaj7": (0, 3, 7, 11),
    "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10),
    "aug7": (0, 4, 8, 10),
    "sus4(b7)": (0, 5, 7, 10),
    "9": (0, 4, 7, 10, 2),
    "maj9": (0, 4, 7, 11, 2),
    "min9": (0, 3, 7, 10, 2),
    "11": (0, 4, 7, 10, 2, 5),
    "13": (0, 4, 7, 10, 2, 9),
}
_HARTE_SPELLING = {"aug7": "aug(b7)"}
_ALIASES = {
    "": "maj",
    "aug(b7)": "aug7",
    "6": "maj6",
    "min11": "min9",
    "maj13": "maj9",
    "1": "maj",
    "5": "maj",
}


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
    """Reads a label in Harte's syntax. Unknown qualities fall back to the longest known beginning."""
    if label in ("N", "X", ""):
        return Chord(start, end)
    body, _, degree = label.partition("/")
    root_name, _, quality = body.partition(":")
    root = pitch_class(root_name)
    bass = None
    if degree:
        number = degree.lstrip("b#")
        bass = (root + _DEGREES[number] + degree.count("#") - degree.count("b")) % 12
    return Chord(start, end, root, known_quality(quality), bass)


def known_quality(quality: str) -> str:
    """The nearest quality of `QUALITIES`: "min11" -> "min9", "maj(9)" -> "maj"."""
    while _ALIASES.get(quality, quality) not in QUALITIES:
        quality = quality[:-1]
    return _ALIASES.get(quality, quality)


def quality_of(intervals: frozenset[int]) -> str:
    """The quality whose pitch classes above the root overlap `intervals` best (Jaccard)."""

    def overlap(quality: str) -> float:
        chord = set(QUALITIES[quality])
        return len(chord & intervals) / len(chord | intervals)

    return max(QUALITIES, key=overlap)
