"""A finished mix as a tagged, compressed file, such as a listener would have it.

PyAV carries the encoders. Opus knows 48 kHz only, so its mixes are resampled.
"""

from pathlib import Path
from typing import Any

import numpy as np

from samuel.arranging.mastering import Stereo
from samuel.config import SAMPLE_RATE

# Suffix: (encoder, bits a second, sample rate, sample format).
ENCODERS = {
    "flac": ("flac", None, SAMPLE_RATE, "s16"),
    "mp3": ("libmp3lame", 128_000, SAMPLE_RATE, "fltp"),
    "m4a": ("aac", 112_000, SAMPLE_RATE, "fltp"),
    "opus": ("libopus", 96_000, 48_000, "flt"),
}


def write_mix(path: Path, mix: Stereo, *, tags: dict[str, str]) -> None:
    """Encodes by the suffix of `path` (one of `ENCODERS`), under a temporary name until it is whole.

    Raises ValueError for another suffix. `tags` are title, artist and the like; empty ones are left out.
    """
    import av

    suffix = path.suffix.lstrip(".").lower()
    if suffix not in ENCODERS:
        raise ValueError(f"expected a suffix of {', '.join(ENCODERS)}, got {path.name}")
    encoder, bits, rate, sample_format = ENCODERS[suffix]
    temporary = path.with_name(f".{path.stem}.tmp.{suffix}")
    with av.open(str(temporary), "w") as container:
        stream: Any = container.add_stream(encoder, rate=rate, layout="stereo", format=sample_format)
        if bits is not None:
            stream.bit_rate = bits
        # Ogg keeps its tags with the stream, the other containers with the file.
        for holder in (container, stream):
            holder.metadata.update({key: value for key, value in tags.items() if value})
        resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=rate)
        for first in range(0, mix.shape[1], SAMPLE_RATE):
            block = np.ascontiguousarray(np.clip(mix[:, first : first + SAMPLE_RATE], -1, 1))
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate = SAMPLE_RATE
            frame.pts = first
            for ready in resampler.resample(frame):
                container.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    temporary.rename(path)
