"""Mean and deviation of each latent channel: between latents as a codec gives them and normalized ones.

They come from the training split alone and belong to the checkpoint: who generates needs the same.

Normalized vocals have deviation 1 in every channel. So has the accompaniment, unless it is weighted: then
channels that change more of the sound are wider. Noise hides them last, so a sampler settles them first and the
rest to match, and a squared error counts them more.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from samuel.model.conditions import ARRANGEMENT, ARRANGEMENT_KNOWN

Stem = Literal["vocals", "accompaniment"]
Latents = Float[Tensor, "batch channel frame"]


@dataclass(frozen=True)
class Statistics:
    """Per stem and channel. `vocals` and `accompaniment` hold (mean, deviation) as rows."""

    vocals: Float[Tensor, "2 channel"]
    accompaniment: Float[Tensor, "2 channel"]

    def normalize(self, latents: Latents, stem: Stem) -> Latents:
        """Latents of a codec to float32 with mean 0 and mean square 1 over the training split."""
        mean, deviation = self._of(stem, latents)
        return (latents.float() - mean) / deviation

    def denormalize(self, latents: Latents, stem: Stem) -> Latents:
        """Normalized latents back to those of the codec."""
        mean, deviation = self._of(stem, latents)
        return latents.float() * deviation + mean

    def weighted(self, perceptual_weight: Float[Tensor, " channel"], exponent: float) -> "Statistics":
        """Accompaniment whose channels have a variance of `perceptual_weight` ** `exponent`, 1 on average."""
        variance = perceptual_weight.to(self.accompaniment.device) ** exponent
        mean, deviation = self.accompaniment
        return Statistics(self.vocals, torch.stack((mean, deviation / (variance / variance.mean()).sqrt())))

    def conditions(
        self, vocals: Latents, guides: Float[Tensor, "batch guide frame"] | None
    ) -> Float[Tensor, "batch condition frame"]:
        """Normalized `samuel.model.conditions` of latents as a codec gives them.

        `guides`: their channels after those of the vocals, the arrangement not normalized; None for vocals alone.
        """
        vocals = self.normalize(vocals, "vocals")
        if guides is None:
            return vocals
        conditions = torch.cat(
            (vocals, vocals.new_ones(len(vocals), 1, vocals.shape[-1]), guides.float()), dim=1
        )
        known = conditions[:, ARRANGEMENT_KNOWN, None]
        conditions[:, ARRANGEMENT] = known * self.normalize(conditions[:, ARRANGEMENT], "accompaniment")
        return conditions

    def to(self, device: torch.device | str) -> "Statistics":
        return Statistics(self.vocals.to(device), self.accompaniment.to(device))

    def is_close(self, other: "Statistics") -> bool:
        """The same, up to rounding."""
        return all(torch.allclose(mine, other.state()[name]) for name, mine in self.state().items())

    def state(self) -> dict[str, Tensor]:
        return {"vocals": self.vocals, "accompaniment": self.accompaniment}

    def _of(self, stem: Stem, like: Tensor) -> tuple[Tensor, Tensor]:
        mean, deviation = getattr(self, stem).to(like.device)[:, None, :, None]
        return mean, deviation


class Moments:
    """Sums of one stem over shards, in float64, so that a large set needs one pass."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: Tensor | None = None

    def add(self, latents: Float[Tensor, "pair channel frame"]) -> None:
        for part in latents.split(64):
            exact = part.double()
            sums = torch.stack((exact.sum(dim=(0, 2)), exact.square().sum(dim=(0, 2))))
            self.sums = sums if self.sums is None else self.sums + sums
        self.count += latents.shape[0] * latents.shape[2]

    def rows(self) -> Float[Tensor, "2 channel"]:
        """Mean and deviation; a channel that never changes has deviation 1e-4, so that it can be divided by."""
        assert self.sums is not None
        mean, square = self.sums / self.count
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        return torch.stack((mean, deviation.clamp(min=1e-4))).float()
