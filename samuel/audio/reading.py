"""A file of a song, wherever it lies, as samples."""

import io

from jaxtyping import Float
from torch import Tensor

from samuel.audio import AudioError, decode, probe
from samuel.audio.timeline import Tell
from samuel.storage import is_s3, read_bytes, size_of

MAX_FILE_BYTES = 2**31
"""Of a file on S3: 15 minutes of 32-bit stereo at 192 kHz have 1.4 GB."""


def source_of(path: str) -> str | io.BytesIO:
    """What `samuel.audio` opens. From S3 the whole file comes first, so that a passing fault is waited out."""
    if not is_s3(path):
        return path
    size = size_of(path)
    if size > MAX_FILE_BYTES:
        raise AudioError(f"the file has {size} bytes, the limit is {MAX_FILE_BYTES}; is it a song?")
    return io.BytesIO(read_bytes(path))


def read_audio(
    path: str, *, max_seconds: float | None = None, stream: int = 0, tell: Tell = lambda _: None
) -> Float[Tensor, "2 samples"]:
    """See `samuel.audio.decode`. Raises StorageError, too."""
    return decode(source_of(path), max_seconds=max_seconds, stream=stream, tell=tell)


def count_streams(path: str) -> int:
    """The audio streams in a file. Raises AudioError and StorageError."""
    return probe(source_of(path)).streams
