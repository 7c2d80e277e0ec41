"""MusicXML lead sheet (melody, chord symbols, perhaps lyrics) -> Score.

The melody is the part whose name says that it is sung (`sung_track`), else the first with words, else the first.
Chord symbols are its own, or another part's; without any, chords are estimated from the other parts.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

from samuel.lead_sheet.chord import Chord
from samuel.lead_sheet.notation.chord_symbols import Symbol
from samuel.lead_sheet.notation.musicxml import Measure, Part, Sheet, SheetNote, read_musicxml
from samuel.lead_sheet.notation.written import Note, ScoreError, Signature, refuse_endless
from samuel.lead_sheet.signatures import Key, Metre
from samuel.rendering.bars import BarGrid, grid_of
from samuel.rendering.chord_estimate import estimate_chords
from samuel.rendering.keys import estimate_key, find_key
from samuel.rendering.score import Score, single_voice, tempo_or_none
from samuel.rendering.sung_track import Candidate, sung

_MODES = {"dorian": 2, "phrygian": 4, "lydian": 5, "mixolydian": 7, "aeolian": 9, "minor": 9, "locrian": 11}
"""Semitones from the tonic of the major key with the same signature."""
_MAJOR_MODES = ("lydian", "mixolydian")


def read_musicxml_score(path: Path) -> Score:
    """Repeats are played out. Raises ScoreError for what is not MusicXML, and without melody or chords."""
    try:
        return _score(read_musicxml(path), path.stem)
    except ScoreError as error:
        raise ScoreError(f"{path.name}: {error}") from error


def _score(sheet: Sheet, name: str) -> Score:
    odd = next((m for part in sheet.parts for m in part.measures if m.odd_signature), None)
    if odd is not None:
        raise ScoreError(
            f"measure {odd.number}: expected one time signature such as 4/4 or 6/8, got {odd.odd_signature}"
        )
    order = sheet.play_order()
    bars = sheet.bars()
    grid, metre = grid_of(
        [(signature, float(length)) for signature, length in (bars[index] for index in order)],
        upbeats=_upbeats(order, bars, implicit=any(part.measures[0].implicit for part in sheet.parts)),
    )
    starts = list(accumulate((bars[index][1] for index in order), initial=Fraction(0)))
    refuse_endless(float(starts[-1]))
    played = [_Player(part, order, starts, grid) for part in sheet.parts]

    melodies = [player.melody() for player in played]
    singing = sung(
        [
            Candidate(part.name, notes, sum(bool(note.lyric) for note in notes))
            if notes
            else Candidate("", ())
            for part, notes in zip(sheet.parts, melodies, strict=True)
        ]
    )
    singing = singing or [index for index, notes in enumerate(melodies) if notes][:1]
    melody = single_voice([note for index in singing for note in melodies[index]])
    if not melody:
        raise ScoreError("it has no melody")
    last = max(grid.onset(float(starts[-1])), melody[-1].end)
    chords = _chords(played, singing, melody, metre, last)
    if not any(chord.root is not None for chord in chords):
        raise ScoreError("it has no chord symbols: a lead sheet needs melody and chords")
    measures = sheet.parts[singing[0]].measures
    tempi = (bpm for part in sheet.parts for measure in part.measures for _, bpm in measure.tempi[:1] if bpm)
    tempo = next(tempi, None)
    return Score(
        title=(sheet.title or name).replace("_", " ").strip(),
        artist=sheet.composer,
        melody=melody,
        chords=chords,
        metre=metre,
        key=find_key(melody, chords, _written_key(measures, melody, chords)),
        beats_per_minute=tempo_or_none(None if tempo is None else tempo / grid.beat),
    )


def _upbeats(
    order: Sequence[int], bars: Sequence[tuple[Signature, Fraction]], *, implicit: bool
) -> frozenset[int]:
    """Where the first measure is played, if it is short and leads to a whole one."""
    (beats, unit), first = bars[0]
    whole = Fraction(4 * beats, unit)
    if first >= whole or not (implicit or (len(bars) > 1 and bars[1][1] == whole)):
        return frozenset()
    return frozenset(turn for turn, index in enumerate(order) if index == 0)


class _Player:
    """A part in the order in which it is played. `starts` are its measures' in quarters of what is played."""

    def __init__(self, part: Part, order: Sequence[int], starts: Sequence[Fraction], grid: BarGrid) -> None:
        self.part, self.grid = part, grid
        self.measures: list[tuple[Measure, Fraction, int]] = []
        turns: Counter[int] = Counter()
        for index, start in zip(order, starts, strict=False):
            if index < len(part.measures):
                turns[index] += 1
                self.measures.append((part.measures[index], start, turns[index]))

    def melody(self) -> list[Note]:
        """The first voice of the first staff, its highest note where it has chords. Tied notes become one."""
        staffs = [note.staff for measure in self.part.measures for note in measure.notes]
        staff = min(staffs, default=1)
        notes: list[Note] = []
        tied = False
        for measure, begin, turn in self.measures:
            inside = [note for note in measure.notes if note.staff == staff]
            voice = min((note.voice for note in inside), default="")
            highest: dict[Fraction, SheetNote] = {}
            for note in inside:
                if note.voice == voice and (
                    note.start not in highest or note.pitch > highest[note.start].pitch
                ):
                    highest[note.start] = note
            for note in sorted(highest.values(), key=lambda note: note.start):
                start, end = self.grid.span(
                    float(begin + note.start), float(begin + note.start + note.length)
                )
                if tied and notes[-1].pitch == note.pitch and abs(notes[-1].end - start) < 1e-3:
                    notes[-1] = replace(notes[-1], end=end)
                else:
                    notes.append(Note(start, end, note.pitch, note.lyric(turn)))
                tied = note.ties_on
        return notes

    def all_notes(self) -> list[Note]:
        return [
            Note(
                *self.grid.span(float(begin + note.start), float(begin + note.start + note.length)),
                note.pitch,
            )
            for measure, begin, _ in self.measures
            for note in measure.notes
        ]

    def symbols(self) -> list[tuple[float, Symbol]]:
        placed = [
            (self.grid.onset(float(begin + offset)), symbol)
            for measure, begin, _ in self.measures
            for offset, symbol in measure.symbols
        ]
        return sorted(placed, key=lambda one: one[0])


def _chords(
    played: Sequence[_Player], singing: Sequence[int], melody: Sequence[Note], metre: Metre, last: float
) -> tuple[Chord, ...]:
    """A symbol holds until the next; the first one also covers the beats before it."""
    by_part = [player.symbols() for player in played]
    lettered = [index for index, placed in enumerate(by_part) if any(s.root is not None for _, s in placed)]
    if not lettered:
        return _without_symbols(played, singing, melody, metre)
    own = [index for index in lettered if index in singing]
    symbols = by_part[own[0] if own else max(lettered, key=lambda index: len(by_part[index]))]
    division = metre.division
    starts = [0.0, *(round(beat * division) / division for beat, _ in symbols[1:])]
    ends = [*starts[1:], last]
    return tuple(
        symbol.over(start, end)
        for (_, symbol), start, end in zip(symbols, starts, ends, strict=True)
        if end > start
    )


def _without_symbols(
    played: Sequence[_Player], singing: Sequence[int], melody: Sequence[Note], metre: Metre
) -> tuple[Chord, ...]:
    rootless = next((m.number for player in played for m in player.part.measures if m.rootless), None)
    if rootless is not None:
        raise ScoreError(
            f"measure {rootless} has a chord without a root: expected chord symbols with letters, such as C or "
            "F#m7, not Roman numerals"
        )
    others = [note for i, player in enumerate(played) if i not in singing for note in player.all_notes()]
    return estimate_chords(others, metre, melody)


def _written_key(
    measures: Sequence[Measure], melody: tuple[Note, ...], chords: tuple[Chord, ...]
) -> Key | None:
    """Of the first key signature; its mode, where not written, is the better fit of major and minor."""
    fifths, mode = next((measure.key for measure in measures if measure.key is not None), (None, ""))
    if fifths is None:
        return None
    major = (fifths * 7) % 12
    if mode in _MODES:
        return Key((major + _MODES[mode]) % 12, "major" if mode in _MAJOR_MODES else "minor")
    relatives = Key(major, "major"), Key((major + 9) % 12, "minor")
    estimated = estimate_key(melody, chords)
    return estimated if mode not in ("major", "ionian") and estimated in relatives else relatives[0]
