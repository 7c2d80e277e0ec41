"""A lead sheet as the channels that a network sees: one column a latent frame.

| channels | what |
|---|---|
| 0 to 11 | pitch classes of the chord that sounds, 0 or 1 (C first) |
| 12 to 23 | pitch class of its bass, 0 or 1 |
| 24, 25 | cosine and sine of the phase between two beats (0 on the beat) |
| 26, 27 | the same between two downbeats |
| 28 | energy, -1 to 1 |
| 29, 30, 31 | 1 where chords, beats, energy are known; where not, their channels are 0 |

A frame is told by its middle, (frame + 1/2) * 2048 / 44100 s.
"""

import numpy as np
from jaxtyping import Float32, Float64

from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.lead_sheet.sheet import LeadSheet

SHEET_CHANNELS = 32
CHORDS = slice(0, 24)
BEATS = slice(24, 28)
ENERGY = 28
CHORDS_KNOWN, BEATS_KNOWN, ENERGY_KNOWN = 29, 30, 31


def frame_times(frames: int) -> Float64[np.ndarray, " frames"]:
    """The middles of the first `frames` frames, in seconds."""
    return (np.arange(frames) + 0.5) * (FRAME_SAMPLES / SAMPLE_RATE)


def sheet_frames(sheet: LeadSheet | None, frames: int) -> Float32[np.ndarray, "32 frames"]:
    """The channels of the first `frames` latent frames of the song; zeros without a lead sheet."""
    channels = np.zeros((SHEET_CHANNELS, frames), np.float32)
    if sheet is None:
        return channels
    times = frame_times(frames)
    for chord in sheet.chords:
        inside = (times >= chord.start) & (times < chord.end)
        channels[CHORDS_KNOWN, inside] = 1
        if chord.root is not None:
            for pitch in chord.pitch_classes:
                channels[pitch, inside] = 1
            channels[12 + (chord.bass_pitch_class or 0), inside] = 1
    if len(sheet.beats) > 1:
        beats = np.array(sheet.beats)
        known = (times >= beats[0]) & (times < 2 * beats[-1] - beats[-2])
        channels[BEATS_KNOWN, known] = 1
        channels[24:26, known] = _phase(times, beats)[:, known]
        if len(sheet.downbeats) > 1:
            channels[26:28, known] = _phase(times, np.array(sheet.downbeats))[:, known]
    if sheet.energy:
        channels[ENERGY] = 2 * sheet.energy_at(times) - 1
        channels[ENERGY_KNOWN] = 1
    return channels


def _phase(times: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Cosine and sine of how far each time is between two marks; marks go on evenly beyond both ends."""
    first, last = marks[1] - marks[0], marks[-1] - marks[-2]
    before = marks[0] - first * np.arange(np.ceil(max(0.0, marks[0] - times[0]) / first) + 1, 0, -1)
    after = marks[-1] + last * np.arange(1, np.ceil(max(0.0, times[-1] - marks[-1]) / last) + 2)
    marks = np.concatenate([before, marks, after])
    angle = 2 * np.pi * (np.interp(times, marks, np.arange(len(marks))) % 1)
    return np.stack((np.cos(angle), np.sin(angle)))
