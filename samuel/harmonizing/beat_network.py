"""The beat network: a voice's onsets, level and changes of pitch, frame by frame -> how likely each is a beat.

A frame is two pitch points, 32 ms. Channels, all free of key and of the singer's range:

| channel | what |
|---|---|
| 0 | 1 where a note begins |
| 1 | level: 1 at the loud parts, 0 at 30 dB below, -1 at 60 dB below |
| 2, 3 | rise and fall of the level within 64 ms, in 20 dB, up to 1 |
| 4 | share of the frame with a pitch |
| 5 | change of the pitch within 64 ms, in 2 semitones, up to 1 |
| 6 | length of the note that begins, in seconds, up to 1 |
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from samuel.vocals.features import VocalFeatures

FRAME = 0.032
INPUTS = 7
BEAT, DOWNBEAT = 0, 1


def beat_inputs(features: VocalFeatures, seconds: float) -> Float32[np.ndarray, "frames 7"]:
    """The channels of the module's table over the whole recording; at least one frame."""
    frames = max(1, int(np.ceil(seconds / FRAME)))
    rows = np.zeros((frames, INPUTS), np.float32)
    if len(features.times) < 2:
        return rows
    index = np.minimum((features.times / FRAME).astype(int), frames - 1)
    points = np.maximum(1, np.bincount(index, minlength=frames))
    level = np.full(frames, -120.0)
    np.maximum.at(level, index, features.level)
    loud = np.percentile(level, 95)
    rows[:, 1] = np.clip(1 + (level - loud) / 30, -1, 1)
    change = np.zeros(frames)
    change[1:-1] = 30 * (rows[2:, 1] - rows[:-2, 1]) if frames > 2 else 0
    rows[:, 2], rows[:, 3] = np.clip(change / 20, 0, 1), np.clip(-change / 20, 0, 1)
    rows[:, 4] = np.bincount(index, weights=features.voiced, minlength=frames) / points
    pitch = np.bincount(index, weights=np.nan_to_num(features.pitch), minlength=frames)
    voiced = np.bincount(index, weights=features.voiced, minlength=frames)
    pitch = np.where(voiced > 0, pitch / np.maximum(voiced, 1), np.nan)
    if frames > 2:
        rows[1:-1, 5] = np.nan_to_num(np.clip(np.abs(pitch[2:] - pitch[:-2]) / 2, 0, 1))
    onsets = features.onsets
    if len(onsets):
        at = np.minimum((onsets / FRAME).astype(int), frames - 1)
        rows[at, 0] = 1
        rows[at, 6] = np.clip(np.diff(np.append(onsets, seconds)), 0, 1)
    return rows


class Block(nn.Module):
    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.spread = nn.Conv1d(width, width, 5, padding=2 * dilation, dilation=dilation)
        self.norm = nn.GroupNorm(1, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch width frames"]) -> Float[Tensor, "batch width frames"]:
        return x + self.dropout(F.gelu(self.spread(self.norm(x))))


class BeatNetwork(nn.Module):
    """Dilated convolutions; a frame sees 16 s around it."""

    def __init__(
        self,
        width: int = 40,
        dilations: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 8, 16),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.config = {"width": width, "dilations": list(dilations)}
        self.stem = nn.Conv1d(INPUTS, width, 5, padding=2)
        self.blocks = nn.Sequential(*(Block(width, dilation, dropout) for dilation in dilations))
        self.out = nn.Conv1d(width, 2, 1)

    def forward(self, rows: Float[Tensor, "batch frames 7"]) -> Float[Tensor, "batch frames 2"]:
        """Log odds of a beat and of a downbeat."""
        return self.out(self.blocks(self.stem(rows.transpose(1, 2)))).transpose(1, 2)


@torch.no_grad()
def beat_curves(
    network: BeatNetwork, features: VocalFeatures, seconds: float
) -> Float[np.ndarray, "2 frames"]:
    """Probabilities of a beat and of a downbeat, a frame."""
    rows = torch.from_numpy(beat_inputs(features, seconds))
    return network(rows[None])[0].sigmoid().T.double().numpy()
