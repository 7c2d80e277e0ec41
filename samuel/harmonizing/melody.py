"""The sung pitches, free of the singer's tuning, on the grid of the beats."""

import numpy as np
from jaxtyping import Float, Float32

from samuel.harmonizing.sung import sung_points
from samuel.vocals.features import VocalFeatures

GLIDE = 15.0  # semitones a second: what moves faster is between notes
SETTLED = 0.16  # seconds after an onset in which its note is heard


def tuning(pitch: Float[np.ndarray, " points"]) -> float:
    """How far the singer is from A = 440 Hz in semitones, -0.5 to 0.5, of voiced pitches."""
    if not len(pitch):
        return 0.0
    mean = np.exp(2j * np.pi * pitch).mean()
    return float(np.angle(mean) / (2 * np.pi)) if abs(mean) > 0.1 else 0.0


def sung_on(
    features: VocalFeatures, edges: Float[np.ndarray, " beats_1"]
) -> Float32[np.ndarray, "beats 2 4 12"]:
    """What is sung in each beat (`samuel.harmonizing.sung`); beat n lasts from edges[n] to edges[n + 1]."""
    beats = len(edges) - 1
    voiced = features.voiced
    if voiced.sum() < 2:
        return np.zeros((beats, 2, 4, 12), np.float32)
    hop = float(np.median(np.diff(features.times)))
    by = tuning(features.pitch[voiced])
    slope = np.abs(np.gradient(features.pitch)) / hop
    steady = voiced & ~(slope > GLIDE)
    notes = np.round(np.where(voiced, features.pitch, 0) - by).astype(int)

    def place(seconds: np.ndarray) -> np.ndarray:
        inside = (seconds >= edges[0]) & (seconds < edges[-1])
        return np.where(inside, np.interp(seconds, edges, np.arange(beats + 1)), -1.0)

    onsets, classes = [], []
    for onset in features.onsets:
        near = steady & (features.times >= onset) & (features.times < onset + SETTLED)
        if near.any():
            onsets.append(onset)
            classes.append(int(np.median(notes[near])) % 12)
    return sung_points(
        place(features.times[steady]),
        notes[steady] % 12,
        place(np.array(onsets)),
        np.array(classes, int),
        beats,
        np.diff(edges) / hop,
    )


def sung_notes(features: VocalFeatures) -> list[tuple[float, float, int]]:
    """Notes as (start, end, MIDI number), in seconds, free of the singer's tuning: from each onset while it is voiced."""
    voiced = features.voiced
    by = tuning(features.pitch[voiced])
    notes = []
    onsets = features.onsets
    for start, stop in zip(onsets, np.append(onsets[1:], np.inf), strict=True):
        inside = (features.times >= start) & (features.times < stop)
        silent = np.flatnonzero(inside & ~voiced)
        if len(silent):
            inside[silent[0] :] = False
        if inside.any():
            end = float(features.times[inside][-1]) + 0.016
            notes.append((float(start), end, round(float(np.median(features.pitch[inside])) - by)))
    return notes
