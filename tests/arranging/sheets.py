"""Small lead sheets and voices, and what is right of the notes that are played for them."""

from dataclasses import replace

import numpy as np

from samuel.arranging import Arrangement, PlayedNote
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.chord import Chord
from samuel.lead_sheet.sheet import steady_beats
from samuel.lead_sheet.text import parse_chart, parse_metre
from samuel.vocals import VocalFeatures

CHART = "| C#m | G#m | E | B |"
ALL_KINDS = "| Am | F#m7b5 | C G/B | Bb13 | E7 A7 | G11 | Cmaj9/E | Gsus4 |"
EDGE = 0.06  # seconds: a note this near to a change may belong to either chord


def lead_sheet(
    chart: str = CHART,
    *,
    metre: str = "4/4",
    bpm: float = 120.0,
    first_beat: float = 0.4,
    seconds: float = 17.0,
    energy: float | None = None,
) -> LeadSheet:
    parsed = parse_metre(metre)
    beats, downbeats = steady_beats(bpm, first_beat, parsed, seconds)
    grid = LeadSheet(beats=beats, downbeats=downbeats, metre=parsed)
    levels = () if energy is None else ((0.0, energy),)
    return LeadSheet(
        beats, downbeats, parse_chart(chart).over(grid.bars) if chart else (), metre=parsed, energy=levels
    )


def voice(*notes: tuple[float, float, float], seconds: float, level: float = -20.0) -> VocalFeatures:
    """Sings (start, end, MIDI pitch)."""
    times = np.arange(0, seconds, 0.016)
    pitch, levels = np.full(len(times), np.nan), np.full(len(times), -80.0)
    for start, end, height in notes:
        inside = (times >= start) & (times < end)
        pitch[inside] = height + 0.2 * np.sin(30 * times[inside])
        levels[inside] = level
    return VocalFeatures(times, pitch, levels)


def notes_of(arrangement: Arrangement, part: str | None = None) -> list[PlayedNote]:
    """Of one part, or all pitched ones."""
    return [
        note
        for player in arrangement.parts
        if (not player.drums if part is None else player.name == part)
        for note in player.notes
    ]


def wrong_notes(arrangement: Arrangement, edge: float = EDGE) -> list[tuple[str, PlayedNote]]:
    """Notes that neither belong to the chord nor lead by step into a note that does."""
    sheet = arrangement.sheet

    def tones(*times: float) -> set[int | None]:
        chords = [chord for time in times if (chord := sheet.chord_at(time)) and chord.root is not None]
        return {pitch for chord in chords for pitch in (*chord.pitch_classes, chord.bass_pitch_class)}

    found = []
    for part in arrangement.parts:
        for number, note in enumerate([] if part.drums else part.notes):
            if note.pitch % 12 in tones(note.start - edge + EDGE, note.start, note.start + edge):
                continue
            following = next((n for n in part.notes[number + 1 :] if n.start > note.start + EDGE), None)
            leads = following is not None and 1 <= abs(following.pitch - note.pitch) <= 2
            if not (leads and following and following.pitch % 12 in tones(following.start + edge)):
                found.append((part.name, note))
    return found


def with_chord(sheet: LeadSheet, bar: int, root: int) -> LeadSheet:
    """The lead sheet with another chord in one bar."""
    start, end = sheet.bars[bar]
    others = [
        part
        for chord in sheet.chords
        for part in (replace(chord, end=min(chord.end, start)), replace(chord, start=max(chord.start, end)))
        if part.end - part.start > 1e-6
    ]
    chords = sorted([*others, Chord(start, end, root, "7")], key=lambda chord: chord.start)
    return LeadSheet(sheet.beats, sheet.downbeats, tuple(chords), metre=sheet.metre, energy=sheet.energy)
