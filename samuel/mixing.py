"""Vocals and band -> a mix that can be published: balance, loudness, true peak.

Audio is float32 (2, samples) at 44.1 kHz. Loudness is integrated loudness in LUFS and peaks are true peaks, both
as ITU-R BS.1770 has them, measured by FFmpeg's `ebur128` block by block: no copy of the song.
"""

import math
from collections.abc import Iterator
from contextlib import suppress

import av
import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.signal import resample_poly
from torch import Tensor

from samuel.config import SAMPLE_RATE

Audio = Float[Tensor, "2 samples"]

PASSES = 2
LOUDNESS_TOLERANCE = 0.2  # LU: less is not heard

BLOCK = 10 * SAMPLE_RATE
SILENCE = -70.0  # LUFS: the meter's gate, nothing below is measured
LOOK_AHEAD = SAMPLE_RATE // 50  # 20 ms: faster gains would be heard as distortion of the bass
OVERSAMPLING = 4
MARGIN_DB = 0.1  # for peaks between the samples of OVERSAMPLING, and what the changing gain adds


def mix(
    vocals: Audio,
    band: Float[Tensor, "2 _"],
    balance_db: float = 0.0,
    lufs: float = -14.0,
    true_peak_db: float = -1.0,
) -> Audio:
    """Vocals and band, the band `balance_db` louder than the vocals, together at `lufs` (streaming services' -14).

    A look-ahead limiter takes down peaks above `true_peak_db`, so nothing is clipped; where that costs loudness it
    is given back once, so that a mix of hard peaks may still come out a little below `lufs`. Of vocals or band that are silent, the other alone is what is heard.
    Raises ValueError where the two differ in length or a value is out of range.
    """
    if vocals.shape != band.shape:
        raise ValueError(
            f"expected vocals and band of one length, got {vocals.shape[-1]} and {band.shape[-1]} samples"
        )
    for name, value, low, high in (
        ("balance", balance_db, -60, 60),
        ("loudness", lufs, -60, -5),
        ("true peak", true_peak_db, -20, 0),
    ):
        if not low <= value <= high:
            raise ValueError(f"expected a {name} from {low} to {high} dB, got {value:g}")
    gain = balance_db
    levels = loudness(vocals), loudness(band)
    if min(levels) > SILENCE:
        gain += levels[0] - levels[1]
    mixed = torch.add(vocals, band, alpha=_amplitude(gain))
    for _ in range(PASSES):
        level = loudness(mixed)
        mixed = limit(mixed * _amplitude(lufs - level if level > SILENCE else 0.0), true_peak_db)
        if abs(lufs - level) < LOUDNESS_TOLERANCE:
            break
    return mixed


def loudness(audio: Audio) -> float:
    """Integrated loudness in LUFS, -70 for silence; what is shorter than 0.4 s counts as silent."""
    found: dict[str, str] = {}
    for so_far in _meter(audio, "metadata=1"):
        found = so_far or found
    return max(SILENCE, float(found.get("lavfi.r128.I", SILENCE)))


def true_peak(audio: Audio) -> float:
    """In dBTP, the higher one of both channels; -120 for silence."""
    peak = max(float(found.get("lavfi.r128.true_peak", 0)) for found in _meter(audio, "metadata=1:peak=true"))
    return 20 * math.log10(max(peak, 1e-6))


def limit(audio: Audio, true_peak_db: float) -> Audio:
    """Audio as it is up to `true_peak_db`, turned down smoothly around every peak above.

    The gain at a sample is the mean over `LOOK_AHEAD` each way of the least gain needed within `LOOK_AHEAD`:
    so it never exceeds what the sample itself needs.
    """
    ceiling = _amplitude(true_peak_db - MARGIN_DB)
    needed = np.ones(audio.shape[1], np.float32)
    for start in range(0, audio.shape[1], BLOCK):
        before = min(start, 64)
        block = audio[:, start - before : start + BLOCK + 64].numpy()
        fine = np.abs(resample_poly(block, OVERSAMPLING, 1, axis=1)).max(0)
        peaks = fine.reshape(-1, OVERSAMPLING).max(1)[before:][:BLOCK]
        needed[start : start + BLOCK] = ceiling / np.maximum(peaks, ceiling)
    if needed.min(initial=1) == 1:
        return audio
    span = 2 * LOOK_AHEAD + 1
    gains = uniform_filter1d(minimum_filter1d(needed, span, mode="nearest"), span, mode="nearest")
    limited = audio * torch.from_numpy(gains)
    excess = true_peak(limited) - true_peak_db
    return limited * _amplitude(-excess) if excess > 0 else limited


def _meter(audio: Audio, options: str) -> Iterator[dict[str, str]]:
    """What FFmpeg's ebur128 has measured up to each moment; empty where there is no news."""
    graph = av.filter.Graph()
    layout = {"sample_rate": str(SAMPLE_RATE), "sample_fmt": "fltp", "channel_layout": "stereo"}
    source = graph.add("abuffer", time_base=f"1/{SAMPLE_RATE}", **layout)
    graph.link_nodes(source, graph.add("ebur128", options), graph.add("abuffersink")).configure()
    yield {}
    for start in [*range(0, audio.shape[1], BLOCK), None]:
        if start is None:
            graph.push(None)
        else:
            block = np.ascontiguousarray(audio[:, start : start + BLOCK].detach().cpu().numpy())
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            graph.push(frame)
        with suppress(av.BlockingIOError, av.EOFError):  # nothing more for now
            while True:
                yield graph.pull().metadata


def _amplitude(decibels: float) -> float:
    return 10 ** (decibels / 20)
