"""Signals whose scores a reader can foresee: what silence, noise and a click track get, any system should beat.

An anchor has a minute, and stands beside the first minute of each track. (Two more anchors need no new signal: the
vocals themselves, and a system's own tracks beside the vocals of other tracks.)
"""

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from samuel.config import SAMPLE_RATE

SAMPLES = 60 * SAMPLE_RATE
CLICKS_PER_MINUTE = 120


def silence(samples: int = SAMPLES) -> Float[Tensor, "2 samples"]:
    return torch.zeros(2, samples)


def noise(samples: int = SAMPLES) -> Float[Tensor, "2 samples"]:
    """White, at -20 dBFS, the same at every call."""
    return 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(0))


def clicks(samples: int = SAMPLES) -> Float[Tensor, "2 samples"]:
    """A metronome: 120 ticks of 1 kHz a minute, from the start."""
    time = torch.arange(SAMPLE_RATE // 20) / SAMPLE_RATE
    tick = 0.5 * torch.sin(2 * pi * 1000 * time) * torch.exp(-time / 0.01)
    track = torch.zeros(samples)
    for start in range(0, samples, 60 * SAMPLE_RATE // CLICKS_PER_MINUTE):
        part = tick[: samples - start]
        track[start : start + len(part)] = part
    return track.expand(2, samples).contiguous()


ANCHORS = {"silence": silence, "noise": noise, "click track": clicks}
