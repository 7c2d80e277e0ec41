"""How well chords carry a melody: three measures of Yeh et al., "Automatic melody harmonization with triad chords: a
comparative study" (arXiv 2001.02360, section 4).

Notes are (start, end, MIDI pitch) and chords have start and end, all on one clock (seconds or beats). Only notes
under a chord count. Each is NaN where there is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from samuel.lead_sheet.chord import Chord

Notes = Sequence[tuple[float, float, int]]
CONSONANCE = (1, -1, -1, 1, 1, 0, -1, 1, 1, 1, -1, -1)
"""Of a melody note so many semitones above a chord's note: 1 for unison, thirds, sixths, fifth; 0 for the fourth."""

_ANGLES = np.array([7 * np.pi / 6, 3 * np.pi / 2, 2 * np.pi / 3])
_RADII = np.array([1.0, 1.0, 0.5])


@dataclass(frozen=True)
class MelodyFit:
    ctnctr: float
    """Chord tones, and other tones that step on to a chord tone, of all tones; 0 to 1, higher is better."""
    pcs: float
    """Pitch consonance, -1 to 1, higher is better."""
    mctd: float
    """Distance between melody and chords in Harte's tonal space, lower is better."""


def melody_fit(notes: Notes, chords: Sequence[Chord], sixteenth: float) -> MelodyFit:
    """`sixteenth`: its length on the clock of the notes; the consonance is read at such steps."""
    starts = np.array([chord.start for chord in chords])

    def under(time: float) -> Chord | None:
        index = int(np.searchsorted(starts, time + 1e-6, side="right")) - 1
        chord = chords[index] if index >= 0 else None
        return chord if chord and time < chord.end and chord.root is not None else None

    placed = [(start, end, pitch, chord) for start, end, pitch in notes if (chord := under(start))]
    if not placed:
        return MelodyFit(np.nan, np.nan, np.nan)
    inside = [pitch % 12 in chord.pitch_classes for _, _, pitch, chord in placed]
    proper = sum(
        not inside[n] and inside[n + 1] and abs(placed[n + 1][2] - placed[n][2]) <= 2
        for n in range(len(placed) - 1)
    )
    consonances: list[float] = []
    distances, lengths = [], []
    for start, end, pitch, chord in placed:
        for step in range(max(1, round((end - start) / sixteenth))):
            now = under(start + step * sixteenth)
            if now is not None:
                consonances.append(
                    float(np.mean([CONSONANCE[(pitch - low) % 12] for low in now.pitch_classes]))
                )
        distances.append(np.linalg.norm(_centroid((pitch % 12,)) - _centroid(chord.pitch_classes)))
        lengths.append(end - start)
    return MelodyFit(
        (sum(inside) + proper) / len(placed),
        float(np.mean(consonances)),
        float(np.average(distances, weights=lengths)),
    )


def _centroid(pitch_classes: tuple[int, ...]) -> np.ndarray:
    """Tonal centroid of Harte, Sandler, Gasser, "Detecting harmonic change in musical audio" (2006)."""
    angles = np.outer(pitch_classes, _ANGLES)
    return np.concatenate([_RADII * np.sin(angles), _RADII * np.cos(angles)], axis=1).mean(axis=0)
