"""Vocals and band -> a mix that can be published: balance, loudness, true peak.

Audio is float32 (2, samples) at 44.1 kHz. Loudness is integrated loudness in LUFS and peaks are true peaks, both
as ITU-R BS.1770 has them, measured by FFmpeg's `ebur128` block by block: no copy of the song.
"""

import io
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress

import av
import numpy as np
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from samuel.audio import decode, write
from samuel.config import SAMPLE_RATE

Audio = Float[Tensor, "2 samples"]

PASSES = 2
LOUDNESS_TOLERANCE = 0.2  # LU: less is not heard
MISSED_LU = 0.5  # so much beside the loudness asked for is told

BLOCK = 10 * SAMPLE_RATE
SILENCE = -70.0  # LUFS: the meter's gate, nothing below is measured
LOOK_AHEAD = SAMPLE_RATE // 50  # 20 ms: faster gains would be heard as distortion of the bass
OVERSAMPLING = 4
RANGES_DB = {"balance": (-60.0, 60.0), "loudness": (-60.0, -5.0), "true peak": (-20.0, 0.0)}
MARGIN_DB = 0.1  # for peaks between the samples of OVERSAMPLING, and what the changing gain adds
CONTEXT = 1024  # samples on both sides of a block that shape its oversampled peaks

TRUE_PEAK_DB = -1.0  # streaming services' ceiling
EXACT_FORMATS = ("wav", "flac")
ENCODINGS = 4  # at most: a lossy codec's peaks are known only when they are decoded


def mix(
    vocals: Audio,
    band: Float[Tensor, "2 _"],
    balance_db: float = 0.0,
    lufs: float = -14.0,
    true_peak_db: float = TRUE_PEAK_DB,
) -> Audio:
    """Vocals and band, the band `balance_db` louder than the vocals, together at `lufs` (streaming services' -14).

    A look-ahead limiter takes down peaks above `true_peak_db`, so nothing is clipped; where that costs loudness it
    is given back once, so that a mix of hard peaks may still come out a little below `lufs`. Of vocals or band that
    are silent, the other alone is what is heard.
    Raises ValueError where the two differ in length or a value is out of range.
    """
    if vocals.shape != band.shape:
        raise ValueError(
            f"expected vocals and band of one length, got {vocals.shape[-1]} and {band.shape[-1]} samples"
        )
    check_levels({"balance": balance_db, "loudness": lufs, "true peak": true_peak_db})
    gain = balance_db
    levels = loudness(vocals), loudness(band)
    if min(levels) > SILENCE:
        gain += levels[0] - levels[1]
    mixed = torch.add(vocals, band, alpha=_amplitude(gain))
    for _ in range(PASSES):
        level = loudness(mixed)
        mixed *= _amplitude(lufs - level if level > SILENCE else 0.0)
        mixed = _limit(mixed, true_peak_db, in_place=True)
        if abs(lufs - level) < LOUDNESS_TOLERANCE:
            break
    return mixed


def check_levels(levels: Mapping[str, float]) -> None:
    """Raises ValueError for a level that is not in its range of `RANGES_DB`."""
    for name, value in levels.items():
        low, high = RANGES_DB[name]
        if not low <= value <= high:  # NaN is not
            raise ValueError(f"expected a {name} from {low:g} to {high:g} dB, got {value:g}")


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
    so it never exceeds what the sample itself needs. What it gives back, it leaves as it is when it is asked again.
    It works block by block: beside the result it takes the memory of a few seconds.
    """
    return _limit(audio, true_peak_db)


def _limit(audio: Audio, true_peak_db: float, *, in_place: bool = False) -> Audio:
    limited: Audio | None = None
    starts = range(0, audio.shape[1], BLOCK)
    reach = 2 * LOOK_AHEAD  # of the samples that shape a gain
    before, needed = np.ones(0, np.float32), _needed(audio, 0, true_peak_db)
    for start in starts:
        # A block's peaks are looked for while it and its neighbours are as they were.
        coming = _needed(audio, start + BLOCK, true_peak_db)
        around = np.concatenate([before, needed, coming[:reach]])
        if around.min(initial=1) < 1:
            gains = _sliding_mean(_sliding_minimum(around, LOOK_AHEAD), LOOK_AHEAD)
            if limited is None:
                limited = audio if in_place else audio.clone()
            limited[:, start : start + BLOCK] *= torch.from_numpy(gains[len(before) :][: len(needed)])
        before, needed = needed[-reach:], coming
    if limited is None:
        return audio
    excess = true_peak(limited) - true_peak_db
    return limited.mul_(_amplitude(-excess)) if excess > 0 else limited


def _needed(audio: Audio, start: int, true_peak_db: float) -> np.ndarray:
    """The gain that each sample of the block at `start` needs."""
    if start >= audio.shape[1]:
        return np.ones(0, np.float32)
    ceiling, most = _amplitude(true_peak_db - MARGIN_DB), _amplitude(true_peak_db - MARGIN_DB / 2)
    before = min(start, CONTEXT)
    block = audio[:, start - before : start + BLOCK + CONTEXT].T.numpy()
    fine = np.abs(soxr.resample(block, 1, OVERSAMPLING, quality="HQ")).max(1)
    peaks = fine[: OVERSAMPLING * len(block)].reshape(-1, OVERSAMPLING).max(1)
    peaks = np.maximum(peaks, np.abs(block).max(1))[before:][:BLOCK]
    return np.where(peaks > most, ceiling / np.maximum(peaks, ceiling), 1).astype(np.float32)


def encoded(audio: Audio, file_format: str) -> bytes:
    """A file of one of `samuel.audio.FILE_FORMATS`, whose true peaks are at most `TRUE_PEAK_DB` when it is decoded.

    What a lossy codec adds to the peaks is known only afterwards (0.4 to 1.2 dB on mixes of drums and voice); where it
    is too much, the audio is limited by as much more and encoded again: that costs half the loudness of turning it down.
    """
    ceiling = TRUE_PEAK_DB
    for _ in range(ENCODINGS):
        file = io.BytesIO()
        write(file, limit(audio, ceiling), file_format)
        if file_format in EXACT_FORMATS:
            break
        excess = true_peak(decode(io.BytesIO(file.getvalue()))) - TRUE_PEAK_DB
        if excess <= 0:
            break
        ceiling -= excess + MARGIN_DB
    return file.getvalue()


def loudness_remark(mixed: Audio, lufs: float) -> str:
    """What to tell where a mix did not come out as loud as asked; "" where it did."""
    reached = loudness(mixed)
    if reached == SILENCE or abs(reached - lufs) < MISSED_LU:
        return ""
    return f"the mix has {reached:.1f} LUFS, not {lufs:g}: louder, its peaks would go over {TRUE_PEAK_DB:g} dBTP or be flattened"


def _sliding_minimum(values: np.ndarray, reach: int) -> np.ndarray:
    """The least of each value and `reach` on both sides: from the running minima of blocks, forwards and backwards
    (van Herk 1992; Gil and Werman 1993), so in a time that does not depend on `reach`."""
    width = 2 * reach + 1
    missing = -(len(values) + 2 * reach) % width
    blocks = np.pad(values, (reach, reach + missing), constant_values=np.inf).reshape(-1, width)
    forwards = np.minimum.accumulate(blocks, axis=1).ravel()
    backwards = np.minimum.accumulate(blocks[:, ::-1], axis=1)[:, ::-1].ravel()
    return np.minimum(backwards[: len(values)], forwards[width - 1 :][: len(values)])


def _sliding_mean(values: np.ndarray, reach: int) -> np.ndarray:
    """The mean of each value and `reach` on both sides; beyond the ends it goes on as it ended."""
    sums = np.cumsum(np.pad(values, (reach + 1, reach), mode="edge"), dtype=np.float64)
    width = 2 * reach + 1
    return ((sums[width:] - sums[:-width]) / width).astype(np.float32)


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
