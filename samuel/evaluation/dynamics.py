"""Dynamics: whether two signals are loud, soft and silent together. Levels are in dBFS, `FRAME_RATE` a second; the
reference comes first, what is judged by it second.
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from samuel.evaluation.features import FRAME_RATE
from samuel.evaluation.harmony import correlation
from samuel.lead_sheet.energy import energy_curve

REST_DB = 30.0
"""A signal rests where it is so far below its own loud parts (the 95th percentile) ..."""
SILENT_DBFS = -60.0
"""... or below this."""
SMOOTHING_SECONDS = 1.0
PAUSE_DB, PAUSE_SECONDS = 40.0, 0.3

Level = Float[Array, " _"]


def sounding(level: Float[Array, " frame"]) -> Bool[Array, " frame"]:
    """The frames in which a signal does not rest."""
    if not len(level):
        return np.zeros(0, dtype=bool)
    return level > max(SILENT_DBFS, float(np.percentile(level, 95)) - REST_DB)


def together(reference: Level, estimated: Level) -> float:
    """Share (0 to 1) of the time in which both signals sound or both rest."""
    shared = min(len(reference), len(estimated))
    both = sounding(reference[:shared]) == sounding(estimated[:shared])
    return float(both.mean()) if shared else float("nan")


def level_agreement(reference: Level, estimated: Level) -> float:
    """Correlation (-1 to 1) of the levels in seconds; 0 where one never changes."""
    shared = min(len(reference), len(estimated))
    size = round(SMOOTHING_SECONDS * FRAME_RATE)
    if shared < 2 * size:
        return 0.0
    kernel = np.ones(size) / size
    curves = [
        np.convolve(one[:shared].clip(SILENT_DBFS), kernel, mode="valid") for one in (reference, estimated)
    ]
    return correlation(*curves)


def energy_agreement(reference: Level, estimated: Level) -> float:
    """Correlation (-1 to 1) of two bands' energy (`samuel.lead_sheet.energy`); 0 where one never changes."""
    shared = min(len(reference), len(estimated))
    if shared < 2:
        return 0.0
    powers = (10 ** (one[:shared] / 10) for one in (reference, estimated))
    return correlation(*(energy_curve(power, FRAME_RATE) for power in powers))


def rests_kept(reference: Level, estimated: Level) -> float:
    """Share (0 to 1) of the time in which the reference rests, in which the other rests too; NaN where it never rests.

    Only half a second and more away from a sound of the reference: shorter rests are rhythm.
    """
    shared = min(len(reference), len(estimated))
    size = round(SMOOTHING_SECONDS * FRAME_RATE)
    if shared < size:
        return float("nan")
    rests = np.convolve(sounding(reference[:shared]), np.ones(size), mode="same") == 0
    return float((~sounding(estimated[:shared]))[rests].mean()) if rests.any() else float("nan")


def rests(level: Level) -> Bool[Array, " frame"]:
    """The frames in which a band pauses: `PAUSE_DB` and more below its own loud level (the 95th percentile), or below
    `SILENT_DBFS`, for `PAUSE_SECONDS` and longer."""
    if not len(level):
        return np.zeros(0, dtype=bool)
    quiet = level < max(SILENT_DBFS, float(np.percentile(level, 95)) - PAUSE_DB)
    edges = np.flatnonzero(np.diff(quiet, prepend=False, append=False))
    for start, end in edges.reshape(-1, 2):
        if (end - start + 1) / FRAME_RATE < PAUSE_SECONDS:  # a frame hears as much again around it
            quiet[start:end] = False
    return quiet


def rests_shared(reference: Level, estimated: Level) -> tuple[float, float]:
    """Shares (0 to 1): of the time in which the reference rests, that in which the other rests too; and of the time in
    which the reference plays, that in which the other rests. NaN where there is no such time."""
    shared = min(len(reference), len(estimated))
    ours, theirs = rests(reference[:shared]), rests(estimated[:shared])
    return tuple(float(theirs[part].mean()) if part.any() else float("nan") for part in (ours, ~ours))  # type: ignore[return-value]
