"""What is sung in each beat: pitch classes by sixteenths, however the notes are known.

A beat has four cells. Durations are shares of the cell, 0 to 1; an onset is 1 in the cell in which its note begins.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Int

CELLS = 4
FINE = 8  # points of a cell
SUNG = 2 * CELLS * 12

NoteTuple = tuple[float, float, int]
"""Start and end in beats, pitch (MIDI number or pitch class)."""


def sung_beats(
    notes: Sequence[NoteTuple], beats: int, glides: Sequence[NoteTuple] = ()
) -> Float32[np.ndarray, "beats 2 cells 12"]:
    """Durations ([:, 0]) and onsets ([:, 1]) of notes that begin and end anywhere; glides have no onset."""
    points = np.zeros((beats * CELLS * FINE, 12), np.float32)
    onsets = np.zeros((beats * CELLS, 12), np.float32)
    for start, end, pitch in (*notes, *glides):
        first, last = round(start * CELLS * FINE), round(end * CELLS * FINE)
        points[max(0, first) : max(0, last), pitch % 12] = 1
    for start, _, pitch in notes:
        if 0 <= start < beats:
            onsets[min(int(start * CELLS), len(onsets) - 1), pitch % 12] = 1
    durations = points.reshape(beats, CELLS, FINE, 12).mean(axis=2)
    return np.stack([durations, onsets.reshape(beats, CELLS, 12)], axis=1)


def sung_points(
    beats_at: Float[np.ndarray, " points"],
    classes: Int[np.ndarray, " points"],
    onset_beats: Float[np.ndarray, " onsets"],
    onset_classes: Int[np.ndarray, " onsets"],
    beats: int,
    points_per_beat: Float[np.ndarray, " beats"],
) -> Float32[np.ndarray, "beats 2 cells 12"]:
    """The same of points of pitch (where each is, in beats) and onsets of notes."""
    durations = np.zeros((beats * CELLS, 12), np.float32)
    cell = np.floor(beats_at * CELLS).astype(int)
    inside = (cell >= 0) & (cell < beats * CELLS)
    np.add.at(durations, (cell[inside], classes[inside]), 1.0)
    durations /= np.maximum(1, np.repeat(points_per_beat, CELLS) / CELLS)[:, None]
    onsets = np.zeros((beats * CELLS, 12), np.float32)
    cell = np.floor(onset_beats * CELLS).astype(int)
    inside = (cell >= 0) & (cell < beats * CELLS)
    onsets[cell[inside], onset_classes[inside]] = 1
    shape = (beats, CELLS, 12)
    return np.stack([np.minimum(durations, 1).reshape(shape), onsets.reshape(shape)], axis=1)
