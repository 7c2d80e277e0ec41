"""What the U-Net is built from. All tensors are (batch, channel, frame)."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Features = Float[Tensor, "batch channel frame"]


class NoiseEmbedding(nn.Module):
    """The noise level as a vector: sines of its angle arccos(sqrt(abar)), then two linear layers.

    Under the cosine schedule that angle is the timestep, but for a factor.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels
        self.widen = nn.Linear(channels, 2 * channels)
        self.narrow = nn.Linear(2 * channels, channels)

    def forward(self, alpha: Float[Tensor, " batch"]) -> Float[Tensor, "batch channel"]:
        step = alpha.float().clamp(0, 1).arccos() * (2 / math.pi) * 1000
        half = self.channels // 2
        frequencies = torch.exp(torch.arange(half, device=alpha.device) * (-math.log(10_000) / half))
        angles = step[:, None] * frequencies
        waves = torch.cat((angles.sin(), angles.cos()), dim=1).to(self.widen.weight.dtype)
        return F.silu(self.narrow(F.silu(self.widen(waves))))


class FiLM(nn.Module):
    """Feature-wise linear modulation (Perez et al. 2018) that varies in time.

    Each frame has its own scale and shift, from the vocals of that very frame and the noise level.
    """

    def __init__(self, channels: int, time_channels: int):
        super().__init__()
        self.from_time = nn.Linear(time_channels, channels)
        self.to_scale_shift = nn.Conv1d(channels, 2 * channels, 1)

    def forward(self, x: Features, vocals: Features, time: Float[Tensor, "batch time"]) -> Features:
        mood = F.silu(vocals + self.from_time(time)[:, :, None])
        scale, shift = self.to_scale_shift(mood).chunk(2, dim=1)
        return torch.addcmul(x + shift, x, scale)


class ResidualBlock(nn.Module):
    """Two convolutions around one FiLM, beside a shortcut (paper, section IV-C)."""

    def __init__(self, channels_in: int, channels: int, time_channels: int, groups: int):
        super().__init__()
        self.normalize_1 = nn.GroupNorm(groups, channels_in)
        self.convolve_1 = nn.Conv1d(channels_in, channels, 3, padding=1)
        self.normalize_2 = nn.GroupNorm(groups, channels)
        self.film = FiLM(channels, time_channels)
        self.convolve_2 = nn.Conv1d(channels, channels, 3, padding=1)
        same = channels_in == channels
        self.shortcut = nn.Identity() if same else nn.Conv1d(channels_in, channels, 1)

    def forward(
        self,
        x: Float[Tensor, "batch channel_in frame"],
        vocals: Features,
        time: Float[Tensor, "batch time"],
    ) -> Features:
        hidden = self.convolve_1(F.silu(self.normalize_1(x)))
        hidden = self.film(self.normalize_2(hidden), vocals, time)
        return self.shortcut(x) + self.convolve_2(F.silu(hidden))


class VocalBlock(nn.Module):
    """A convolution beside a shortcut: vocals know no noise level."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.normalize = nn.GroupNorm(groups, channels)
        self.convolve = nn.Conv1d(channels, channels, 3, padding=1)

    def forward(self, x: Features) -> Features:
        return x + self.convolve(F.silu(self.normalize(x)))


def downsample(channels_in: int, channels: int) -> nn.Conv1d:
    """Half the frames."""
    return nn.Conv1d(channels_in, channels, 3, stride=2, padding=1)


def upsample(channels_in: int, channels: int) -> nn.ConvTranspose1d:
    """Twice the frames."""
    return nn.ConvTranspose1d(channels_in, channels, 4, stride=2, padding=1)
