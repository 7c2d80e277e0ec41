"""Lead sheets as MusicXML, with music21: bars with chord symbols over rests, metre, key, tempo.

MusicXML counts quarters: a tempo a bar says how long they are, and a field "first-beat" in its metadata when the
first one is, in seconds. Repeats are played out. A file without a tempo is read at 120 bpm, as players play it, with
"tempo" and "beats" unsure.
"""

import contextlib
import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from samuel.lead_sheet.chord import NOTE_NAMES, Chord, quality_of
from samuel.lead_sheet.sheet import SAME_TIME, LeadSheet, LeadSheetError
from samuel.lead_sheet.signatures import Key, Metre
from samuel.lead_sheet.tempo_map import clock_of
from samuel.lead_sheet.text import metre_name, parse_metre

KINDS = {
    "maj": "major", "min": "minor", "dim": "diminished", "aug": "augmented", "sus2": "suspended-second",
    "sus4": "suspended-fourth", "maj6": "major-sixth", "min6": "minor-sixth", "7": "dominant-seventh",
    "maj7": "major-seventh", "min7": "minor-seventh", "minmaj7": "minor-major-seventh", "dim7": "diminished-seventh",
    "hdim7": "half-diminished-seventh", "aug7": "augmented-seventh", "sus4(b7)": "suspended-fourth-seventh",
    "9": "dominant-ninth", "maj9": "major-ninth", "min9": "minor-ninth", "11": "dominant-11th", "13": "dominant-13th",
    "5": "power", "1": "pedal",
}  # fmt: skip
"""Each quality as MusicXML names it."""

CHANGED = {
    "maj(*5)": ("maj", "subtract", None), "min(*5)": ("min", "subtract", None), "7(*5)": ("7", "subtract", None),
    "min7(*5)": ("min7", "subtract", None), "maj7(*5)": ("maj7", "subtract", None), "7(b5,*5)": ("7", "alter", -1),
}  # fmt: skip
"""Qualities that are others of which the fifth is left out or lowered."""

_QUALITIES = {kind: quality for quality, kind in KINDS.items()}
FIRST_BEAT = "first-beat"
PLAYED_BPM = 120.0
SAME_TEMPO = 0.002  # share by which a bar's tempo may differ before it is written anew
GRID = 24  # places of a beat at which a chord may begin


def write(sheet: LeadSheet, path: Path) -> None:
    """Raises LeadSheetError without beats and downbeats."""
    import music21 as m21

    if len(sheet.beats) < 2 or not sheet.downbeats:
        raise LeadSheetError("MusicXML needs beats and downbeats, and this lead sheet has none")
    beats = list(sheet.beats)
    down = [min(range(len(beats)), key=lambda i: abs(beats[i] - time)) for time in sheet.downbeats]
    edges = ([0] if down[0] else []) + [*down, max(len(beats), down[-1] + 1)]
    edges[-1] = max(edges[-1], down[-1] + sheet.metre.beats)
    step = beats[-1] - beats[-2]
    while len(beats) <= edges[-1]:
        beats.append(beats[-1] + step)
    quarters = 1.5 if sheet.metre.division == 3 else 1.0

    part: Any = m21.stream.Part(id="chords")
    tempo, length_before = 0.0, 0
    for number, (start, end) in enumerate(pairwise(edges), 0 if down[0] else 1):
        measure: Any = m21.stream.Measure(number=number)
        if end - start != length_before and number:
            length_before = end - start
            ratio = metre_name(Metre(end - start, sheet.metre.division))
            measure.insert(0, m21.meter.TimeSignature(ratio))
        elif number == 0:
            measure.insert(0, m21.meter.TimeSignature(metre_name(sheet.metre)))
            length_before = sheet.metre.beats
        if start == 0 and sheet.key:
            measure.insert(0, m21.key.Key(_spelt(sheet.key.tonic), sheet.key.mode))
        exact = 60 * quarters * (end - start) / (beats[end] - beats[start])
        if abs(exact - tempo) > SAME_TEMPO * exact or (
            tempo and _adrift(beats, start, end, tempo / quarters)
        ):
            mark = (
                m21.tempo.MetronomeMark(numberSounding=exact)
                if tempo
                else m21.tempo.MetronomeMark(number=exact)
            )
            measure.insert(0, mark)
            tempo = exact
        measure.insert(0, m21.note.Rest(quarterLength=(end - start) * quarters))
        for chord in sheet.chords:
            at = round(float(np.interp(chord.start, beats, range(len(beats)))) * GRID) / GRID
            if start <= at < end:
                measure.insert((at - start) * quarters, _symbol(chord))
        part.append(measure)
    score: Any = m21.stream.Score([part])
    score.metadata = m21.metadata.Metadata(title="Lead sheet")
    score.metadata.addCustom(FIRST_BEAT, f"{sheet.beats[0]:.6f}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score.write("mxl" if path.suffix.lower() == ".mxl" else "musicxml", fp=str(path))


def read(path: Path) -> LeadSheet:
    """Raises LeadSheetError for what is no MusicXML, or has no chord symbols."""
    import music21 as m21

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            score: Any = m21.converter.parse(path, forceSource=True)
        part = next(iter(sorted(score.parts, key=lambda p: not p.recurse().getElementsByClass("Harmony"))))
    except Exception as error:  # music21 raises what the file happens to cause
        raise LeadSheetError(f"not readable as MusicXML ({type(error).__name__}: {error})") from error
    with contextlib.suppress(m21.exceptions21.Music21Exception):  # badly formed repeats: once through
        part = part.expandRepeats()
    flat = part.flatten()
    measures = [
        (float(m.offset), float(m.offset + m.duration.quarterLength))
        for m in part.getElementsByClass("Measure")
    ]
    if not measures:
        raise LeadSheetError("it has no bars")
    last = measures[-1][1]
    symbols = list(flat.getElementsByClass("ChordSymbol"))
    chords = _chords(symbols, last)
    if not any(chord.root is not None for chord in chords):
        raise LeadSheetError(
            "MusicXML without chord symbols: write them over the bars, or give them with --chords"
        )
    signatures = [(float(s.offset), s.ratioString) for s in flat.getElementsByClass("TimeSignature")] or [
        (0.0, "4/4")
    ]
    metre = _longest(signatures, last)
    marks = [
        (float(m.offset), float(m.getQuarterBPM(useNumberSounding=True)))
        for m in flat.getElementsByClass("MetronomeMark")
        if m.number or m.numberSounding
    ]
    tempi = {0.0: marks[0][1] if marks else PLAYED_BPM} | dict(marks)
    second = clock_of({at: 60 / bpm for at, bpm in tempi.items()}, _first_beat(score))
    quarters = 1.5 if metre.division == 3 else 1.0
    beats: list[float] = []
    downbeats: list[float] = []
    for number, (start, end) in enumerate(measures):
        count = max(1, round((end - start) / quarters))
        beats += [second(start + place * quarters) for place in range(count)]
        pickup = number == 0 and count < metre.beats and len(measures) > 1
        downbeats += [] if pickup else [second(start)]
    signature = next(iter(flat.getElementsByClass("KeySignature")), None)
    return LeadSheet(
        beats=tuple(beats),
        downbeats=tuple(downbeats),
        chords=tuple(replace(c, start=second(c.start), end=second(c.end)) for c in chords),
        key=None if signature is None else _key(signature),
        metre=metre,
        unsure=() if marks else ("tempo", "beats"),
    )


def _adrift(beats: list[float], start: int, end: int, bpm: float) -> bool:
    return abs((end - start) * 60 / bpm - (beats[end] - beats[start])) > SAME_TIME / 4


def _spelt(pitch: int) -> str:
    return NOTE_NAMES[pitch].replace("b", "-")


def _symbol(chord: Chord) -> Any:
    import music21 as m21

    if chord.root is None:
        return m21.harmony.NoChord()
    bass = None if chord.bass is None else _spelt(chord.bass)
    quality, change, semitones = CHANGED.get(chord.quality, (chord.quality, "", None))
    symbol = m21.harmony.ChordSymbol(root=_spelt(chord.root), kind=KINDS[quality], bass=bass)
    if change:
        symbol.addChordStepModification(m21.harmony.ChordStepModification(change, 5, semitones))
    return symbol


def _chords(symbols: list[Any], last: float) -> list[Chord]:
    """In quarters; a symbol holds until the next."""
    found = []
    for number, symbol in enumerate(symbols):
        start = float(symbol.offset)
        end = float(symbols[number + 1].offset) if number + 1 < len(symbols) else last
        if end <= start:
            continue
        root = None if symbol.chordKind == "none" else symbol.root()
        if root is None:
            found.append(Chord(start, end))
            continue
        intervals = frozenset((pitch.pitchClass - root.pitchClass) % 12 for pitch in symbol.pitches)
        bass = symbol.bass().pitchClass
        quality = None if symbol.chordStepModifications else _QUALITIES.get(symbol.chordKind)
        quality = quality or quality_of(intervals)
        found.append(Chord(start, end, root.pitchClass, quality, None if bass == root.pitchClass else bass))
    return found


def _longest(signatures: list[tuple[float, str]], last: float) -> Metre:
    held: dict[Metre, float] = {}
    for (start, ratio), (end, _) in pairwise([*signatures, (last, "")]):
        try:
            metre = parse_metre(ratio)
        except LeadSheetError:
            metre = Metre(4)
        held[metre] = held.get(metre, 0.0) + end - start
    return max(held, key=lambda metre: held[metre])


def _first_beat(score: Any) -> float:
    for value in score.metadata.getCustom(FIRST_BEAT) if score.metadata else ():
        with contextlib.suppress(ValueError):
            return float(str(value))
    return 0.0


def _key(signature: Any) -> Key:
    tonic = (signature.sharps * 7) % 12
    minor = getattr(signature, "mode", None) == "minor"
    return Key((tonic + 9) % 12, "minor") if minor else Key(tonic, "major")
