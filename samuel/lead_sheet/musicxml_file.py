"""Lead sheets as MusicXML, written with music21: bars with chord symbols over rests, metre, key, tempo.

MusicXML counts quarters: a tempo a bar says how long they are, and a field "first-beat" in its metadata when the
first one is, in seconds. Repeats are played out. A file without a tempo is read at 120 bpm, as players play it, with
"tempo" and "beats" unsure.
"""

import contextlib
import warnings
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from samuel.lead_sheet.chord import NOTE_NAMES, Chord
from samuel.lead_sheet.notation.musicxml import Sheet, read_musicxml
from samuel.lead_sheet.notation.written import ScoreError, refuse_endless
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
    quarters = sheet.metre.quarters

    part: Any = m21.stream.Part(id="chords")
    tempo, length_before = 0.0, 0
    for number, (start, end) in enumerate(pairwise(edges), 0 if down[0] else 1):
        measure: Any = m21.stream.Measure(number=number)
        if end - start != length_before and number:
            length_before = end - start
            ratio = metre_name(replace(sheet.metre, beats=end - start))
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
    try:
        sheet = read_musicxml(path)
        order, written = sheet.play_order(), sheet.bars()
        bars = [written[index] for index in order]
        starts = [float(start) for start in accumulate((length for _, length in bars), initial=Fraction(0))]
        refuse_endless(starts[-1])
    except ScoreError as error:
        raise LeadSheetError(str(error)) from error
    part = max(sheet.parts, key=lambda part: sum(len(measure.symbols) for measure in part.measures))
    played = [
        (start, part.measures[index])
        for index, start in zip(order, starts, strict=False)
        if index < len(part.measures)
    ]
    symbols = [(start + float(at), symbol) for start, measure in played for at, symbol in measure.symbols]
    ends = [at for at, _ in symbols[1:]] + starts[-1:]
    chords = [symbol.over(at, end) for (at, symbol), end in zip(symbols, ends, strict=True) if end > at]
    if not any(chord.root is not None for chord in chords):
        raise LeadSheetError(
            "MusicXML without chord symbols: write them over the bars, or give them with --chords"
        )
    held: Counter[Metre] = Counter()
    for (beats_a_bar, unit), length in bars:
        held[_metre(beats_a_bar, unit)] += length  # type: ignore[assignment]
    metre = max(held, key=lambda metre: held[metre])
    tempi = {start + float(at): bpm for start, measure in played for at, bpm in measure.tempi if bpm}
    paces = {0.0: next(iter(tempi.values()), PLAYED_BPM)} | tempi
    second = clock_of({at: 60 / bpm for at, bpm in paces.items()}, _first_beat(sheet))
    quarters = metre.quarters
    beats: list[float] = []
    downbeats: list[float] = []
    for number, (start, end) in enumerate(pairwise(starts)):
        count = max(1, round((end - start) / quarters))
        beats += [second(start + place * quarters) for place in range(count)]
        pickup = number == 0 and count < metre.beats and len(bars) > 1
        downbeats += [] if pickup else [second(start)]
    return LeadSheet(
        beats=tuple(beats),
        downbeats=tuple(downbeats),
        chords=tuple(replace(c, start=second(c.start), end=second(c.end)) for c in chords),
        key=next((_key(*measure.key) for measure in part.measures if measure.key), None),
        metre=metre,
        unsure=() if tempi else ("tempo", "beats"),
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


def _metre(beats: int, unit: int) -> Metre:
    try:
        return parse_metre(f"{beats}/{unit}")
    except LeadSheetError:
        return Metre(4)


def _first_beat(sheet: Sheet) -> float:
    with contextlib.suppress(ValueError):
        return float(sheet.fields.get(FIRST_BEAT, 0.0))
    return 0.0


def _key(fifths: int, mode: str) -> Key:
    tonic = (fifths * 7) % 12
    return Key((tonic + 9) % 12, "minor") if mode == "minor" else Key(tonic, "major")
