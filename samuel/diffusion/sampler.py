"""From noise to latents: ancestral DDPM, DDIM and DPM-Solver++(2M).

A sampler takes a denoiser, noise, and the signal rates of its steps (falling noise, the first is
noise alone). It goes from each rate to the next and from the last to clean latents, and returns those.
With a `Hold`, some frames are given: there the known latents take the place of every prediction of x0,
so that held frames come out exactly as they are, and the others fit them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samuel.diffusion.guidance import Denoise
from samuel.diffusion.process import Latents, noise_of, x0_of

Rates = Float[Tensor, " step"]


@dataclass(frozen=True)
class Hold:
    """Frames of the result that are known."""

    latents: Latents
    frames: Bool[Tensor, "batch frame"]
    """True where `latents` are to be held."""

    def into(self, x0: Latents) -> Latents:
        return torch.where(self.frames[:, None], self.latents, x0)


def trailing(schedule: Float[Tensor, " timestep"], steps: int) -> Rates:
    """The rates of `steps` evenly spaced timesteps, the last of the schedule first (Lin et al. 2023, table 2)."""
    if not 1 <= steps <= len(schedule):
        raise ValueError(f"expected 1 to {len(schedule)} sampling steps, got {steps}")
    timesteps = torch.arange(len(schedule), 0, -len(schedule) / steps, dtype=torch.float64)[:steps]
    return schedule[timesteps.round().long() - 1]


def seeded_noise(shape: tuple[int, ...], seed: int, device: str | torch.device = "cpu") -> Tensor:
    """Standard normal noise, the same on every device for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device)


@torch.no_grad()
def ddpm(denoise: Denoise, noise: Latents, rates: Rates, hold: Hold | None = None, seed: int = 0) -> Latents:
    """Ancestral sampling (Ho et al. 2020, equations 6 and 7), the paper's with all 800 steps."""
    generator = torch.Generator().manual_seed(seed)
    x = noise
    for signal, following in _steps(rates):
        x0, _ = _predict(denoise, x, signal, hold)
        abar, abar_next = signal**2, following**2
        kept = abar / abar_next
        x = following * (1 - kept) / (1 - abar) * x0 + math.sqrt(kept) * (1 - abar_next) / (1 - abar) * x
        if abar_next < 1:
            deviation = math.sqrt((1 - abar_next) / (1 - abar) * (1 - kept))
            x = x + deviation * torch.randn(x.shape, generator=generator).to(x)
    return x


@torch.no_grad()
def ddim(denoise: Denoise, noise: Latents, rates: Rates, hold: Hold | None = None, seed: int = 0) -> Latents:
    """Deterministic sampling (Song et al. 2021, equation 12 with sigma 0). `seed` is not used."""
    x = noise
    for signal, following in _steps(rates):
        x0, direction = _predict(denoise, x, signal, hold)
        x = following * x0 + _noise_rate(following) * direction
    return x


@torch.no_grad()
def dpm_solver(
    denoise: Denoise, noise: Latents, rates: Rates, hold: Hold | None = None, seed: int = 0
) -> Latents:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): good in 10 to 25 steps. `seed` is not used.

    The first step comes from infinite, the last goes to zero noise: both are of first order.
    """
    x = noise
    previous: Latents | None = None
    step_before = 0.0
    for signal, following in _steps(rates):
        x0, direction = _predict(denoise, x, signal, hold)
        step = _log_snr(following) - _log_snr(signal)
        if previous is None or math.isinf(step):
            x = following * x0 + _noise_rate(following) * direction
        else:
            ahead = x0 + step / (2 * step_before) * (x0 - previous)
            shrink = _noise_rate(following) / _noise_rate(signal)
            x = shrink * x + (following - signal * shrink) * ahead
        previous, step_before = x0, step
    return x


SAMPLERS: dict[str, Callable[..., Latents]] = {"ddpm": ddpm, "ddim": ddim, "dpm-solver": dpm_solver}


def sample(
    denoise: Denoise,
    noise: Latents,
    schedule: Float[Tensor, " timestep"],
    *,
    sampler: str = "dpm-solver",
    steps: int = 25,
    hold: Hold | None = None,
    seed: int = 0,
) -> Latents:
    """Normalized latents from `noise`, by the named sampler. `seed` is for the noise that ddpm adds."""
    if sampler not in SAMPLERS:
        raise ValueError(f"expected a sampler of {sorted(SAMPLERS)}, got {sampler!r}")
    return SAMPLERS[sampler](denoise, noise, trailing(schedule, steps), hold=hold, seed=seed)


def _steps(rates: Rates) -> list[tuple[float, float]]:
    """Each signal rate with the one to go to; the last goes to 1, clean."""
    values = [float(rate) for rate in rates]
    return list(zip(values, [*values[1:], 1.0], strict=True))


def _predict(denoise: Denoise, x: Latents, signal: float, hold: Hold | None) -> tuple[Latents, Latents]:
    """The predicted x0 and noise in x."""
    levels = torch.full((len(x),), signal, device=x.device)
    v = denoise(x, levels)
    x0, direction = x0_of(x, v, levels), noise_of(x, v, levels)
    if hold is None:
        return x0, direction
    held = hold.into(x0)
    return held, torch.where(hold.frames[:, None], (x - signal * held) / _noise_rate(signal), direction)


def _noise_rate(signal: float) -> float:
    return math.sqrt(max(0.0, 1 - signal**2))


def _log_snr(signal: float) -> float:
    if signal == 0:
        return -math.inf
    return math.inf if signal >= 1 else math.log(signal / _noise_rate(signal))
