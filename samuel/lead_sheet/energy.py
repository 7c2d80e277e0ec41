"""How much of a band plays, heard in its sound: the energy of a lead sheet."""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samuel.config import SAMPLE_RATE

STEP_SECONDS = 0.5
SPAN_SECONDS = 2.0
RANGE_DB = 24.0
"""What lies so far below the loud parts has no energy."""


def energy_of(audio: Float[Tensor, "2 samples"]) -> tuple[tuple[float, float], ...]:
    """(second, level) every half second: 1 where a band is as loud as in its loud parts, 0 at 24 dB below.

    Levels are of 2 s around each point; the loud parts are the 95th percentile. () for what is too short.
    """
    step = int(STEP_SECONDS * SAMPLE_RATE)
    power = audio.square().mean(dim=0).numpy()
    blocks = power[: len(power) // step * step].reshape(-1, step).mean(axis=1)
    if len(blocks) == 0:
        return ()
    levels = energy_curve(blocks, 1 / STEP_SECONDS)
    times = (np.arange(len(blocks)) + 0.5) * STEP_SECONDS
    return tuple(
        (round(float(time), 3), round(float(level), 3)) for time, level in zip(times, levels, strict=True)
    )


def energy_curve(power: Float[np.ndarray, " points"], per_second: float) -> Float[np.ndarray, " points"]:
    """Energy, 0 to 1 as in `energy_of`, at each of one or more points of power, `per_second` of them a second."""
    span = np.ones(min(int(SPAN_SECONDS * per_second), len(power)))
    summed = np.convolve(power, span, mode="same")
    share = np.convolve(np.ones(len(power)), span, mode="same")
    decibels = 10 * np.log10(summed / share + 1e-12)
    return np.clip(1 + (decibels - np.percentile(decibels, 95)) / RANGE_DB, 0, 1)
