"""A tempo with a player's slow drift."""

import numpy as np

from samuel.arranging.tempo import Tempo


def draw_tempo(
    rng: np.random.Generator,
    *,
    beats: int,
    beats_per_minute: float,
    drift: float,
    start: float,
    swing: float = 0.0,
) -> Tempo:
    """`drift` is the standard deviation of the tempo's slow wandering, as a share (0.01: one percent).

    `start` is the time of beat 0 in seconds. The wandering is an autoregressive walk with a memory
    of 16 beats, so that neighbouring beats differ by far less than the drift.
    """
    memory = np.exp(-1 / 16)
    walk = np.empty(beats)
    state = rng.normal()
    for index in range(beats):
        state = memory * state + np.sqrt(1 - memory**2) * rng.normal()
        walk[index] = state
    intervals = 60.0 / beats_per_minute / (1 + drift * np.clip(walk, -2.5, 2.5))
    return Tempo(start + np.concatenate([[0.0], np.cumsum(intervals)]), swing)
