"""Rhythm: whether a signal's accents fall where a song's beats are. Times are in seconds."""

import mir_eval
import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from samuel.evaluation.hearing import ONSET_RATE

Times = Float[Array, " _"]
"""In ascending order, any number."""

WARM_UP_SECONDS = 5.0
"""mir_eval's custom: beats before are not counted, a tracker (or a player) may take so long to find the pulse."""
TOLERANCE_FRAMES = 2  # 46 ms, a frame of latents


def beat_f1(reference: Times, beats: Times) -> float:
    """F-measure (0 to 1) of beats within 70 ms of the reference's, after the first five seconds."""
    reference, beats = _warm(reference), _warm(beats)
    if not len(reference) or not len(beats):
        return 0.0
    return float(mir_eval.beat.f_measure(reference, beats))


def beat_continuity(reference: Times, beats: Times) -> float:
    """Share (0 to 1) of beats that are right, at the reference's tempo, twice or half of it, or on its off-beats (AMLt)."""
    reference, beats = _warm(reference), _warm(beats)
    if min(len(reference), len(beats)) < 2:
        return 0.0
    return float(mir_eval.beat.continuity(reference, beats)[3])


def onset_f1(reference: Times, onsets: Times) -> float:
    """F-measure (0 to 1) of onsets within 50 ms of the reference's."""
    if not len(reference) or not len(onsets):
        return 0.0
    return float(mir_eval.onset.f_measure(reference, onsets)[0])


def accent(onset_strength: Float[Array, " frame"], times: Times) -> float:
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


def _warm(times: Times) -> Times:
    return times[times >= WARM_UP_SECONDS]
