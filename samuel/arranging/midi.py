"""An arrangement as a MIDI file (type 1) that lies under the voice in a DAW: second for second, bar for bar.

The first track holds tempo, metre, key and chord names; each player has a track. Time 0 is that of the recording; what
comes before the first bar is a bar of its own, as near to the song's tempo as 32nds allow.
"""

import math
import os
from bisect import bisect_right
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from samuel.arranging.arrangement import Arrangement
from samuel.arranging.part import Part
from samuel.lead_sheet.chord_names import chord_name
from samuel.lead_sheet.signatures import Key

TICKS_A_QUARTER = 960
DRUM_CHANNEL = 9
MOST_PITCHED = 15
SAME_TIME = 0.0005  # seconds
EXACT = 0.0002  # seconds by which a beat may be off
SLOWEST = 2**24 - 1  # microseconds a quarter
_VOLUME, _PAN = 7, 10
_USUAL_VOLUME = 100
_LOUDEST = 40 * math.log10(127 / _USUAL_VOLUME)  # decibels; where a part is louder, all are turned down
_MAJOR = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_MINOR = ("Cm", "C#m", "Dm", "Ebm", "Em", "Fm", "F#m", "Gm", "G#m", "Am", "Bbm", "Bm")


def write_midi(arrangement: Arrangement, path: Path) -> None:
    """Under a temporary name until it is whole. Raises ValueError for more pitched players than MIDI has channels."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        to_midi(arrangement).save(temporary)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def to_midi(arrangement: Arrangement) -> Any:
    """A `mido.MidiFile`."""
    import mido

    clock = _Clock(arrangement)
    above = max([0.0, *(p.level + p.louder - _LOUDEST for p in arrangement.parts)])
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_A_QUARTER, charset="utf-8")
    file.tracks.append(_conductor(arrangement, clock))
    channels = iter(n for n in range(MOST_PITCHED + 1) if n != DRUM_CHANNEL)
    for part in arrangement.parts:
        channel = DRUM_CHANNEL if part.drums else next(channels, None)
        if channel is None:
            raise ValueError(f"expected at most {MOST_PITCHED} pitched players, as many as MIDI has channels")
        file.tracks.append(_track(part, part.level + part.louder - above, channel, clock))
    return file


class _Clock:
    """Seconds and ticks: a tempo from each beat to the next.

    Tick `ticks[n]` is at `times[n]` seconds; from there on a quarter lasts `microseconds[n]`. `metres` are (tick,
    numerator, denominator).
    """

    def __init__(self, arrangement: Arrangement) -> None:
        written = arrangement.sheet.metre
        beat_ticks = round(TICKS_A_QUARTER * written.quarters)
        self.times, self.ticks = [], []  # type: list[float], list[int]
        self.metres: list[tuple[int, int, int]] = []
        tick = 0
        first = arrangement.bars[0][0] if arrangement.bars else 1.0
        if first >= SAME_TIME:
            beats = first * (arrangement.sheet.bpm or 60.0) / 60 if arrangement.bars else 1.0
            metre = _lead_in(beats * beat_ticks / TICKS_A_QUARTER)
            self.times, self.ticks, self.metres = [0.0], [0], [(0, *metre)]
            tick = metre[0] * 4 * TICKS_A_QUARTER // metre[1]
        for number, bar in enumerate(arrangement.bars):
            metre = replace(written, beats=len(bar)).ratio
            if number == 0 or metre != self.metres[-1][1:]:
                self.metres.append((tick, *metre))
            for time in bar:
                self.times.append(time)
                self.ticks.append(tick)
                tick += beat_ticks
        self.times.append(arrangement.end if arrangement.bars else first)
        self.ticks.append(tick)
        self.microseconds = self._tempi()

    def _tempi(self) -> list[int]:
        """Kept from beat to beat while the next beat is right to `EXACT`; `times` become those that are reached."""
        tempi: list[int] = []
        asked, self.times = self.times, [0.0]
        for (before, after), end in zip(pairwise(self.ticks), asked[1:], strict=True):
            quarters = (after - before) / TICKS_A_QUARTER
            reached = self.times[-1]
            if not tempi or abs(reached + tempi[-1] * quarters / 1e6 - end) > EXACT:
                tempi.append(min(max(1, round(1e6 * (end - reached) / quarters)), SLOWEST))
            else:
                tempi.append(tempi[-1])
            self.times.append(reached + tempi[-1] * quarters / 1e6)
        return tempi

    def tick(self, second: float) -> int:
        """The nearest one; on past the end at the last tempo."""
        index = min(max(bisect_right(self.times, second) - 1, 0), len(self.microseconds) - 1)
        ticks = (second - self.times[index]) * 1e6 / self.microseconds[index] * TICKS_A_QUARTER
        return max(0, self.ticks[index] + round(ticks))


def _lead_in(quarters: float) -> tuple[int, int]:
    """A metre whose one bar is about so long: in 32nds, a longer one in quarters or whole notes."""
    unit = 32 if quarters < 4 else 4 if quarters < 64 else 1
    numerator = max(1, round(quarters * unit / 4))
    while unit > 4 and numerator % 2 == 0:
        numerator, unit = numerator // 2, unit // 2
    return min(numerator, 255), unit


def _conductor(arrangement: Arrangement, clock: _Clock) -> Any:
    import mido

    events: list[tuple[int, Any]] = [(0, mido.MetaMessage("track_name", name=f"SAMUeL: {arrangement.style}"))]
    for tick, numerator, denominator in clock.metres:
        events.append(
            (tick, mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator))
        )
    if arrangement.sheet.key is not None:
        events.append((0, mido.MetaMessage("key_signature", key=_key_signature(arrangement.sheet.key))))
    for before, tempo, tick in zip([0, *clock.microseconds], clock.microseconds, clock.ticks, strict=False):
        if tempo != before:
            events.append((tick, mido.MetaMessage("set_tempo", tempo=tempo)))
    for chord in arrangement.sheet.chords:
        if chord.start < arrangement.seconds:
            name = chord_name(chord, arrangement.sheet.key)
            events.append((clock.tick(max(0.0, chord.start)), mido.MetaMessage("marker", text=name)))
    return _in_order(events)


def _track(part: Part, level: float, channel: int, clock: _Clock) -> Any:
    import mido

    volume = max(0, min(127, round(_USUAL_VOLUME * 10 ** (level / 40))))  # as General MIDI level 2 has it
    events: list[tuple[int, Any]] = [
        (0, mido.MetaMessage("track_name", name=part.name)),
        (0, mido.MetaMessage("instrument_name", name=instrument_name(part))),
        (0, mido.Message("program_change", channel=channel, program=part.program)),
        (0, mido.Message("control_change", channel=channel, control=_VOLUME, value=volume)),
        (0, mido.Message("control_change", channel=channel, control=_PAN, value=round(64 + 63 * part.pan))),
    ]
    for note in part.notes:
        start = clock.tick(note.start)
        end = max(clock.tick(note.end), start + 1)
        events.append(
            (start, mido.Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity))
        )
        events.append((end, mido.Message("note_off", channel=channel, note=note.pitch)))
    return _in_order(events)


def instrument_name(part: Part) -> str:
    """As General MIDI has it."""
    import pretty_midi

    return "Drums" if part.drums else pretty_midi.program_to_instrument_name(part.program)


def _in_order(events: list[tuple[int, Any]]) -> Any:
    """A track with the time of each event since the one before; of one tick, notes end before others begin."""
    import mido

    ordered = sorted(events, key=lambda event: (event[0], event[1].type != "note_off"))
    track = mido.MidiTrack()
    for (before, _), (tick, message) in pairwise([(0, None), *ordered]):
        message.time = tick - before
        track.append(message)
    track.append(mido.MetaMessage("end_of_track"))
    return track


def _key_signature(key: Key) -> str:
    return (_MAJOR if key.mode == "major" else _MINOR)[key.tonic]
