"""When each beat falls: a tempo with a player's slow drift, and swing inside the beat."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Tempo:
    """`beat_seconds[n]` is the time of beat n, in seconds. `swing` in beats delays every off-beat."""

    beat_seconds: Float[np.ndarray, " beats"]
    swing: float = 0.0

    def seconds(self, beat: float) -> float:
        """The time of a position in beats; on past the last beat at the last tempo."""
        whole = int(np.floor(beat))
        fraction = beat - whole
        if self.swing:
            late = 0.5 + self.swing
            fraction = fraction * late / 0.5 if fraction < 0.5 else late + (fraction - 0.5) * (1 - late) / 0.5
        times = self.beat_seconds
        if whole >= len(times) - 1:
            return float(times[-1] + (whole + fraction - len(times) + 1) * (times[-1] - times[-2]))
        return float(times[whole] + fraction * (times[whole + 1] - times[whole]))


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
