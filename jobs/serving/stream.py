"""A band as a WAV file that is sent while it is made: how long it will be is known from the start.

16 bit, 44.1 kHz, stereo. A peak above full scale is cut: which one is the loudest is not known before the end.
"""

import struct
from collections.abc import AsyncIterator

from jobs.serving.job_store import run_in_thread
from jobs.serving.packed_audio import unpack
from samuel.config import AUDIO_CHANNELS, SAMPLE_RATE

HEADER_BYTES = 44
FRAME_BYTES = 2 * AUDIO_CHANNELS


def stream_bytes(samples: int) -> int:
    """How long the file of so many samples is."""
    return HEADER_BYTES + FRAME_BYTES * samples


def header(samples: int) -> bytes:
    """What a WAV file of so many samples begins with."""
    form = 1, AUDIO_CHANNELS, SAMPLE_RATE, SAMPLE_RATE * FRAME_BYTES, FRAME_BYTES, 16
    riff = struct.pack("<4sI4s", b"RIFF", stream_bytes(samples) - 8, b"WAVE")
    return riff + struct.pack("<4sIHHIIHH4sI", b"fmt ", 16, *form, b"data", FRAME_BYTES * samples)


def pcm(piece: bytes) -> bytes:
    """The samples of one of `AudioWorker.decode`'s pieces."""
    audio = unpack(piece).clamp(-1, 1)
    return (audio * 32767).round().short().T.contiguous().numpy().tobytes()


async def as_wav(first: bytes, rest: AsyncIterator[bytes], samples: int) -> AsyncIterator[bytes]:
    """The file, a piece at a time."""
    left = FRAME_BYTES * samples
    yield header(samples)
    sound = (await run_in_thread(pcm, first))[:left]
    yield sound
    async for piece in rest:
        left -= len(sound)
        sound = (await run_in_thread(pcm, piece))[:left]
        yield sound
