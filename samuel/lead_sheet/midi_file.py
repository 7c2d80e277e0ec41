"""Lead sheets as standard MIDI: what a sequencer opens on its own grid.

Written: a tempo for each beat where they are not steady, metre, key, each chord as a marker ("F#m7b5") and as notes.
Where the first beat is later than 0 s, beats before it fill the time, and a marker says FIRST_BEAT.

Read: beats of the tempo map; chords from markers, texts or lyrics that are chord names, else from the notes.
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from samuel.lead_sheet.chord import QUALITIES, Chord
from samuel.lead_sheet.chord_names import chord_name, key_name, parse_chord_name
from samuel.lead_sheet.notation.midi import read_midi_file
from samuel.lead_sheet.notation.written import Note, ScoreError, Signature, refuse_endless
from samuel.lead_sheet.sheet import SAME_TIME, LeadSheet, LeadSheetError, parse_key
from samuel.lead_sheet.signatures import Metre
from samuel.lead_sheet.text import parse_metre

TICKS = 480  # a quarter
FIRST_BEAT, END, UNKNOWN = "first beat", "end", "?"
SAME_TEMPO = 2e-4  # seconds that a beat may be off before the tempo is written anew
SAME_QUARTER = 1e-6
HEARD = 0.2  # of a beat: what sounds longer is of its chord
SLIVER = 0.05  # of a beat: what sticks out of the last one is none
NO_CHORDS = ("melody", "vocal", "voice", "click", "metronome")
MOST_BARS_A_MARKER = 4.0  # sparser ones are rehearsal letters, where there are notes


def write(sheet: LeadSheet, path: Path) -> None:
    """Raises LeadSheetError without beats."""
    import mido

    if len(sheet.beats) < 2:
        raise LeadSheetError("MIDI needs beats, and this lead sheet has none")
    beats, lead = _with_lead(sheet)
    quarters = sheet.metre.quarters
    ticks = round(quarters * TICKS)

    def tick(second: float) -> int:
        step = beats[-1] - beats[-2]
        position = np.interp(
            second, [*beats, beats[-1] + 1000 * step], [*range(len(beats)), len(beats) + 999]
        )
        return round(float(position) * ticks)

    events: list[tuple[int, Any]] = [(0, mido.MetaMessage("track_name", name="Lead sheet"))]
    if sheet.key:
        name = key_name(sheet.key).replace(" major", "").replace(" minor", "m")
        events.append((0, mido.MetaMessage("key_signature", key=name)))
    events += [(at * ticks, message) for at, message in _metres(sheet, beats)]
    events += [
        (at * ticks, mido.MetaMessage("set_tempo", tempo=tempo)) for at, tempo in _tempi(beats, quarters)
    ]
    if lead:
        events.append((lead * ticks, mido.MetaMessage("marker", text=FIRST_BEAT)))
    events.append((len(beats) * ticks, mido.MetaMessage("marker", text=END)))
    notes: list[tuple[int, Any]] = [(0, mido.MetaMessage("track_name", name="Chords"))]
    for number, chord in enumerate(sheet.chords):
        start, end = tick(chord.start), tick(chord.end)
        if end <= start:
            continue
        events.append((start, mido.MetaMessage("marker", text=chord_name(chord, sheet.key))))
        following = sheet.chords[number + 1].start if number + 1 < len(sheet.chords) else np.inf
        if following > chord.end + SAME_TIME:
            events.append((end, mido.MetaMessage("marker", text=UNKNOWN)))
        for pitch in _voicing(chord):
            notes.append((start, mido.Message("note_on", note=pitch, velocity=80)))
            notes.append((end, mido.Message("note_off", note=pitch, velocity=0)))
    midi = mido.MidiFile(type=1, ticks_per_beat=TICKS)
    midi.tracks += [_track(events), _track(notes)]
    midi.save(str(path))


def read(path: Path) -> LeadSheet:
    """Raises LeadSheetError for what is no MIDI, or has no chords."""
    try:
        midi = read_midi_file(path)
        refuse_endless(midi.end)
    except ScoreError as error:
        raise LeadSheetError(str(error)) from error
    first = next((at for at, text in midi.texts if text.lower() == FIRST_BEAT), 0.0)
    stop = next((at for at, text in midi.texts if text.lower() == END), midi.end)
    beats, downbeats, metre = _beats(midi.signatures, first, stop)
    tracks = [track for track in midi.tracks if not any(word in track.name.lower() for word in NO_CHORDS)]
    notes = [note for track in tracks for note in _struck_anew(track.notes)]
    chords = _named(midi.texts, midi.end)
    if notes and chords and midi.end / len(chords) > MOST_BARS_A_MARKER * metre.beats * metre.quarters:
        chords = []
    chords = chords or _sounding(notes, [*beats, stop])
    if not any(chord.root is not None for chord in chords):
        raise LeadSheetError(
            "MIDI without chords: expected markers such as Am or C/G, or a track that plays chords; "
            "give its tempo and your chords as options instead: --bpm 92 --chords '| Am | F |'"
        )
    return LeadSheet(
        beats=tuple(midi.seconds(np.array(beats)).tolist()),
        downbeats=tuple(midi.seconds(np.array(downbeats)).tolist()),
        chords=tuple(
            replace(c, start=float(midi.seconds(c.start)), end=float(midi.seconds(c.end))) for c in chords
        ),
        key=parse_key(midi.key) if midi.key else None,
        metre=metre,
    )


def _with_lead(sheet: LeadSheet) -> tuple[list[float], int]:
    """Beats from 0 s on, and how many of them come before the lead sheet's first."""
    first, step = sheet.beats[0], 60 / (sheet.bpm or 120)
    if first <= 5e-4:
        return [0.0, *sheet.beats[1:]], 0
    count = max(1, round(first / step))
    return [*np.linspace(0, first, count, endpoint=False), *sheet.beats], count


def _metres(sheet: LeadSheet, beats: list[float]) -> list[tuple[int, Any]]:
    """Time signatures, at beats: one for each bar of another length than the one before."""
    import mido

    down = [min(range(len(beats)), key=lambda i: abs(beats[i] - time)) for time in sheet.downbeats] or [0]
    bars = [0] if down[0] else []
    if down[0] > sheet.metre.beats and down[0] % sheet.metre.beats:
        bars.append(down[0] % sheet.metre.beats)
    starts = [*bars, *down]
    messages, before = [], 0
    for start, end in pairwise([*starts, starts[-1] + sheet.metre.beats]):
        length = end - start
        if length % sheet.metre.beats == 0:
            length = sheet.metre.beats
        if length != before:
            above, below = replace(sheet.metre, beats=length).ratio
            message = mido.MetaMessage("time_signature", numerator=above, denominator=below)
            messages.append((start, message))
            before = length
    return messages


def _tempi(beats: list[float], quarters: float) -> list[tuple[int, int]]:
    """Microseconds a quarter, at beats; rounding does not add up."""
    found: list[tuple[int, int]] = []
    now, tempo = 0.0, 0
    for number, end in enumerate(beats[1:]):
        if not tempo or abs(now + tempo * quarters / 1e6 - end) > SAME_TEMPO:
            tempo = min(max(1, round((end - now) / quarters * 1e6)), 0xFFFFFF)
            found.append((number, tempo))
        now += tempo * quarters / 1e6
    return found


def _voicing(chord: Chord) -> list[int]:
    """The bass below, the chord from G3 upwards."""
    if chord.root is None:
        return []
    return sorted(
        {36 + (chord.bass_pitch_class or 0), *(55 + (pitch - 55) % 12 for pitch in chord.pitch_classes)}
    )


def _track(events: list[tuple[int, Any]]) -> Any:
    import mido

    track, now = mido.MidiTrack(), 0
    for at, message in sorted(events, key=lambda event: (event[0], event[1].type == "note_on")):
        track.append(message.copy(time=at - now))
        now = at
    return track


def _beats(
    signatures: list[tuple[float, Signature]], first: float, stop: float
) -> tuple[list[float], list[float], Metre]:
    """Quarters of beats and downbeats, and the metre that holds longest."""
    signatures = [change for change in signatures if change[0] < stop or change[0] == 0]
    beats: list[float] = []
    downbeats: list[float] = []
    held: dict[Metre, float] = {}
    spans = [(start, end, ratio) for (start, ratio), (end, _) in pairwise([*signatures, (stop, (4, 4))])]
    _, _, (most, unit) = max(spans, key=lambda span: span[1] - span[0], default=(0.0, 0.0, (4, 4)))
    for start, end, (above, below) in spans:
        try:
            metre = parse_metre(f"{above}/{below}")
        except LeadSheetError:
            metre = Metre(above)
        if metre.division == 3 and below == unit and most % 3:
            metre = Metre(above, 2, below)  # 3/8 amid 11/8 is three beats
        step = metre.quarters
        held[metre] = held.get(metre, 0.0) + end - start
        for number in range(int(np.ceil((end - start) / step - SLIVER))):
            at = start + number * step
            if at > first - SAME_QUARTER:
                beats.append(at)
                downbeats += [at] if number % metre.beats == 0 else []
    metre = max(held, key=lambda metre: held[metre])
    if len(downbeats) > 1 and beats.index(downbeats[1]) < metre.beats and downbeats[0] == beats[0]:
        del downbeats[0]  # a first bar that is shorter is a pickup
    return beats, downbeats, metre


def _named(texts: list[tuple[float, str]], last: float) -> list[Chord]:
    """Chords, in quarters, of texts that are chord names, if most are."""
    names = [(at, text) for at, text in texts if text.lower() not in (FIRST_BEAT, END, "")]
    chords: list[Chord] = []
    others = 0
    for number, (at, text) in enumerate(names):
        end = names[number + 1][0] if number + 1 < len(names) else last
        if text == UNKNOWN or end <= at:
            continue
        try:
            chords.append(parse_chord_name(text, at, end))
        except LeadSheetError:
            others += 1
    return chords if len(chords) > others else []


def _struck_anew(notes: list[Note]) -> list[Note]:
    """Of a track, each ends where its pitch is struck again."""
    by_pitch = sorted(notes, key=lambda note: (note.pitch, note.start))
    following = [*by_pitch[1:], None]
    return [
        replace(note, end=min(note.end, after.start)) if after and after.pitch == note.pitch else note
        for note, after in zip(by_pitch, following, strict=True)
    ]


def _sounding(notes: list[Note], edges: list[float]) -> list[Chord]:
    """The chord of each beat that fits its notes best; equal neighbours are one."""
    chords: list[Chord] = []
    for start, end in pairwise(edges):
        held = [(min(note.end, end) - max(note.start, start), note.pitch) for note in notes]
        inside = [(length, pitch) for length, pitch in held if length > 0]
        found = Chord(start, end)
        least = HEARD * (end - start) + SAME_QUARTER
        pitches = {pitch % 12 for length, pitch in inside if length > least}
        if len(pitches) > 1:
            bass = min(pitch for _, pitch in inside) % 12
            found = replace(best_chord(pitches, bass), start=start, end=end)
        before = chords[-1] if chords else None
        if before and replace(before, start=0.0, end=1.0) == replace(found, start=0.0, end=1.0):
            chords[-1] = replace(before, end=found.end)
        else:
            chords.append(found)
    return chords


def best_chord(pitches: set[int], bass: int) -> Chord:
    """The chord whose pitch classes overlap `pitches` best (Jaccard); of equal ones, that on the bass."""

    def fit(chord: Chord) -> tuple[float, bool, int]:
        tones = set(chord.pitch_classes)
        return len(tones & pitches) / len(tones | pitches), chord.root == bass, -len(tones)

    chords = [Chord(0.0, 1.0, root, quality) for root in range(12) for quality in QUALITIES]
    best = max(chords, key=fit)
    return best if best.root == bass or bass not in best.pitch_classes else replace(best, bass=bass)
