"""The diffusion process, and the one home of its signs.

A noise level is alpha = sqrt(abar) in [0, 1]; sigma beside it is sqrt(1 - abar):
x_t = alpha * x0 + sigma * noise. Timestep 0 has the least noise, the last one noise alone.
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
    """Alphas sqrt(abar) of the cosine schedule (Nichol & Dhariwal 2021, equation 17), in float64.

    Their clip of beta at 0.999 is left out: it is what leaves some signal in the last step. Without it
    the last alpha is zero, as Lin et al. (2023) ask: generation starts at what training has seen.
    """
    if steps < 2:
        raise ValueError(f"expected a schedule of at least 2 steps, got {steps}")
    time = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    angle = (time + COSINE_OFFSET) / (1 + COSINE_OFFSET) * math.pi / 2
    alpha = angle.cos() / math.cos(COSINE_OFFSET / (1 + COSINE_OFFSET) * math.pi / 2)
    alpha[-1] = 0
    return alpha


def alpha_at(schedule: Float[Tensor, " step"], timesteps: Int[Tensor, " batch"]) -> Levels:
    """The alphas of `timesteps`, in float32."""
    return schedule.to(timesteps.device)[timesteps].float()


def sigma(alpha: Levels) -> Levels:
    """sqrt(1 - abar)."""
    return (1 - alpha.square()).clamp(min=0).sqrt()


def add_noise(x0: Latents, noise: Latents, alpha: Levels) -> Latents:
    """x_t = sqrt(abar) x0 + sqrt(1 - abar) noise."""
    return _wide(alpha) * x0 + _wide(sigma(alpha)) * noise


def velocity(x0: Latents, noise: Latents, alpha: Levels) -> Latents:
    """v = sqrt(abar) noise - sqrt(1 - abar) x0 (Salimans & Ho 2022; equation 4 of the paper)."""
    return _wide(alpha) * noise - _wide(sigma(alpha)) * x0


def x0_from_v(x: Latents, v: Latents, alpha: Levels) -> Latents:
    """x0 = sqrt(abar) x_t - sqrt(1 - abar) v."""
    return _wide(alpha) * x - _wide(sigma(alpha)) * v


def noise_from_v(x: Latents, v: Latents, alpha: Levels) -> Latents:
    """noise = sqrt(1 - abar) x_t + sqrt(abar) v."""
    return _wide(sigma(alpha)) * x + _wide(alpha) * v


def velocity_between(x: Latents, following: Latents, alpha: Levels, alpha_following: Levels) -> Latents:
    """The v with which one step of DDIM leads from `x` at `alpha` to `following` at `alpha_following`, of less noise
    (Salimans & Ho 2022, appendix G)."""
    shrink = _wide(sigma(alpha_following) / sigma(alpha))
    x0 = (following - shrink * x) / (_wide(alpha_following) - shrink * _wide(alpha))
    return (_wide(alpha) * x - x0) / _wide(sigma(alpha))


def _wide(levels: Levels) -> Float[Tensor, "batch 1 1"]:
    return levels[:, None, None]
