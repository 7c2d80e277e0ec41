"""A part of an accompaniment that is made anew, while all else stays as it is, to the sample.

All numbers are samples at 44.1 kHz. Only `FADE_SECONDS` on each side of the region change beside it: there the new
goes over into what is kept.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from samuel.config import FRAME_SAMPLES, SAMPLE_RATE

FADE_SECONDS = 0.05
FADE = round(FADE_SECONDS * SAMPLE_RATE)


@dataclass(frozen=True)
class Region:
    """Samples `first` to `last` of a song of `total` are made anew."""

    first: int
    last: int
    total: int

    @classmethod
    def of(cls, vocals: int, keep: int, seconds: tuple[float, float] | None) -> "Region":
        """From and to in seconds, of a song of `vocals` samples of which `keep` samples are there; None: all after
        them. Raises ValueError for a region that is not within the song, or leaves more than there is."""
        if keep > vocals:
            raise ValueError(
                f"the accompaniment to keep has {keep / SAMPLE_RATE:.2f} s, its vocals only {vocals / SAMPLE_RATE:.2f} s"
            )
        if seconds is None:
            if keep == vocals:
                raise ValueError(
                    "the accompaniment to keep is as long as the vocals; say which region to make anew"
                )
            return cls(keep, vocals, vocals)
        first, last = (min(vocals, round(second * SAMPLE_RATE)) for second in seconds)
        if not 0 <= first < last:
            raise ValueError(
                f"expected a region within the {vocals / SAMPLE_RATE:.2f} s of the vocals, "
                f"got {seconds[0]:g} to {seconds[1]:g} s"
            )
        if keep < (vocals if last < vocals else first):
            raise ValueError(
                f"the accompaniment to keep ends at {keep / SAMPLE_RATE:.2f} s, but the region leaves "
                f"more of it than that; end the region with the vocals, at {vocals / SAMPLE_RATE:.2f} s"
            )
        return cls(first, last, vocals)

    @property
    def frames(self) -> tuple[int, int]:
        """The latent frames to make, first and past the last: all that have a sample of the region."""
        return self.first // FRAME_SAMPLES, -(-self.last // FRAME_SAMPLES)

    @property
    def audible(self) -> tuple[int, int]:
        """The samples that change, first and past the last: with the fades."""
        return max(0, self.first - FADE), min(self.total, self.last + FADE)

    def is_audible(self, start: int, stop: int) -> bool:
        """Whether what is made anew is heard in frames `start` to `stop`."""
        begin, end = self.audible
        return start * FRAME_SAMPLES < end and begin < stop * FRAME_SAMPLES

    def blend(
        self, kept: Float[Tensor, "2 samples"], made: Float[Tensor, "2 samples"], start: int = 0
    ) -> Float[Tensor, "2 samples"]:
        """What is kept, and in the region what is made anew; both are heard from sample `start` on.

        Powers add up to 1 in the fades, as the two are unlike.
        """
        place = torch.arange(start, start + kept.shape[1], dtype=torch.float32)
        share = torch.ones(kept.shape[1])
        if self.first > 0:
            share = torch.minimum(share, (place - (self.first - FADE)) / FADE)
        if self.last < self.total:
            share = torch.minimum(share, (self.last + FADE - place) / FADE)
        angle = share.clamp(0, 1) * (torch.pi / 2)
        blended = angle.sin() * made + angle.cos() * kept
        return torch.where(share <= 0, kept, torch.where(share >= 1, made, blended))
