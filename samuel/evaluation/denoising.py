"""How well a network removes noise, beside closed forms: the floor to stand on.

Errors are those of x0 over the variance of the latents, normalized as the network has them, by noise level and group of
latents: 1 is what their mean would get. The closed forms know nothing of voice or song:

- Wiener: each latent from its own noisy value, by its variance;
- linear, k frames: all latents of the k frames around, by least squares. With x = alpha x0 + sigma noise the answer needs
  the covariance C of k clean frames alone: x0 = alpha C_0 (alpha^2 C + sigma^2 I)^-1 x, C_0 the rows of the middle frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from samuel.diffusion.process import add_noise, cosine_schedule, x0_from_v
from samuel.model import SamuelUNet
from samuel.model.conditions import CONDITION_CHANNELS, GROUPS
from samuel.model.precision import autocast

TIMESTEPS = (100, 240, 400, 520, 640, 760)
LATENT_GROUPS = {"0-7": slice(0, 8), "8-23": slice(8, 24), "24-63": slice(24, 64)}
CONTEXTS = (7, 31)

VOICE = ("vocals", "features")
SHEET = ("lead_sheet", "arrangement")

Latents = Float[Tensor, "song 64 frame"]
Errors = dict[int, dict[str, float]]
"""Relative errors by timestep and group of latents."""


@dataclass(frozen=True)
class HeldOut:
    """Songs to be judged on, normalized."""

    accompaniment: Latents
    conditions: Float[Tensor, "song condition frame"]


def wiener(training: Latents, held_out: HeldOut) -> Errors:
    """Each latent alone."""
    variance = training.square().mean(dim=(0, 2))

    def guess(x: Latents, alpha: float) -> Latents:
        gain = alpha * variance / (alpha**2 * variance + 1 - alpha**2)
        return gain[:, None] * x

    return _errors(held_out, guess)


def linear(training: Latents, held_out: HeldOut, context: int) -> Errors:
    """Least squares from `context` frames (odd)."""
    width = training.shape[1]
    covariance = torch.zeros(context * width, context * width)
    count = 0
    for song in training:
        windows = _windows(song[None], context)[0]
        covariance += windows.T @ windows
        count += len(windows)
    covariance /= count
    middle = slice(context // 2 * width, (context // 2 + 1) * width)
    eye = torch.eye(len(covariance))

    def guess(x: Latents, alpha: float) -> Latents:
        filters = torch.linalg.solve(
            alpha**2 * covariance + (1 - alpha**2 + 1e-4) * eye, alpha * covariance[:, middle]
        )
        return (_windows(x, context) @ filters).transpose(1, 2)

    return _errors(held_out, guess)


def network(model: SamuelUNet, held_out: HeldOut) -> Iterator[tuple[str, Errors]]:
    """With everything right, then another song's voice, none, another's lead sheet and arrangement, none, nothing."""
    given = held_out.conditions
    yield "everything", _network(model, held_out, given)
    if given.shape[1] == CONDITION_CHANNELS:
        for name, groups in (("voice", VOICE), ("lead sheet and arrangement", SHEET)):
            for what, source in (("another song's", given.roll(1, dims=0)), ("no", torch.zeros_like(given))):
                changed = given.clone()
                for group in groups:
                    changed[:, GROUPS[group]] = source[:, GROUPS[group]]
                yield f"{what} {name}", _network(model, held_out, changed)
    else:
        yield "another song's voice", _network(model, held_out, given.roll(1, dims=0))
    yield "nothing", _network(model, held_out, given, unconditional=True)


def _network(model: SamuelUNet, held_out: HeldOut, conditions: Tensor, unconditional: bool = False) -> Errors:
    def guess(x: Latents, alpha: float) -> Latents:
        guesses = []
        for song in range(len(x)):
            level = torch.full((1,), alpha)
            with torch.inference_mode(), autocast(x.device):
                v = model(
                    x[song : song + 1], level, conditions[song : song + 1], torch.tensor([unconditional])
                ).float()
            guesses.append(x0_from_v(x[song : song + 1], v, level))
        return torch.cat(guesses)

    return _errors(held_out, guess)


def _errors(held_out: HeldOut, guess) -> Errors:
    schedule = cosine_schedule()
    x0 = held_out.accompaniment
    errors: Errors = {}
    for timestep in TIMESTEPS:
        alpha = float(schedule[timestep])
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(timestep))
        x = add_noise(x0, noise, torch.full((len(x0),), alpha))
        wrong = (guess(x, alpha) - x0).square()
        errors[timestep] = {
            name: float(wrong[:, group].mean() / x0[:, group].square().mean())
            for name, group in LATENT_GROUPS.items()
        }
    return errors


def _windows(latents: Latents, context: int) -> Float[Tensor, "song frame window"]:
    """The `context` frames around each frame, frame after frame; beyond the ends lie zeros."""
    padded = torch.nn.functional.pad(latents, (context // 2, context // 2))
    return padded.unfold(2, context, 1).permute(0, 2, 3, 1).flatten(2)
