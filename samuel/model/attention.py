"""Soft alignment attention: near frames and the whole song, mixed by the noise level (paper, section IV-B).

Queries, keys and values are (batch, head, frame, channel). A frame is one step of the level at hand.
Local attention sees frames i-window/2 ... i+window/2-1 around frame i and has no position code;
global attention sees all frames and has RoPE.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from samuel.model.attention_mix import ATTENTION_MIXES

Heads = Float[Tensor, "batch head frame channel"]

ROPE_BASE = 10_000.0


def rotate(x: Heads) -> Heads:
    """RoPE (Su et al. 2021): turn channel pairs by angles that grow with the frame's number."""
    frames, channels = x.shape[-2:]
    steps = torch.arange(0, channels, 2, device=x.device, dtype=torch.float32)
    angles = torch.outer(
        torch.arange(frames, device=x.device, dtype=torch.float32), ROPE_BASE ** (-steps / channels)
    )
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


def global_attention(queries: Heads, keys: Heads, values: Heads) -> Heads:
    """Equation 2: attention over all frames, with RoPE."""
    queries, keys = rotate(queries), rotate(keys)
    if queries.device.type == "cpu" and queries.dtype == torch.bfloat16:
        # PyTorch's fused attention is not made for this: two matrix products take a third of its time.
        return (queries @ keys.transpose(-1, -2) / queries.shape[-1] ** 0.5).softmax(-1) @ values
    return F.scaled_dot_product_attention(queries, keys, values)


def local_attention(queries: Heads, keys: Heads, values: Heads, window: int) -> Heads:
    """Equation 1 in O(frames * window): each frame over the `window` frames around it.

    Beyond both ends lie keys and values of zeros, which take part in the softmax (the paper pads with
    zeros). Blocks of `window` queries see the 2 * `window` keys around them, under a band mask.
    """
    frames = queries.shape[-2]
    beyond = -frames % window
    blocked = F.pad(queries / queries.shape[-1] ** 0.5, (0, 0, 0, beyond)).unflatten(2, (-1, window))

    def around(x: Heads) -> Float[Tensor, "batch head block near channel"]:
        halves = F.pad(x, (0, 0, window // 2, window // 2 + beyond)).unflatten(2, (-1, window))
        return torch.cat((halves[:, :, :-1], halves[:, :, 1:]), dim=3)

    scores = blocked @ around(keys).transpose(-1, -2)
    scores = scores.masked_fill(~_band(window, queries.device), float("-inf"))
    mixed = scores.softmax(-1) @ around(values)
    return mixed.flatten(2, 3)[:, :, :frames]


def _band(window: int, device: torch.device) -> Bool[Tensor, "query key"]:
    """Which of the 2 * window keys around a block each of its queries sees."""
    offset = torch.arange(2 * window, device=device) - torch.arange(window, device=device)[:, None]
    return (offset >= 0) & (offset < window)


class SoftAlignmentAttention(nn.Module):
    """Adds to `x` what its frames find in `context`: both local and global, mixed by the noise level.

    Queries, keys and values are 1x1 convolutions; local and global attention share them (Fig. 1).
    """

    def __init__(self, channels: int, heads: int, head_channels: int, window: int, groups: int, mixing: str):
        super().__init__()
        self.heads = heads
        self.window = window
        self.global_share = ATTENTION_MIXES[mixing]
        self.normalize = nn.GroupNorm(groups, channels)
        self.to_queries = nn.Conv1d(channels, heads * head_channels, 1)
        self.to_keys_values = nn.Conv1d(channels, 2 * heads * head_channels, 1)
        self.to_output = nn.Conv1d(heads * head_channels, channels, 1)

    def forward(
        self,
        x: Float[Tensor, "batch channel frame"],
        alpha: Float[Tensor, " batch"],
        context: Float[Tensor, "batch channel frame"],
    ) -> Float[Tensor, "batch channel frame"]:
        """`alpha` is sqrt(abar) in [0, 1]; `context` has the frames of `x`, one beside the other."""
        queries = self._split(self.to_queries(self.normalize(x)))
        keys, values = (self._split(part) for part in self.to_keys_values(context).chunk(2, dim=1))
        wide = global_attention(queries, keys, values)
        near = local_attention(queries, keys, values, self.window)
        share = self.global_share(alpha).to(wide.dtype).view(-1, 1, 1, 1)
        mixed = torch.lerp(near, wide, share)
        return x + self.to_output(mixed.transpose(-1, -2).flatten(1, 2))

    def _split(self, x: Float[Tensor, "batch inner frame"]) -> Heads:
        # Contiguous channels: without them PyTorch falls back to unfused attention.
        return x.unflatten(1, (self.heads, -1)).transpose(-1, -2).contiguous()
