"""MusicXML file -> parts of measures, with time in quarters.

Read element by element after the specification (W3C MusicXML 4.0), and only what a song is made of. music21 was
used before: it played out repeats wrongly (8n bars became 24 and 2040), recursed without end at Roman numerals,
and took an added 7 for a major one.
"""

import re
import xml.etree.ElementTree as ElementTree
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from html import unescape
from itertools import zip_longest
from pathlib import Path
from xml.etree.ElementTree import Element

from samuel.lead_sheet.chord import MAJOR_SCALE
from samuel.lead_sheet.notation.chord_symbols import Symbol, read_harmony
from samuel.lead_sheet.notation.repeats import BarMarks, play_order
from samuel.lead_sheet.notation.written import ScoreError, Signature
from samuel.lead_sheet.notation.xml_text import count_of, number_of, text_of

_QUARTERS = {
    "breve": 8.0, "whole": 4.0, "half": 2.0, "quarter": 1.0, "eighth": 0.5, "16th": 0.25, "32nd": 0.125
}  # fmt: skip
_STEPS = dict(zip("CDEFGAB", MAJOR_SCALE, strict=True))
_UNITS = (1, 2, 4, 8, 16, 32, 64)
MOST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class SheetNote:
    """`start` is counted from the measure's. `verses` are (number of the verse, syllable)."""

    start: Fraction
    length: Fraction
    pitch: int
    staff: int = 1
    voice: str = ""
    ties_on: bool = False
    verses: tuple[tuple[str, str], ...] = ()

    def lyric(self, turn: int) -> str:
        """The syllable when the measure is played for the `turn`-th time: of that verse, or of the first."""
        return dict(self.verses).get(str(turn)) or next((text for _, text in self.verses if text), "")


@dataclass
class Measure:
    """`content` is how long it is by what stands in it, `implicit` says that it is no whole bar of its own.

    `symbols` are chord symbols with where they stand; `rootless` counts those that name no root. `signature` is in
    force, None where none has been written; `odd_signature` is what is written here and is none. `key` (fifths, mode)
    and `tempi` (where, quarters a minute) are there where they are written.
    """

    number: str
    signature: Signature | None = None
    odd_signature: str = ""
    implicit: bool = False
    content: Fraction = Fraction(0)
    notes: list[SheetNote] = field(default_factory=list)
    symbols: list[tuple[Fraction, Symbol]] = field(default_factory=list)
    rootless: int = 0
    marks: BarMarks = field(default_factory=BarMarks)
    key: tuple[int, str] | None = None
    tempi: list[tuple[Fraction, float]] = field(default_factory=list)


@dataclass
class Part:
    name: str
    measures: list[Measure]


@dataclass(frozen=True)
class Sheet:
    """`fields` are the miscellaneous ones, by name."""

    title: str
    composer: str
    fields: dict[str, str]
    parts: list[Part]

    def play_order(self) -> list[int]:
        """The indices of the measures as they are played. Raises ScoreError for too many."""
        count = max(len(part.measures) for part in self.parts)
        marks = [BarMarks() for _ in range(count)]
        for part in self.parts:
            for mark, measure in zip(marks, part.measures, strict=False):
                mark.add(measure.marks)
        codas = [mark for mark in marks if mark.coda]
        if len(codas) > 1 and not any(
            mark.to_coda for mark in marks
        ):  # one sign for where it is left for, too
            codas[0].coda, codas[0].to_coda = False, True
        return play_order(marks)

    def bars(self) -> list[tuple[Signature, Fraction]]:
        """Signature and quarters of each measure: of what stands in it, or a whole bar where nothing does."""
        together = list(zip_longest(*(part.measures for part in self.parts)))
        contents = [max(measure.content for measure in measures if measure) for measures in together]
        default = _likely_signature([content for content in contents if content])
        bars = []
        for measures, content in zip(together, contents, strict=True):
            beats, unit = next((m.signature for m in measures if m and m.signature), default)
            whole = Fraction(4 * beats, unit)
            same = content == 0 or abs(content - whole) < Fraction(1, 16)
            bars.append(((beats, unit), whole if same else content))
        return bars


def read_musicxml(path: Path) -> Sheet:
    """Raises ScoreError for what is not MusicXML, and for MusicXML that says what cannot be."""
    root = _partwise(_parsed(_xml_of(path)))
    names = {
        part.get("id"): text_of(part, "part-name") or text_of(part, "score-instrument/instrument-name")
        for part in root.iter("score-part")
    }
    parts = [
        Part(names.get(part.get("id"), ""), _PartReader().read(part))
        for part in root.iterfind("part[measure]")
    ]
    if not parts:
        raise ScoreError("it has no measures")
    return Sheet(
        title=text_of(root, "movement-title") or text_of(root, "work/work-title"),
        composer=next(
            (
                (creator.text or "").strip()
                for creator in root.findall("identification/creator")
                if creator.get("type", "composer") == "composer"
            ),
            "",
        ),
        fields={
            one.get("name", ""): (one.text or "").strip()
            for one in root.iterfind("identification/miscellaneous/miscellaneous-field")
        },
        parts=parts,
    )


def _likely_signature(contents: Sequence[Fraction]) -> Signature:
    """Where none is written: quarters, or eighths, as many as most measures have."""
    [(usual, _)] = Counter(contents).most_common(1) or [(Fraction(4), 1)]
    for unit in (4, 8):
        beats = usual * unit / 4
        if beats.denominator == 1 and 2 <= beats <= 12:
            return int(beats), unit
    return 4, 4


# -- files ---------------------------------------------------------------------------------------------


def _xml_of(path: Path) -> bytes:
    """The bytes of the score: of the file, or of the one that a compressed file's container names."""
    try:
        if not zipfile.is_zipfile(path):
            return path.read_bytes()
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            score = next(
                (name for name in names if name.endswith((".musicxml", ".xml")) and "META-INF" not in name),
                "",
            )
            if "META-INF/container.xml" in names:  # as text: some writers leave quotes in names as they are
                container = unescape(archive.read("META-INF/container.xml").decode("utf-8", "replace"))
                named = (name for name in names if f"'{name}'" in container or f'"{name}"' in container)
                score = next(named, score)
            if not score:
                raise ScoreError("it is an archive without a MusicXML file")
            if archive.getinfo(score).file_size > MOST_BYTES:
                raise ScoreError(f"it is larger than {MOST_BYTES >> 20} MiB unpacked")
            return archive.read(score)
    except ScoreError:
        raise
    except Exception as error:  # BadZipFile, zlib.error, RuntimeError (encrypted), EOFError, ...
        raise ScoreError(f"not readable as compressed MusicXML: {_line(error)}") from error


def _parsed(data: bytes) -> Element:
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ScoreError(f"not readable as MusicXML: {_line(error)}") from error


def _partwise(root: Element) -> Element:
    """A score by parts; one by measures is turned round."""
    if root.tag == "score-partwise":
        return root
    if root.tag != "score-timewise":
        raise ScoreError(f"not MusicXML: expected a score-partwise, got <{root.tag[:60]}>")
    turned = Element("score-partwise")
    turned.extend(child for child in root if child.tag != "measure")
    parts: dict[str, Element] = {}
    for measure in root.findall("measure"):
        for part in measure.findall("part"):
            identity = part.get("id", "")
            if identity not in parts:
                parts[identity] = ElementTree.SubElement(turned, "part", {"id": identity})
            ElementTree.SubElement(parts[identity], "measure", measure.attrib).extend(part)
    return turned


# -- measures ------------------------------------------------------------------------------------------


class _PartReader:
    """Walks through the measures of a part; what is written once holds until it changes."""

    def __init__(self) -> None:
        self.divisions = Fraction(1)
        self.signature: Signature | None = None
        self.transposition = 0

    def read(self, part: Element) -> list[Measure]:
        measures = []
        for index, element in enumerate(part.findall("measure"), 1):
            number = element.get("number") or str(index)
            try:
                measures.append(self._measure(element, number))
            except ScoreError as error:
                raise ScoreError(f"measure {number}: {error}") from error
        return measures

    def _measure(self, element: Element, number: str) -> Measure:
        measure = Measure(number, self.signature, implicit=element.get("implicit") == "yes")
        now = Fraction(0)
        begun = Fraction(0)  # of the last note, for those of its chord
        for child in element:
            if child.tag == "attributes":
                self._attributes(child, measure)
            elif child.tag == "note":
                length = Fraction(0) if child.find("grace") is not None else self._quarters(child, "duration")
                start = begun if child.find("chord") is not None else now
                self._note(child, measure, start, length)
                if child.find("chord") is None:
                    begun, now = now, now + length
            elif child.tag == "backup":
                now = max(Fraction(0), now - self._quarters(child, "duration"))
            elif child.tag == "forward":
                now += self._quarters(child, "duration")
            elif child.tag == "harmony":
                offset = now + self._quarters(child, "offset")
                symbol = read_harmony(child)
                if symbol is None:
                    measure.rootless += 1
                else:
                    measure.symbols.append((max(Fraction(0), offset), symbol.transposed(self.transposition)))
            elif child.tag == "barline":
                _read_barline(child, measure.marks)
            elif child.tag in ("direction", "sound"):
                _read_direction(child, measure, now + self._quarters(child, "offset"))
            measure.content = max(measure.content, now)
        measure.symbols.sort(key=lambda placed: placed[0])
        return measure

    def _quarters(self, element: Element, tag: str) -> Fraction:
        return number_of(element, tag, 0) / self.divisions

    def _attributes(self, element: Element, measure: Measure) -> None:
        if element.find("divisions") is not None:
            self.divisions = number_of(element, "divisions", 1)
            if self.divisions <= 0:
                raise ScoreError("expected a positive number of divisions")
        time = element.find("time")
        if time is not None:
            self._time(time, measure)
        key = element.find("key")
        if key is not None and key.find("fifths") is not None:
            fifths = int(number_of(key, "fifths", 0))
            measure.key = (fifths + 7 * self.transposition, text_of(key, "mode").lower())
        transpose = element.find("transpose")
        if transpose is not None:
            octaves = int(number_of(transpose, "octave-change", 0))
            self.transposition = int(number_of(transpose, "chromatic", 0)) + 12 * octaves

    def _time(self, time: Element, measure: Measure) -> None:
        beats = [(text.text or "").strip() for text in time.findall("beats")]
        units = [(text.text or "").strip() for text in time.findall("beat-type")]
        if len(beats) == len(units) == 1:
            count, unit = count_of(beats[0]) or 0, count_of(units[0])
            if 1 <= count <= 64 and unit in _UNITS:
                self.signature = measure.signature = count, unit
                return
        written = " + ".join(f"{beat[:9]}/{unit[:9]}" for beat, unit in zip(beats, units, strict=False))
        measure.odd_signature = written or "none"

    def _note(self, element: Element, measure: Measure, start: Fraction, length: Fraction) -> None:
        """Rests, grace notes, cues and drums are left out."""
        pitch = element.find("pitch")
        if pitch is None or length <= 0 or element.find("cue") is not None:
            return
        step = text_of(pitch, "step").upper()
        if step not in _STEPS:
            raise ScoreError(f"expected a step from A to G, got {step!r}")
        octave, alter = int(number_of(pitch, "octave", 4)), round(number_of(pitch, "alter", 0))
        midi = 12 * (octave + 1) + _STEPS[step] + alter + self.transposition
        if not 0 <= midi <= 127:
            raise ScoreError(f"expected a pitch that can be played, got {step} in octave {octave}")
        verses = tuple(
            (
                lyric.get("number", "1"),
                " ".join((text.text or "").strip() for text in lyric.findall("text")),
            )
            for lyric in element.findall("lyric")
        )
        ties = [*element.findall("tie"), *element.findall("notations/tied")]
        measure.notes.append(
            SheetNote(
                start,
                length,
                midi,
                staff=int(number_of(element, "staff", 1)),
                voice=text_of(element, "voice").zfill(4),
                ties_on=any(tie.get("type") == "start" for tie in ties),
                verses=verses,
            )
        )


def _read_barline(element: Element, marks: BarMarks) -> None:
    repeat, ending = element.find("repeat"), element.find("ending")
    if repeat is not None and repeat.get("direction") == "forward":
        marks.forward = True
    elif repeat is not None:
        marks.backward = True
        marks.times = count_of(repeat.get("times", "")) or 0
    if ending is not None and ending.get("type") == "start":
        marks.endings = _passes(ending.get("number", ""))
    elif ending is not None:
        marks.ending_stops = True
    marks.segno |= element.find("segno") is not None or "segno" in element.attrib
    marks.coda |= "coda" in element.attrib


def _passes(text: str) -> frozenset[int]:
    """ "1, 2" and "1-2" -> 1 and 2."""
    passes: set[int] = set()
    for first, last in re.findall(r"(\d{1,2})(?:\s*-\s*(\d{1,2}))?", text):
        passes.update(range(int(first), int(last or first) + 1))
    return frozenset(passes)


_WORDS = {
    "da_capo": re.compile(r"\bd\.?\s*c\b|\bda\s*capo", re.I),
    "dal_segno": re.compile(r"\bd\.?\s*s\b|\bdal\s*segno", re.I),
    "to_coda": re.compile(r"\bto\s*coda", re.I),
    "fine": re.compile(r"^\W*fine\W*$", re.I),
}
_SOUNDS = {
    "dacapo": "da_capo", "dalsegno": "dal_segno", "tocoda": "to_coda", "fine": "fine", "coda": "coda", "segno": "segno"
}  # fmt: skip


def _read_direction(element: Element, measure: Measure, at: Fraction) -> None:
    """Jumps, by their sound where it is written and else by their words, and the tempo."""
    sounds = [element] if element.tag == "sound" else element.findall("sound")
    told = {
        _SOUNDS[name]
        for sound in sounds
        for name, value in sound.attrib.items()
        if name in _SOUNDS and value != "no"
    }
    if not told:
        words = " ".join((word.text or "").strip() for word in element.findall("direction-type/words"))
        told = {name for name, pattern in _WORDS.items() if pattern.search(words)}
    for name in told:
        setattr(measure.marks, name, True)
    if "to_coda" not in told:
        measure.marks.coda |= element.find("direction-type/coda") is not None
    measure.marks.segno |= element.find("direction-type/segno") is not None
    if (tempo := _tempo(element, sounds)) is not None:
        measure.tempi.append((max(Fraction(0), at), tempo))


def _tempo(element: Element, sounds: list[Element]) -> float | None:
    """Quarters a minute, as heard or as written."""
    for sound in sounds:
        if (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*", sound.get("tempo", ""))) is not None:
            return float(match[1])
    metronome = element.find("direction-type/metronome")
    if metronome is None or text_of(metronome, "beat-unit") not in _QUARTERS:
        return None
    match = re.search(r"\d+(?:\.\d+)?", text_of(metronome, "per-minute"))
    unit = _QUARTERS[text_of(metronome, "beat-unit")]
    dots = len(metronome.findall("beat-unit-dot"))
    return None if match is None else float(match[0]) * unit * (2 - 0.5**dots)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
