"""Dynamics: whether two signals are loud, soft and silent together. Levels are in dBFS, `FRAME_RATE` a second."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from samuel.evaluation.harmony import correlation
from samuel.evaluation.hearing import FRAME_RATE

REST_DB = 30.0
"""A signal rests where it is so far below its own loud parts (the 95th percentile) ..."""
SILENT_DBFS = -60.0
"""... or below this."""
SMOOTHING_SECONDS = 1.0

Level = Float[Array, " _"]


def sounding(level: Float[Array, " frame"]) -> Bool[Array, " frame"]:
    """The frames in which a signal does not rest."""
    if not len(level):
        return np.zeros(0, dtype=bool)
    return level > max(SILENT_DBFS, float(np.percentile(level, 95)) - REST_DB)


def together(level: Level, other: Level) -> float:
    """Share (0 to 1) of the time in which both signals sound or both rest."""
    shared = min(len(level), len(other))
    return float((sounding(level[:shared]) == sounding(other[:shared])).mean()) if shared else float("nan")


def level_agreement(level: Level, other: Level) -> float:
    """Correlation (-1 to 1) of the levels in seconds; 0 where one never changes."""
    shared = min(len(level), len(other))
    size = round(SMOOTHING_SECONDS * FRAME_RATE)
    if shared < 2 * size:
        return 0.0
    kernel = np.ones(size) / size
    curves = [np.convolve(one[:shared].clip(SILENT_DBFS), kernel, mode="valid") for one in (level, other)]
    return correlation(*curves)


def rests_kept(level: Level, other: Level) -> float:
    """Share (0 to 1) of the time in which `other` rests, in which the signal rests too; NaN where it never rests.

    Only half a second and more away from a sound of `other`: shorter rests are rhythm.
    """
    shared = min(len(level), len(other))
    size = round(SMOOTHING_SECONDS * FRAME_RATE)
    if shared < size:
        return float("nan")
    rests = np.convolve(sounding(other[:shared]), np.ones(size), mode="same") == 0
    return float((~sounding(level[:shared]))[rests].mean()) if rests.any() else float("nan")
