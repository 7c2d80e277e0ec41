"""Where a voice stresses: onsets of notes, the longer the stronger, and rises of its level."""

import numpy as np
from jaxtyping import Float

from samuel.vocals.features import VocalFeatures

HOP = 0.016
"""Seconds between two points of the curve; point n is at n * HOP."""

LONGEST = 1.0  # seconds: a longer note weighs no more
AUDIBLE = 40.0  # decibels below the loud parts


def accents(features: VocalFeatures, seconds: float) -> Float[np.ndarray, " points"]:
    """Stress over time, 0 and more, 1 in the mean where there is any. Zeros for silence."""
    points = max(1, int(np.ceil(seconds / HOP)))
    curve = np.zeros(points)
    onsets = features.onsets
    if len(onsets):
        lengths = np.clip(np.diff(np.append(onsets, seconds)), 0.05, LONGEST)
        np.add.at(curve, np.minimum((onsets / HOP).astype(int), points - 1), np.sqrt(lengths / LONGEST))
    curve += 0.5 * _rises(features, points)
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
    curve = np.convolve(curve, kernel, mode="same")[:points] if points > len(kernel) else curve
    mean = curve.mean()
    return curve / mean if mean > 0 else curve


def _rises(features: VocalFeatures, points: int) -> np.ndarray:
    """Rises of the level within 50 ms, 0 to 1 (15 dB and more)."""
    if len(features.times) < 2:
        return np.zeros(points)
    level = np.maximum(features.level, np.percentile(features.level, 95) - AUDIBLE)
    level = np.interp(np.arange(points) * HOP, features.times, level)
    rise = np.zeros(points)
    if points > 3:
        rise[1:-2] = np.clip((level[3:] - level[:-3]) / 15, 0, 1)
    peak = (rise >= np.roll(rise, 1)) & (rise >= np.roll(rise, -1))
    return np.where(peak, rise, 0)
