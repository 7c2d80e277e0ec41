"""Means over tracks, and how sure they are.

A mean stands with a 95% bootstrap interval over tracks (BCa, Efron 1987, by scipy): had other tracks of the same
kind been drawn, their mean would lie there about 19 times in 20. Missing values (NaN) are left out and not counted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Float
from numpy import ndarray as Array

FEW = 30
"""Below so many tracks a report warns; the paper has 10."""
RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean, its interval (NaN where n < 2), and how many values it is of."""

    n: int
    mean: float
    low: float
    high: float


def estimate(values: Float[Array, " track"]) -> Estimate:
    """The mean of values with its interval; the same values give the same interval."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return Estimate(0, float("nan"), float("nan"), float("nan"))
    mean = float(known.mean())
    if len(known) < 2:
        return Estimate(1, mean, float("nan"), float("nan"))
    if np.ptp(known) <= 1e-6 * np.abs(known).max():  # alike up to rounding: nothing to draw from
        return Estimate(len(known), mean, mean, mean)
    low, high = scipy.stats.bootstrap(
        (known,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, rng=np.random.default_rng(0)
    ).confidence_interval
    return Estimate(len(known), mean, float(low), float(high))


def paired_difference(values: Float[Array, " track"], reference: Float[Array, " track"]) -> Estimate:
    """The mean of values minus reference, track by track; tracks that lack either are left out."""
    return estimate(np.asarray(values, dtype=np.float64) - np.asarray(reference, dtype=np.float64))


def share_closed(
    low: Float[Array, " track"], value: Float[Array, " track"], high: Float[Array, " track"]
) -> Estimate:
    """How much of the distance between the means of `low` and `high` the mean of `value` closes: 0 none, 1 all.

    Percentile bootstrap over tracks, all three drawn together. Tracks that lack one of the three are left out.
    """
    rows = np.stack([low, value, high]).astype(np.float64)
    rows = rows[:, ~np.isnan(rows).any(axis=0)]
    n = rows.shape[1]
    if not n:
        return Estimate(0, float("nan"), float("nan"), float("nan"))

    def share(means: Array) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (means[1] - means[0]) / (means[2] - means[0])

    drawn = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
    shares = share(rows[:, drawn].mean(axis=2))
    tail = 50 * (1 - CONFIDENCE)
    shares = shares[np.isfinite(shares)]  # a draw in which low and high are one has no share
    bounds = np.percentile(shares, [tail, 100 - tail]) if n > 1 and len(shares) else (np.nan, np.nan)
    return Estimate(n, float(share(rows.mean(axis=1))), float(bounds[0]), float(bounds[1]))


def text(one: Estimate, sign: str = "", percent: bool = False, digits: int = 2) -> str:
    """A mean and its interval; "–" where there is none."""
    if not one.n or np.isnan(one.mean):
        return "–"
    form = f"{{:{sign}.0%}}" if percent else f"{{:{sign}.{digits}f}}"
    interval = (
        ""
        if np.isnan(one.low) or one.low == one.high
        else f" ({form.format(one.low)} to {form.format(one.high)})"
    )
    return form.format(one.mean) + interval
