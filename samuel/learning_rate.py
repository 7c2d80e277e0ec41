"""The learning rate of every training here, as a function of the step."""

import math


def warmup_cosine(step: int, total: int, warmup: int) -> float:
    """Share of the peak rate, 0 to 1: linear over `warmup` steps (a tenth of short runs), then a cosine to 0 at `total`."""
    warmup = min(warmup, total // 10)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
