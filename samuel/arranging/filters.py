"""Butterworth filters block by block, by FFmpeg: twice as fast as scipy.signal's, which takes 0.6 s to import."""

import math

import av
import numpy as np
from jaxtyping import Float

from samuel.config import SAMPLE_RATE

PIECE = 16_384  # samples that fit into a core's cache, in double precision


class Filter:
    """Of first or second order at `hertz`, `kind` "highpass" or "lowpass"; a block goes on where the one before ended.

    The bilinear transform of the analogue filter, in double precision.
    """

    def __init__(self, kind: str, hertz: float, order: int = 2, rate: int = SAMPLE_RATE) -> None:
        k = math.tan(math.pi * hertz / rate)
        sign = -1 if kind == "highpass" else 1
        gain = 1.0 if kind == "highpass" else k**order
        if order == 1:
            b, a = [gain, sign * gain, 0.0], [k + 1, k - 1, 0.0]
        else:
            b = [gain, 2 * sign * gain, gain]
            a = [1 + math.sqrt(2) * k + k * k, 2 * (k * k - 1), 1 - math.sqrt(2) * k + k * k]
        values = [
            f"{name}{n}={one / a[0]!r}" for name, side in (("b", b), ("a", a)) for n, one in enumerate(side)
        ]
        self.rate = rate
        self.graph = av.filter.Graph()
        layout = {"sample_rate": str(rate), "sample_fmt": "dblp", "channel_layout": "stereo"}
        source = self.graph.add("abuffer", time_base=f"1/{rate}", **layout)
        biquad = self.graph.add("biquad", ":".join([*values, "precision=f64"]))
        self.graph.link_nodes(source, biquad, self.graph.add("abuffersink")).configure()

    def __call__(self, block: Float[np.ndarray, "2 samples"]) -> Float[np.ndarray, "2 samples"]:
        """Of the block's own type."""
        filtered = np.empty(block.shape, block.dtype)  # by sides, whatever the order of the block
        for start in range(0, block.shape[1], PIECE):
            piece = np.ascontiguousarray(block[:, start : start + PIECE], np.float64)
            frame = av.AudioFrame.from_ndarray(piece, format="dblp", layout="stereo")
            frame.sample_rate = self.rate
            self.graph.push(frame)
            filtered[:, start : start + PIECE] = self.graph.pull().to_ndarray()
        return filtered
