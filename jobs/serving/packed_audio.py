"""Stems as they lie in the job store and go between processes: to the bit, in WAV files of floats, which may exceed full scale.

So a band has the same bits over HTTP as on the command line. Packing and unpacking take next to nothing, where WavPack,
which the store held before and whose files are still read, had 0.65 of the bytes and took more time than all else that
the service adds.
"""

import io
import struct

import av
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from samuel.config import AUDIO_CHANNELS, SAMPLE_RATE

Audio = Float[Tensor, "2 samples"]

FRAME_BYTES = 4 * AUDIO_CHANNELS
HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
FLOATS = 3
"""The format of samples, in the words of WAV files."""
LONGEST = 2**32 - 1


def pack(audio: Audio) -> bytes:
    """A WAV file of float32, 44.1 kHz, stereo."""
    samples = audio.T.contiguous().numpy().astype("<f4", copy=False).tobytes()
    size = min(len(samples), LONGEST - HEADER.size)
    form = 16, FLOATS, AUDIO_CHANNELS, SAMPLE_RATE, SAMPLE_RATE * FRAME_BYTES, FRAME_BYTES, 32
    return HEADER.pack(b"RIFF", HEADER.size - 8 + size, b"WAVE", b"fmt ", *form, b"data", size) + samples


def unpack(stem: bytes) -> Audio:
    """The samples of `pack`'s file, or of one in WavPack."""
    if stem.startswith(b"RIFF"):
        samples = np.frombuffer(stem, "<f4", offset=HEADER.size).reshape(-1, AUDIO_CHANNELS)
        return torch.from_numpy(np.array(samples.T, np.float32, order="C"))
    with av.open(io.BytesIO(stem), "r", format="wv") as container:
        blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return torch.from_numpy(
        np.concatenate(blocks, axis=1) if blocks else np.zeros((AUDIO_CHANNELS, 0), np.float32)
    )
