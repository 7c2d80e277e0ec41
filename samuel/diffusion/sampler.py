"""From noise to latents: ancestral DDPM, DDIM and DPM-Solver++(2M).

A sampler takes a denoiser, noise, and the alphas of its steps (falling noise, the first is
noise alone). It goes from each rate to the next and from the last to clean latents, and returns those.
With an `InpaintMask`, some frames are given: there the known latents take the place of every prediction of x0,
so that held frames come out exactly as they are, and the others fit them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samuel.diffusion.guidance import Denoise
from samuel.diffusion.process import Latents, add_noise, noise_from_v, x0_from_v

Rates = Float[Tensor, " step"]


@dataclass(frozen=True)
class InpaintMask:
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
    return schedule[trailing_timesteps(len(schedule), steps)]


def trailing_timesteps(timesteps: int, steps: int) -> list[int]:
    """`steps` evenly spaced ones of 0 to `timesteps` - 1, the last first."""
    spaced = torch.arange(timesteps, 0, -timesteps / steps, dtype=torch.float64)[:steps]
    return (spaced.round().long() - 1).tolist()


def student_rates(schedule: Float[Tensor, " timestep"], steps: int, strength: float = 1.0) -> Rates:
    """The rates of a network distilled to `steps`: that of `strength`, then those of its own levels that are below."""
    first = max(1, round(strength * len(schedule))) - 1
    return schedule[[first, *(t for t in trailing_timesteps(len(schedule), steps) if t < first)]]


def seeded_noise(shape: tuple[int, ...], seed: int, device: str | torch.device = "cpu") -> Tensor:
    """Standard normal noise, the same on every device for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device)


@torch.no_grad()
def ddpm(
    denoise: Denoise, noise: Latents, rates: Rates, known: InpaintMask | None = None, seed: int = 0
) -> Latents:
    """Ancestral sampling (Ho et al. 2020, equations 6 and 7), the paper's with all 800 steps."""
    generator = torch.Generator().manual_seed(seed)
    x = noise
    for alpha, following in _steps(rates):
        x0, _ = _predict(denoise, x, alpha, known)
        abar, abar_next = alpha**2, following**2
        kept = abar / abar_next
        x = following * (1 - kept) / (1 - abar) * x0 + math.sqrt(kept) * (1 - abar_next) / (1 - abar) * x
        if abar_next < 1:
            deviation = math.sqrt((1 - abar_next) / (1 - abar) * (1 - kept))
            x = x + deviation * torch.randn(x.shape, generator=generator).to(x)
    return x


@torch.no_grad()
def ddim(
    denoise: Denoise, noise: Latents, rates: Rates, known: InpaintMask | None = None, seed: int = 0
) -> Latents:
    """Deterministic sampling (Song et al. 2021, equation 12 with sigma 0). `seed` is not used."""
    x = noise
    for alpha, following in _steps(rates):
        x0, direction = _predict(denoise, x, alpha, known)
        x = following * x0 + _sigma(following) * direction
    return x


@torch.no_grad()
def dpm_solver(
    denoise: Denoise, noise: Latents, rates: Rates, known: InpaintMask | None = None, seed: int = 0
) -> Latents:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): good in 10 to 25 steps. `seed` is not used.

    The first step comes from infinite, the last goes to zero noise: both are of first order.
    """
    x = noise
    previous: Latents | None = None
    step_before = 0.0
    for alpha, following in _steps(rates):
        x0, direction = _predict(denoise, x, alpha, known)
        step = _log_snr(following) - _log_snr(alpha)
        if previous is None or math.isinf(step):
            x = following * x0 + _sigma(following) * direction
        else:
            ahead = x0 + step / (2 * step_before) * (x0 - previous)
            shrink = _sigma(following) / _sigma(alpha)
            x = shrink * x + (following - alpha * shrink) * ahead
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
    known: InpaintMask | None = None,
    seed: int = 0,
    start: Latents | None = None,
    strength: float = 1.0,
    distilled_to: int | None = None,
) -> Latents:
    """Normalized latents from `noise`, by the named sampler. `seed` is for the noise that ddpm adds.

    With `start`, normalized latents, sampling begins from them under the noise of the timestep `strength` of the way
    to noise alone (SDEdit, Meng et al. 2022), in fewer steps (`steps_from`): near 0 they stay, at 1 nothing is left of them.
    A network that was `distilled_to` some steps takes those, by DDIM.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"expected a sampler of {sorted(SAMPLERS)}, got {sampler!r}")
    if start is None:
        strength = 1.0
    if distilled_to is not None:
        sampler = "ddim"
    rates = rates_from(schedule, steps, strength, distilled_to)
    if start is not None:
        noise = add_noise(start, noise, torch.full((len(noise),), float(rates[0]), device=noise.device))
    return SAMPLERS[sampler](denoise, noise, rates, known=known, seed=seed)


def rates_from(
    schedule: Float[Tensor, " timestep"], steps: int, strength: float = 1.0, distilled_to: int | None = None
) -> Rates:
    """The rates that `sample` goes through: a forward each, or two with guidance."""
    if distilled_to is not None:
        return student_rates(schedule, distilled_to, strength)
    schedule = schedule[: max(1, round(strength * len(schedule)))]
    return trailing(schedule, min(len(schedule), steps_from(strength, steps)))


def steps_from(strength: float, steps: int) -> int:
    """Steps from a start at `strength`, where noise alone takes `steps`: what is to be played lies there already, so that half
    of those that are left do."""
    return steps if strength == 1 else max(1, round(strength * steps / 2))


def _steps(rates: Rates) -> list[tuple[float, float]]:
    """Each alpha with the one to go to; the last goes to 1, clean."""
    values = [float(rate) for rate in rates]
    return list(zip(values, [*values[1:], 1.0], strict=True))


def _predict(
    denoise: Denoise, x: Latents, alpha: float, known: InpaintMask | None
) -> tuple[Latents, Latents]:
    """The predicted x0 and noise in x."""
    levels = torch.full((len(x),), alpha, device=x.device)
    v = denoise(x, levels)
    x0, direction = x0_from_v(x, v, levels), noise_from_v(x, v, levels)
    if known is None:
        return x0, direction
    held = known.into(x0)
    return held, torch.where(known.frames[:, None], (x - alpha * held) / _sigma(alpha), direction)


def _sigma(alpha: float) -> float:
    return math.sqrt(max(0.0, 1 - alpha**2))


def _log_snr(alpha: float) -> float:
    if alpha == 0:
        return -math.inf
    return math.inf if alpha >= 1 else math.log(alpha / _sigma(alpha))
