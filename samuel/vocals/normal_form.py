"""A recording of a voice, brought to one form: in the data, in training and in generation alike.

What a microphone, a sound card or a mixer decided must not decide what the band plays: level, which channel, and
polarity. So the voice becomes one channel, on both sides, at one loudness.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from samuel.config import SAMPLE_RATE

NORMAL_FORM = "mono at -20 LUFS"
"""Its name, kept with latents that were made so: latents of another form train nothing beside them."""

AS_RECORDED = "as recorded"
"""The form of vocals from before there was a normal one."""

LOUDNESS = -20.0
BLOCK = 10 * SAMPLE_RATE
PRIOR = 0.05  # how much the plain sum of both channels is preferred: settles what unlike channels leave open


def normal_form(audio: Float[Tensor, "2 samples"]) -> Float[Tensor, "2 samples"]:
    """The voice in one channel (on both sides), at -20 LUFS. Silence stays silence.

    The channel is the principal component of both: a voice on one side alone, or with one side's polarity
    reversed, comes out as if it had been recorded in the middle. Amplitudes may exceed 1.
    """
    from samuel.audio.loudness import loudness

    mean = audio.mean(dim=1, keepdim=True)
    covariance = torch.zeros(2, 2, dtype=torch.float64)
    for block in audio.split(BLOCK, dim=1):  # in blocks: doubles of a long recording are much memory
        exact = (block - mean).double()
        covariance += exact @ exact.T
    power = float(covariance.trace())
    if power == 0:
        return torch.zeros_like(audio)
    _, vectors = torch.linalg.eigh(covariance + PRIOR * power / 2 * torch.ones(2, 2, dtype=torch.float64))
    weights = vectors[:, -1]
    weights = weights * weights[weights.abs().argmax()].sign()
    mono = torch.cat([(weights @ (one - mean).double()).float() for one in audio.split(BLOCK, dim=1)])
    rough = mono * (0.1 / mono.square().mean().sqrt())  # within the range of a loudness meter
    level = loudness(rough.expand(2, -1))
    if audio.shape[1] >= SAMPLE_RATE and level > -60:
        rough = rough * 10 ** ((LOUDNESS - level) / 20)
    return rough.expand(2, -1).contiguous()
