"""The band where nobody knows the beat: no drums, and chords that follow the lead sheet and the singer's phrases."""

from dataclasses import replace
from zlib import crc32

import numpy as np

from samuel.arranging.chords import CENTRE, PAD_CENTRE, ROLL, register_centre
from samuel.arranging.part import Part, PlayedNote
from samuel.arranging.singing import Singing
from samuel.arranging.styles import PIANOS, STRINGS
from samuel.arranging.voicing import opened, voiced
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.chord import Chord

STYLE = "calm"
AGAIN = 1.2  # seconds between two strikes of one chord, at least
LET_RING = 2.0  # seconds after the singer
BASS_FLOOR, BASS_PROGRAM = 29, 32


def play_calmly(sheet: LeadSheet, singing: Singing, *, seconds: float, seed: int) -> list[Part]:
    """Bass, chords and pad; nobody before the first chord or long after the singer."""
    end = min(seconds, singing.end + LET_RING) if singing.known else seconds
    opened_chords = [opened(chord) if sheet.is_guess(chord) else chord for chord in sheet.chords]
    known = [replace(c, end=min(c.end, end)) for c in opened_chords if c.root is not None and c.start < end]
    loud = [
        round(70 + 24 * (float(level) - 0.5)) for level in sheet.energy_at(np.array([c.start for c in known]))
    ]

    def player(name: str, stem: str, programs: tuple[int, ...], level: float) -> Part:
        rng = np.random.default_rng([seed % 2**64, crc32(name.encode())])
        return Part(name, stem, programs[int(rng.integers(len(programs)))], level=level)

    bass, chords = player("bass", "bass", (BASS_PROGRAM,), 0.0), player("chords", "other", PIANOS, 0.0)
    pad = player("pad", "other", STRINGS, -4.0)
    register = singing.register()
    low, high = register_centre(register, CENTRE), register_centre(register, PAD_CENTRE, above=True)
    beneath: tuple[int, ...] = ()
    above: tuple[int, ...] = ()
    for chord, velocity in zip(known, loud, strict=True):
        beneath, above = voiced(chord, beneath, low), voiced(chord, above, high)
        assert chord.bass_pitch_class is not None
        root = BASS_FLOOR + (chord.bass_pitch_class - BASS_FLOOR) % 12
        bass.notes.append(PlayedNote(chord.start, chord.end, root, velocity))
        pad.notes += [PlayedNote(chord.start, chord.end, pitch, velocity - 6) for pitch in above]
        struck = _strikes(chord, singing)
        for start, stop in zip(struck, [*struck[1:], chord.end], strict=True):
            late = [ROLL * place for place in range(len(beneath))]
            chords.notes += [
                PlayedNote(start + t, stop, p, velocity) for t, p in zip(late, beneath, strict=True)
            ]
    return [part for part in (bass, chords, pad) if part.notes]


def _strikes(chord: Chord, singing: Singing) -> list[float]:
    """At its beginning, and where the singer begins again."""
    struck = [chord.start]
    for start, _ in singing.phrases:
        if struck[-1] + AGAIN < start < chord.end - AGAIN / 2:
            struck.append(start)
    return struck
