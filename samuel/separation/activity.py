"""Where in a song somebody sings, judged from its separated vocals.

A frame is a latent frame, 2048 samples. Separated vocals are never silent: in instrumental passages the
separator leaves traces of the band, some 25 dB and more below the singing.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from samuel.config import FRAME_SAMPLES

FLOOR_DBFS = -45.0  # nothing below is singing, however quiet the song
BELOW_LOUD_DB = 22.0  # nor what lies so far below the song's loud singing
LOUD_QUANTILE = 0.95
SMOOTH_FRAMES = 5  # 0.23 s: consonants and short breaths belong to the singing, single clicks do not


def frame_level(audio: Float[Tensor, "channel samples"]) -> Float[Tensor, " frame"]:
    """RMS of each frame in dBFS (0 is a constant 1), at least -120; the last frame is filled up with zeros."""
    frames = -(-audio.shape[1] // FRAME_SAMPLES)
    padded = functional.pad(audio, (0, frames * FRAME_SAMPLES - audio.shape[1]))
    power = padded.unflatten(1, (frames, FRAME_SAMPLES)).square().mean((0, 2))
    return 10 * torch.log10(power.clamp_min(1e-12))


def vocal_activity(vocals: Float[Tensor, "channel samples"]) -> Bool[Tensor, " frame"]:
    """Whether each frame has vocals. Give it a whole song: its loud singing is the measure of the rest."""
    level = frame_level(vocals)
    if len(level) == 0:
        return level > 0
    threshold = max(float(torch.quantile(level, LOUD_QUANTILE)) - BELOW_LOUD_DB, FLOOR_DBFS)
    window = functional.pad(level, (SMOOTH_FRAMES // 2, SMOOTH_FRAMES // 2), value=-120.0)
    return window.unfold(0, SMOOTH_FRAMES, 1).median(1).values > threshold
