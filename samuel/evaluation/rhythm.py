"""Rhythm: whether a signal's accents fall where a song's beats are. Times are in seconds.

As in mir_eval the reference comes first, what is judged by it second.
"""

import mir_eval
import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from samuel.evaluation.features import ONSET_RATE

Times = Float[Array, " _"]
"""In ascending order, any number."""

LAG_WINDOW = 0.1  # seconds
TOLERANCE_FRAMES = 2  # 46 ms, a frame of latents


def beat_f1(reference: Times, estimated: Times) -> float:
    """F-measure (0 to 1) of beats within 70 ms of the reference's, after the first five seconds."""
    reference, estimated = map(mir_eval.beat.trim_beats, (reference, estimated))
    if not len(reference) or not len(estimated):
        return 0.0
    return float(mir_eval.beat.f_measure(reference, estimated))


def beat_continuity(reference: Times, estimated: Times) -> float:
    """Share (0 to 1) of beats that are right, at the reference's tempo, twice or half of it, or on its off-beats (AMLt)."""
    reference, estimated = map(mir_eval.beat.trim_beats, (reference, estimated))
    if min(len(reference), len(estimated)) < 2:
        return 0.0
    return float(mir_eval.beat.continuity(reference, estimated)[3])


def onset_f1(reference: Times, estimated: Times) -> float:
    """F-measure (0 to 1) of onsets within 50 ms of the reference's."""
    if not len(reference) or not len(estimated):
        return 0.0
    return float(mir_eval.onset.f_measure(reference, estimated)[0])


def accent(times: Times, onset_strength: Float[Array, " frame"]) -> float:
    """Standard deviations by which the onset strength at `times` (its peak within 46 ms) is above its mean.

    About 1 for times that have nothing to do with the signal, as a peak among five frames is above the mean.
    0 for a signal without onsets, NaN without times.
    """
    spread = onset_strength.std()
    centres = np.round(times * ONSET_RATE).astype(int)
    centres = centres[(centres >= TOLERANCE_FRAMES) & (centres < len(onset_strength) - TOLERANCE_FRAMES)]
    if not len(centres):
        return float("nan")
    if spread == 0:
        return 0.0
    around = centres[:, None] + np.arange(-TOLERANCE_FRAMES, TOLERANCE_FRAMES + 1)
    return float((onset_strength[around].max(axis=1).mean() - onset_strength.mean()) / spread)


def onset_lag(reference: Times, estimated: Times) -> tuple[float, float]:
    """Of the estimated onset nearest to each beat of the reference, where one is within 100 ms: how late it is and how far off, medians in seconds.

    NaN where no beat has one.
    """
    if not len(reference) or not len(estimated):
        return float("nan"), float("nan")
    places = np.clip(np.searchsorted(estimated, reference), 1, max(1, len(estimated) - 1))
    near = estimated[np.minimum(np.stack([places - 1, places]), len(estimated) - 1)] - reference
    lags = np.take_along_axis(near, np.abs(near).argmin(axis=0)[None], axis=0)[0]
    lags = lags[np.abs(lags) <= LAG_WINDOW]
    return (float(np.median(lags)), float(np.median(np.abs(lags)))) if len(lags) else (float("nan"),) * 2
