"""Voice features as a singer would give them, made by hand."""

import numpy as np

from samuel.vocals.features import VocalFeatures

HOP = 0.016
TUNE = (60, 62, 64, 65, 67, 67, 69, 67, 65, 64, 62, 67, 64, 62, 60, 60)
"""In C major, a beat each; the last note of each four is held in the ear as the bar's end."""


def sung(notes: list[tuple[float, float, float]], seconds: float) -> VocalFeatures:
    """Notes as (start, end, MIDI pitch), with vibrato and a little decay."""
    times = np.arange(0, seconds, HOP)
    pitch, level = np.full(len(times), np.nan), np.full(len(times), -90.0)
    for start, end, midi in notes:
        inside = (times >= start) & (times < end)
        since = times[inside] - start
        pitch[inside] = midi + 0.2 * np.sin(2 * np.pi * 5.5 * since)
        level[inside] = -20.0 - 6.0 * since
    return VocalFeatures(times, pitch, level)


def tune(
    bpm: float = 90.0, first: float = 0.3, bars: int = 16, semitones: float = 0.0
) -> tuple[VocalFeatures, float]:
    """A tune of quarters with a half note at the end of each fourth bar, and its length in seconds."""
    beat = 60 / bpm
    notes = []
    for number in range(4 * bars):
        if number % 16 == 15:
            continue
        long = 1.9 if number % 16 == 14 else 0.9
        start = first + number * beat
        notes.append((start, start + long * beat, TUNE[number % 16] + semitones))
    seconds = first + 4 * bars * beat
    return sung(notes, seconds), seconds
