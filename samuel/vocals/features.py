"""What a voice sings, free of timbre: pitch, voicing, onsets and level of each latent frame.

| channels | what |
|---|---|
| 0 to 11 | pitch class, C first: the two nearest semitones share what is voiced of the frame, 0 to 1 |
| 12 | height: octaves above middle C, as far as voiced |
| 13 | voicing: share of the frame with a pitch, 0 to 1 |
| 14 | onset: 1 where a sung note begins |
| 15 | level: 1 at the voice's loud parts, 0 at 30 dB below, -1 at 60 dB below |

Pitch is found by SwiftF0 (Nieradzik 2025, MIT), whose network comes with its package.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from torch import Tensor

from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.lanes import side_by_side

FEATURE_CHANNELS = 16
CHROMA, HEIGHT, VOICING, ONSET, LEVEL = slice(0, 12), 12, 13, 14, 15
SURE = 0.5  # of a pitch
LOWEST_HZ, HIGHEST_HZ = 60.0, 1600.0
LEAP = 0.7  # semitones within 50 ms that begin a new note
SUNG_SECONDS = 0.4
PITCH_RATE = 16_000
WINDOW_POINTS = 250  # 4 s


@dataclass(frozen=True)
class VocalFeatures:
    """Of a whole recording. Pitch points are every 16 ms; frames are latent frames."""

    times: Float[np.ndarray, " points"]
    """Seconds."""
    pitch: Float[np.ndarray, " points"]
    """MIDI numbers with fractions; NaN where nothing is voiced."""
    level: Float[np.ndarray, " points"]
    """Decibels."""

    @property
    def voiced(self) -> np.ndarray:
        return np.isfinite(self.pitch)

    @property
    def has_singing(self) -> bool:
        """Whether somebody seems to sing: pitched for a while, and not one steady tone as a hum has."""
        pitch = self.pitch[self.voiced]
        if len(pitch) < 2 or len(pitch) * float(np.median(np.diff(self.times))) < SUNG_SECONDS:
            return False
        return bool(np.std(pitch) > 0.05 or np.std(self.level[self.voiced]) > 1.0)

    @property
    def onsets(self) -> Float[np.ndarray, " notes"]:
        """Seconds at which sung notes begin: after a rest, or a leap of the pitch."""
        step = 3
        earlier = np.concatenate([np.full(step, np.nan), self.pitch])[: len(self.pitch)]
        begins = self.voiced & ~(np.abs(self.pitch - earlier) < LEAP)
        starts = begins & ~np.concatenate([[False], begins[:-1]])
        found: list[float] = []
        for time in self.times[starts]:
            if not found or time - found[-1] > 0.08:
                found.append(float(time))
        return np.array(found)

    def frames(self, count: int) -> Float32[np.ndarray, "16 count"]:
        """The channels of the module's table for the first `count` latent frames."""
        channels = np.zeros((FEATURE_CHANNELS, count), np.float32)
        index = np.floor(self.times * SAMPLE_RATE / FRAME_SAMPLES).astype(int)
        inside = index < count
        index, voiced = index[inside], self.voiced[inside]
        points = np.maximum(1, np.bincount(index, minlength=count))
        pitch = np.where(voiced, self.pitch[inside], 0)
        low = np.floor(pitch).astype(int)
        for semitone, share in ((low, 1 - (pitch - low)), (low + 1, pitch - low)):
            np.add.at(channels, (semitone % 12, index), np.where(voiced, share, 0) / points[index])
        np.add.at(channels[HEIGHT], index, np.where(voiced, (pitch - 60) / 12, 0) / points[index])
        np.add.at(channels[VOICING], index, voiced / points[index])
        onsets = np.floor(self.onsets * SAMPLE_RATE / FRAME_SAMPLES).astype(int)
        channels[ONSET, onsets[onsets < count]] = 1
        level = np.full(count, -120.0)
        np.maximum.at(level, index, self.level[inside])
        loud = np.percentile(level, 95) if count else 0.0
        channels[LEVEL] = np.clip(1 + (level - loud) / 30, -1, 1)
        return channels


@cache
def _detector() -> Any:
    from swift_f0 import SwiftF0

    return SwiftF0(threads=1, spin=False)  # more threads take more CPU, and workers share the cores


def extract_features(audio: Float[Tensor, "2 samples"]) -> VocalFeatures:
    """Features of a voice in its normal form (`samuel.vocals.normal_form`)."""
    import soxr

    mono = audio[0].numpy()  # both sides are the same
    seconds = len(mono) / SAMPLE_RATE
    if seconds < 1:  # the detector wants a little to look at
        mono = np.pad(mono, (0, SAMPLE_RATE - len(mono)))
    times, hertz, confidence, level = _detect(soxr.resample(mono, SAMPLE_RATE, PITCH_RATE))
    inside = times < seconds
    times, hertz, confidence, level = times[inside], hertz[inside], confidence[inside], level[inside]
    sure = (confidence > SURE) & (hertz > LOWEST_HZ) & (hertz < HIGHEST_HZ) & (level > -75)
    return VocalFeatures(
        times, np.where(sure, 69 + 12 * np.log2(np.maximum(hertz, 1.0) / 440), np.nan), level
    )


def _detect(mono: Float[np.ndarray, " samples"]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Times, pitch in Hz, confidence and level in dB of each point of a voice at PITCH_RATE.

    In windows that fit into a core's cache, each with the surroundings that its points depend on: what comes out is
    that of the whole, in two thirds of the time. As many at once as torch has threads.
    """
    from swift_f0.core import HOP, LEFT_FRAMES, LOOKAHEAD_FRAMES

    count = max(1, len(mono) // HOP)
    detector = _detector()

    def points_from(start: int) -> list[np.ndarray]:
        end = min(start + WINDOW_POINTS, count)
        left = max(0, start - LEFT_FRAMES)
        window = mono[left * HOP : (end + LOOKAHEAD_FRAMES) * HOP] if end < count else mono[left * HOP :]
        found = detector.detect(window, PITCH_RATE)
        return [
            values[start - left : end - left].astype(np.float64)
            for values in (found.pitch_hz, found.confidence, found.loudness_db)
        ]

    starts = range(0, count, WINDOW_POINTS)
    parts = side_by_side(points_from, starts)
    pitch, confidence, level = (np.concatenate(part) for part in zip(*parts, strict=True))
    return np.arange(count) * (HOP / PITCH_RATE), pitch, confidence, level
