"""MusicXML lead sheet (melody, chord symbols, perhaps lyrics) -> Score, read with music21."""

import contextlib
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from samuel.rendering.harmony import Chord, quality_of
from samuel.rendering.midi_score import estimate_key
from samuel.rendering.score import Key, Metre, Note, Score, ScoreError, single_voice


def read_lead_sheet(path: Path) -> Score:
    """Repeats are played out where they are well formed. Raises ScoreError without melody or chords."""
    import music21

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sheet: Any = music21.converter.parse(path, forceSource=True)
    except Exception as error:
        raise ScoreError(
            f"{path.name} is not readable as MusicXML ({type(error).__name__}: {error})"
        ) from error
    if not sheet.parts:
        raise ScoreError(f"{path.name} has no part")
    part = sheet.parts[0]
    with contextlib.suppress(music21.exceptions21.Music21Exception):  # badly formed: once through
        part = part.expandRepeats()
    measures = list(part.getElementsByClass("Measure"))
    flat = part.flatten()

    signature = next(iter(flat.getElementsByClass("TimeSignature")), None)
    metre, beat_quarters = _metre(signature.ratioString if signature else "4/4")
    pickup = _pickup(measures, metre.beats * beat_quarters)

    def to_beat(quarters: float) -> float:
        return float((quarters + pickup) / beat_quarters)

    melody = single_voice(_melody(flat, to_beat))
    if not melody:
        raise ScoreError(f"{path.name} has no melody")
    last = max(to_beat(flat.highestTime), melody[-1].end)
    chords = _chords(flat, to_beat, last)
    if not any(chord.root is not None for chord in chords):
        raise ScoreError(f"{path.name} has no chord symbols: a lead sheet needs melody and chords")
    mark = next((m.getQuarterBPM() for m in flat.getElementsByClass("MetronomeMark") if m.number), None)
    metadata = sheet.metadata
    return Score(
        title=(metadata.title if metadata and metadata.title else path.stem).replace("_", " ").strip(),
        artist=(metadata.composer if metadata and metadata.composer else "").strip(),
        melody=melody,
        chords=chords,
        metre=metre,
        key=_key(flat, melody, chords),
        beats_per_minute=None if mark is None else float(mark / beat_quarters),
    )


def _metre(ratio: str) -> tuple[Metre, float]:
    """The metre, and a beat's length in quarters."""
    beats, unit = (int(x) for x in ratio.split("/"))
    if unit >= 8 and beats % 3 == 0:
        return Metre(beats // 3, 3), 12.0 / unit
    return Metre(beats), 4.0 / unit


def _pickup(measures: list, bar_quarters: float) -> float:
    """Quarters of silence before the first note that make a short first measure a whole bar."""
    if not measures:
        return 0.0
    first = float(measures[0].duration.quarterLength)
    return bar_quarters - first if 0 < first < bar_quarters else 0.0


def _melody(flat, to_beat) -> list[Note]:
    """Tied notes become one; grace notes, which have no length, are left out."""
    notes: list[Note] = []
    tied = False
    for element in flat.notes:
        if "ChordSymbol" in element.classes or element.duration.quarterLength == 0:
            continue
        start = to_beat(element.offset)
        end = to_beat(element.offset + element.duration.quarterLength)
        pitch = max(p.midi for p in element.pitches) if element.pitches else None
        if pitch is None:
            continue
        if tied and notes and notes[-1].pitch == pitch:
            notes[-1] = replace(notes[-1], end=end)
        else:
            notes.append(Note(start, end, int(pitch), (element.lyric or "").split("\n")[0]))
        tied = element.tie is not None and element.tie.type in ("start", "continue")
    return notes


def _chords(flat, to_beat, last: float) -> tuple[Chord, ...]:
    """A symbol holds until the next; the first one also covers the beats before it."""
    symbols: list[Chord] = []
    for symbol in flat.getElementsByClass("ChordSymbol"):
        start = round(to_beat(symbol.offset) * 2) / 2
        if symbol.chordKind == "none" or symbol.root() is None:
            symbols.append(Chord(start, last))
            continue
        root = symbol.root().pitchClass
        intervals = frozenset((pitch.pitchClass - root) % 12 for pitch in symbol.pitches)
        bass = symbol.bass().pitchClass
        symbols.append(Chord(start, last, root, quality_of(intervals), None if bass == root else bass))
    if not symbols:
        return ()
    symbols[0] = replace(symbols[0], start=0.0)
    ends = [symbol.start for symbol in symbols[1:]] + [last]
    return tuple(replace(s, end=end) for s, end in zip(symbols, ends, strict=True) if end > s.start)


def _key(flat, melody: tuple[Note, ...], chords: tuple[Chord, ...]) -> Key:
    """The written key signature; its mode, where not written, is the better fit of the two."""
    estimated = estimate_key(melody, chords)
    signature = next(iter(flat.getElementsByClass("KeySignature")), None)
    if signature is None:
        return estimated
    tonic = (signature.sharps * 7) % 12
    major, minor = Key(tonic, "major"), Key((tonic + 9) % 12, "minor")
    mode = getattr(signature, "mode", None)
    if mode in ("major", "minor"):
        return major if mode == "major" else minor
    return estimated if estimated in (major, minor) else major
