"""A chord symbol of MusicXML -> the notes of its chord, after the specification of <kind> and <degree>."""

from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

from samuel.lead_sheet import LeadSheetError
from samuel.lead_sheet.chord import MAJOR_SCALE, QUALITIES, Chord, pitch_class, quality_of
from samuel.lead_sheet.chord_names import parse_chord_name
from samuel.lead_sheet.notation.written import ScoreError
from samuel.lead_sheet.notation.xml_text import count_of, number_of, text_of

_TRIAD, _MINOR = (0, 4, 7), (0, 3, 7)
KINDS: dict[str, tuple[int, ...]] = {
    "major": _TRIAD,
    "minor": _MINOR,
    "augmented": (0, 4, 8),
    "diminished": (0, 3, 6),
    "dominant": (*_TRIAD, 10),
    "major-seventh": (*_TRIAD, 11),
    "minor-seventh": (*_MINOR, 10),
    "diminished-seventh": (0, 3, 6, 9),
    "augmented-seventh": (0, 4, 8, 10),
    "half-diminished": (0, 3, 6, 10),
    "major-minor": (*_MINOR, 11),
    "major-sixth": (*_TRIAD, 9),
    "minor-sixth": (*_MINOR, 9),
    "dominant-ninth": (*_TRIAD, 10, 2),
    "major-ninth": (*_TRIAD, 11, 2),
    "minor-ninth": (*_MINOR, 10, 2),
    "dominant-11th": (*_TRIAD, 10, 2, 5),
    "major-11th": (*_TRIAD, 11, 2, 5),
    "minor-11th": (*_MINOR, 10, 2, 5),
    "dominant-13th": (*_TRIAD, 10, 2, 5, 9),
    "major-13th": (*_TRIAD, 11, 2, 5, 9),
    "minor-13th": (*_MINOR, 10, 2, 5, 9),
    "suspended-second": (0, 2, 7),
    "suspended-fourth": (0, 5, 7),
    "suspended-fourth-seventh": (0, 5, 7, 10),  # music21's own
    "Tristan": (0, 3, 6, 10),
    "power": (0, 7),
}
"""Semitones above the root. Of kinds that are not here (pedal, other, the sixths named after nations, of which
programs take different notes for the root) only the root is sure."""
_SPELLINGS = {
    "dominant-seventh": "dominant",
    "minor-major": "major-minor",
    "half-diminished-seventh": "half-diminished",
    "augmented-ninth": "augmented-seventh",
    "maj69": "major-sixth",
    "": "major",
}
"""What files have in place of the specification's names."""
_DOMINANT_SCALE = (*MAJOR_SCALE[:6], 10)
_DEGREES = {1: (0,), 2: (1, 2), 3: (3, 4), 4: (5,), 5: (6, 7, 8), 6: (9,), 7: (10, 11)}
"""The intervals that may stand for a degree in a chord."""


@dataclass(frozen=True)
class Symbol:
    """`root` and `bass` are pitch classes; `root` None is "no chord", `bass` None the root."""

    root: int | None
    quality: str = "maj"
    bass: int | None = None

    def transposed(self, semitones: int) -> "Symbol":
        if self.root is None:
            return self
        bass = None if self.bass is None else (self.bass + semitones) % 12
        return replace(self, root=(self.root + semitones) % 12, bass=bass)

    def over(self, start: float, end: float) -> Chord:
        return Chord(start, end, self.root, self.quality, self.bass)


def read_harmony(element: Element) -> Symbol | None:
    """None for a symbol that names no root, such as a Roman numeral. Raises ScoreError for what cannot be."""
    kind, text = "", ""
    written = element.find("kind")
    if written is not None:
        kind, text = (written.text or "").strip(), written.get("text", "").strip()
    if kind == "none":
        return Symbol(None)
    root = _pitch_class(element, "root")
    if root is None:
        return None
    intervals = _intervals(kind, text)
    bass = _pitch_class(element, "bass")
    inversion = count_of(text_of(element, "inversion"))
    if bass is None and inversion is not None and inversion < len(intervals):
        bass = (root + intervals[inversion]) % 12
    notes = set(intervals)
    for degree in element.findall("degree"):
        _apply(degree, notes)
    return Symbol(root, quality_of(frozenset(notes)), None if bass == root else bass)


def _intervals(kind: str, text: str) -> tuple[int, ...]:
    """Of a kind by its name; of another by what is printed for it; else the root alone."""
    kind = _SPELLINGS.get(kind, kind) if kind or not text else "other"
    if kind in KINDS:
        return KINDS[kind]
    try:
        return QUALITIES[parse_chord_name("C" + text).quality] if text else (0,)
    except LeadSheetError:
        return (0,)


def _apply(degree: Element, notes: set[int]) -> None:
    """An altered degree is counted from the chord's own, an added one from a dominant chord's (<degree-alter>)."""
    value = int(number_of(degree, "degree-value", 0))
    alter = round(number_of(degree, "degree-alter", 0))
    if not 1 <= value <= 13:
        raise ScoreError(f"expected a degree from 1 to 13 in a chord, got {value}")
    places = (9,) if value == 7 and notes >= {3, 6, 9} else _DEGREES[(value - 1) % 7 + 1]
    own = notes.intersection(places)
    kind = text_of(degree, "degree-type")
    if kind == "subtract":
        notes -= own
    elif kind == "alter" and own:
        interval = min(own, key=lambda interval: abs(interval - MAJOR_SCALE[(value - 1) % 7]))
        notes.discard(interval)
        notes.add((interval + alter) % 12)
    else:
        notes.add((_DOMINANT_SCALE[(value - 1) % 7] + alter) % 12)


def _pitch_class(element: Element, name: str) -> int | None:
    """Of <root> or <bass>; None where it is not there."""
    part = element.find(name)
    if part is None:
        return None
    step = text_of(part, f"{name}-step")
    try:
        return (pitch_class(step) + round(number_of(part, f"{name}-alter", 0))) % 12
    except ScoreError:
        raise
    except ValueError as error:
        raise ScoreError(f"expected a {name}-step from A to G, got {step[:20]!r}") from error
