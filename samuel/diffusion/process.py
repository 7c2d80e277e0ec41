"""The diffusion process, and the one home of its signs.

A noise level is the signal rate sqrt(abar) in [0, 1]; the noise rate beside it is sqrt(1 - abar):
x_t = signal * x0 + noise_rate * noise. Timestep 0 has the least noise, the last one noise alone.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

Latents = Float[Tensor, "batch channel frame"]
Levels = Float[Tensor, " batch"]

STEPS = 800
COSINE_OFFSET = 0.008


def cosine_schedule(steps: int = STEPS) -> Float[Tensor, " step"]:
    """Signal rates sqrt(abar) of the cosine schedule (Nichol & Dhariwal 2021, equation 17), in float64.

    Their clip of beta at 0.999 is left out: it is what leaves some signal in the last step. Without it
    the last signal rate is zero, as Lin et al. (2023) ask: generation starts at what training has seen.
    """
    if steps < 2:
        raise ValueError(f"expected a schedule of at least 2 steps, got {steps}")
    time = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    angle = (time + COSINE_OFFSET) / (1 + COSINE_OFFSET) * math.pi / 2
    signal = angle.cos() / math.cos(COSINE_OFFSET / (1 + COSINE_OFFSET) * math.pi / 2)
    signal[-1] = 0
    return signal


def signal_at(schedule: Float[Tensor, " step"], timesteps: Int[Tensor, " batch"]) -> Levels:
    """The signal rates of `timesteps`, in float32."""
    return schedule.to(timesteps.device)[timesteps].float()


def noise_rate(signal: Levels) -> Levels:
    """sqrt(1 - abar)."""
    return (1 - signal.square()).clamp(min=0).sqrt()


def add_noise(x0: Latents, noise: Latents, signal: Levels) -> Latents:
    """x_t = sqrt(abar) x0 + sqrt(1 - abar) noise."""
    return _wide(signal) * x0 + _wide(noise_rate(signal)) * noise


def velocity(x0: Latents, noise: Latents, signal: Levels) -> Latents:
    """v = sqrt(abar) noise - sqrt(1 - abar) x0 (Salimans & Ho 2022; equation 4 of the paper)."""
    return _wide(signal) * noise - _wide(noise_rate(signal)) * x0


def x0_of(x: Latents, v: Latents, signal: Levels) -> Latents:
    """x0 = sqrt(abar) x_t - sqrt(1 - abar) v."""
    return _wide(signal) * x - _wide(noise_rate(signal)) * v


def noise_of(x: Latents, v: Latents, signal: Levels) -> Latents:
    """noise = sqrt(1 - abar) x_t + sqrt(abar) v."""
    return _wide(noise_rate(signal)) * x + _wide(signal) * v


def _wide(levels: Levels) -> Float[Tensor, "batch 1 1"]:
    return levels[:, None, None]
