"""When each beat falls, and swing inside the beat."""

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
