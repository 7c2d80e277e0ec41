"""The band's level: it rises, falls and rests as the arrangement does, whose level is the lead sheet's energy.

The network itself plays nearly as loud wherever it is, for so are the songs that it learned from.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from samuel.codec import GainLaw
from samuel.model.precision import autocast

SPAN_FRAMES = 21
"""Over a second: what is shorter is rhythm."""
MOST_LOUDER_DB, MOST_SOFTER_DB = 12.0, 40.0
"""Where the arrangement rests, so does the band."""
FLOOR_DB = -60.0
"""Below the loudest of both: what is softer rests."""


def at_level(
    latents: Float[Tensor, "64 frames"],
    arrangement: Float[Tensor, "64 frames"],
    held: Bool[Tensor, " frames"],
    law: GainLaw,
) -> Float[Tensor, "64 frames"]:
    """`latents` as loud as the arrangement is around each frame, within limits; `held` frames as they are."""
    with autocast(latents.device):  # a rounding there is a hundredth of a decibel
        powers = law.power(torch.stack((latents, arrangement)))
    made, asked = map(_smoothed, powers)
    floor = max(float(made.max()), float(asked.max()), 1e-12) * 10 ** (FLOOR_DB / 10)
    decibels = 10 * torch.log10((asked + floor) / (made + floor))
    gains = 10 ** (decibels.clamp(-MOST_SOFTER_DB, MOST_LOUDER_DB) / 20)
    return torch.where(held, latents, law.amplified(latents, gains))


def _smoothed(power: Float[Tensor, " frames"]) -> Float[Tensor, " frames"]:
    """Means over `SPAN_FRAMES` around each frame, those in the middle counting most; at the ends of what there is."""
    window = torch.hann_window(SPAN_FRAMES + 2, periodic=False)[None, None, 1:-1]
    both = torch.stack((power, torch.ones_like(power)))[:, None]
    total, weight = F.conv1d(both, window, padding=SPAN_FRAMES // 2)[:, 0]
    return total / weight
