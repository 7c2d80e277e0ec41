"""What the players know of the singer: when somebody sings, how high, how loud, and where the rests are.

Times are in seconds, pitches in MIDI numbers, levels in decibels.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from samuel.vocals import VocalFeatures

STEP = 0.02  # seconds between two points of the grid
BREATH = 0.35  # a rest is longer
SYLLABLE = 0.12  # what is sung is longer: anything shorter is a noise


@dataclass(frozen=True)
class Singing:
    """`pitch` and `level` every `STEP` from 0; pitch is NaN where nobody sings.

    `phrases` are (start, end) with rests of more than `BREATH` between them. Without phrases nothing is known of a
    singer, or nobody sings.
    """

    pitch: Float[np.ndarray, " points"]
    level: Float[np.ndarray, " points"]
    phrases: tuple[tuple[float, float], ...]

    @classmethod
    def of_voice(cls, voice: VocalFeatures) -> "Singing":
        if not len(voice.times):
            return NOBODY
        grid = np.arange(0, voice.times[-1] + STEP, STEP)
        nearest = np.searchsorted((voice.times[1:] + voice.times[:-1]) / 2, grid)
        return cls(voice.pitch[nearest], voice.level[nearest], _phrases(voice.pitch[nearest]))

    @classmethod
    def of_notes(cls, notes: Iterable[tuple[float, float, float]]) -> "Singing":
        """From (start, end, pitch)."""
        given = list(notes)
        if not given:
            return NOBODY
        pitch = np.full(int(max(end for _, end, _ in given) / STEP) + 2, np.nan)
        for start, end, height in given:
            pitch[round(start / STEP) : round(end / STEP)] = height
        return cls(pitch, np.where(np.isfinite(pitch), -20.0, -90.0), _phrases(pitch))

    @property
    def known(self) -> bool:
        return bool(self.phrases)

    @property
    def end(self) -> float:
        """When the singer ends; 0 where nobody sings."""
        return self.phrases[-1][1] if self.phrases else 0.0

    def share(self, start: float, end: float) -> float:
        """How much of a stretch is within phrases, 0 to 1."""
        inside = sum(max(0.0, min(end, last) - max(start, first)) for first, last in self.phrases)
        return inside / max(end - start, 1e-9)

    def register(self) -> tuple[float, float] | None:
        """The pitches between which nearly everything is sung (the middle 80%), or None where nobody sings."""
        sung = self.pitch[np.isfinite(self.pitch)]
        if not self.phrases or not len(sung):
            return None
        low, high = np.percentile(sung, [10, 90])
        return float(low), float(high)

    def loudness(self, start: float, end: float) -> float | None:
        """The level of what is sung in a stretch against the singer's median, or None where nobody sings there."""
        sung = np.isfinite(self.pitch)
        inside = slice(max(0, round(start / STEP)), max(0, round(end / STEP)))
        if not sung[inside].any():
            return None
        return float(np.median(self.level[inside][sung[inside]]) - np.median(self.level[sung]))

    def rests(self, seconds: float) -> list[tuple[float, float]]:
        """Before, between and after the phrases, up to `seconds`."""
        edges = [0.0, *(time for phrase in self.phrases for time in phrase), seconds]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return [(start, end) for start, end in pairs if end - start > BREATH]


def _phrases(pitch: np.ndarray) -> tuple[tuple[float, float], ...]:
    sung = np.concatenate([[False], np.isfinite(pitch), [False]])
    starts, ends = np.flatnonzero(sung[1:] & ~sung[:-1]), np.flatnonzero(sung[:-1] & ~sung[1:])
    phrases: list[list[float]] = []  # start, end, how long somebody sings in between
    for start, end in zip((starts * STEP).tolist(), (ends * STEP).tolist(), strict=True):
        if phrases and start - phrases[-1][1] <= BREATH:
            phrases[-1] = [phrases[-1][0], end, phrases[-1][2] + end - start]
        else:
            phrases.append([start, end, end - start])
    return tuple((start, end) for start, end, sounding in phrases if sounding > SYLLABLE)


NOBODY = Singing(np.zeros(0), np.zeros(0), ())
