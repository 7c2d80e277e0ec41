"""What makes dry tracks sound like one record: rooms, faders, one limiter for all stems. Levels and gains are in decibels."""

from collections.abc import Iterable, Iterator
from functools import reduce

import numpy as np
from jaxtyping import Float, Float32
from numpy.lib.stride_tricks import sliding_window_view

from samuel.arranging.filters import Filter
from samuel.config import SAMPLE_RATE

Stereo = Float32[np.ndarray, "2 samples"]
Response = Float32[np.ndarray, "2 taps"]
PEAK = 10 ** (-1.5 / 20)  # half a decibel below -1 dBFS: lossy encoders overshoot
LIMITER_SECONDS = 0.04
GROUP = 40  # samples that share a limiter's gain
WINDOW = 2 * int(LIMITER_SECONDS * SAMPLE_RATE / GROUP / 2) + 1  # groups
LOWEST_HERTZ = 20.0
FADER_SECONDS = 1.0
FADER_STEP = 1000  # samples
FADER_STEPS = round(FADER_SECONDS * SAMPLE_RATE / FADER_STEP / 2)  # of half a window
MOST_FADED = 12.0  # decibels
SLOWER = 4  # the sample rate of a `Room`'s tail, against the audio's
PREDELAY_SECONDS = 0.012


def effects(
    rng: np.random.Generator,
    *,
    seconds: float,
    wet: float,
    presence: float = 0.0,
    lowest: float = 20.0,
    echo_seconds: float = 0.0,
    echo_gain: float = 0.0,
) -> Response:
    """The impulse response of everything linear that happens to a stem: filters, echo and room.

    A high-pass at `lowest` Hz (some SoundFonts' samples carry an offset), a shelf of `presence` decibels
    above 4 kHz, two echoes, and a diffuse stereo room: noise that dies by 60 dB in `seconds`, faster
    where it is bright. `wet` is the room's energy beside the dry sound's, as an amplitude ratio.
    """
    dry = np.zeros((2, int((0.25 + 2 * echo_seconds) * SAMPLE_RATE)))
    for count in range(3 if echo_gain else 1):
        dry[:, int(count * echo_seconds * SAMPLE_RATE)] = echo_gain**count
    tail = wet * _tail(rng, seconds, SAMPLE_RATE)
    response = np.zeros((2, max(dry.shape[1], tail.shape[1])))
    response[:, : dry.shape[1]] += dry
    response[:, : tail.shape[1]] += tail
    response = Filter("highpass", lowest)(response)
    response += (10 ** (presence / 20) - 1) * Filter("highpass", 4000.0, order=1)(response)
    return response.astype(np.float32)


def _tail(rng: np.random.Generator, seconds: float, rate: int) -> Response:
    """A diffuse stereo room after its predelay, with the energy 1 on each side."""
    length = int(seconds * rate)
    decay = 10 ** (-3 * np.arange(length) / length)
    tail = rng.standard_normal((2, length)) * decay
    dark = Filter("lowpass", 2500.0, rate=rate)(tail)
    tail = Filter("highpass", 180.0, order=1, rate=rate)(dark + 0.35 * (tail - dark) * decay)
    tail /= np.sqrt((tail**2).sum(axis=1, keepdims=True))
    return np.pad(tail, ((0, 0), (int(PREDELAY_SECONDS * rate), 0))).astype(np.float32)


def apply(response: Response, audio: Stereo) -> Stereo:
    """Convolves; the result has the audio's length."""
    from scipy.signal import oaconvolve

    return oaconvolve(audio, response, axes=1)[:, : audio.shape[1]].astype(np.float32)


def _asked(signals: list[Stereo]) -> Float32[np.ndarray, " groups"]:
    """The gain that each `GROUP` of samples asks for."""
    missing = -signals[0].shape[1] % GROUP
    peaks = [
        np.maximum(audio.max(axis=0), -audio.min(axis=0))
        for audio in (np.pad(a, ((0, 0), (0, missing))) if missing else a for a in signals)
    ]
    peak = np.max(peaks, axis=0).reshape(-1, GROUP).max(axis=1)
    return np.minimum(1.0, PEAK / np.maximum(peak, PEAK))


def _smooth(asked: Float32[np.ndarray, " groups"]) -> Float32[np.ndarray, " groups"]:
    """The smallest gain asked for within a window and a group more each way, averaged over the window.

    So neither a group's gain nor its neighbours' exceeds what the group asked for.
    """
    if asked.min(initial=1.0) == 1:
        return asked
    reach = WINDOW // 2
    smallest = sliding_window_view(np.pad(asked, reach + 1, "edge"), WINDOW + 2).min(axis=1)
    smooth = sliding_window_view(np.pad(smallest.astype(np.float64), reach, "edge"), WINDOW).mean(axis=1)
    return smooth.astype(np.float32)


def _between(gains: Float32[np.ndarray, " groups"]) -> Float32[np.ndarray, " samples"]:
    """A gain for each sample, on straight lines from the middle of one group to that of the next."""
    if gains.min(initial=1.0) == 1:
        return np.ones(len(gains) * GROUP, np.float32)
    middles = (np.arange(len(gains)) + 0.5) * GROUP - 0.5
    return np.interp(np.arange(len(gains) * GROUP), middles, gains).astype(np.float32)


def limited_blocks(blocks: Iterable[dict[str, Stereo]]) -> Iterator[dict[str, Stereo]]:
    """Stems block by block, every peak, the sum's too, held at -1.5 dBFS by one gain for all.

    All blocks but the last are of one length, a multiple of `GROUP` and longer than the window.
    """
    context = WINDOW + 2
    before = np.ones(0, np.float32)  # gains asked for by the block before
    held: dict[str, Stereo] = {}
    asked = before
    for block in blocks:
        signals = list(block.values())
        coming = _asked([reduce(np.add, signals), *signals])
        if held:
            yield _turned_down(held, before, asked, coming[:context])
        before, held, asked = asked[-context:], block, coming
    if held:
        yield _turned_down(held, before, asked, asked[:0])


def faded_blocks(
    blocks: Iterable[tuple[dict[str, Stereo], Stereo]], energy: tuple[tuple[float, float], ...]
) -> Iterator[dict[str, Stereo]]:
    """Stems block by block at the level that `energy`, (second, 0 to 1), asks for; as they are where it is empty.

    Each block comes with the sound of the whole band, which the fader goes by: its level over `FADER_SECONDS` becomes
    `asked_level`, as far as that is within `MOST_FADED` of it. Rests and what rings on stay as soft as they are.
    All blocks but the last are of one length, a multiple of `FADER_STEP` and longer than `FADER_SECONDS`.
    """
    if not energy:
        yield from (stems for stems, _ in blocks)
        return
    margin = FADER_STEPS + 1
    before = np.full(margin, np.nan)  # powers, a step each; NaN where there is no sound to measure
    held: dict[str, Stereo] = {}
    powers, place = before, 0
    for stems, whole in blocks:
        coming = _powers(whole)
        if held:
            yield _faded(held, np.concatenate([before, powers, coming[:margin]]), place, energy)
            before, place = powers[-margin:], place + len(powers)
        held, powers = stems, coming
    if held:
        yield _faded(held, np.concatenate([before, powers, np.full(margin, np.nan)]), place, energy)


def asked_level(energy: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """dBFS (RMS) of a band with so much energy.

    Near 1, where what is heard of real bands lies, as far apart as `samuel.lead_sheet.energy` has it: 24 dB for all
    of 0 to 1. Lower down a band of fewer players is softer by itself.
    """
    return np.interp(energy, (0.0, 0.75, 1.0), (-27.0, -21.0, -15.0))


def _powers(audio: Stereo) -> Float[np.ndarray, " steps"]:
    missing = -audio.shape[1] % FADER_STEP
    steps = np.pad(audio, ((0, 0), (0, missing))).reshape(2, -1, FADER_STEP)
    return np.einsum("csn,csn->s", steps, steps) / (2 * FADER_STEP)


def _faded(
    stems: dict[str, Stereo],
    powers: Float[np.ndarray, " context"],
    place: int,
    energy: tuple[tuple[float, float], ...],
) -> dict[str, Stereo]:
    """`powers` are those of the stems' steps, and of a window's half and a step more on both sides.

    `place` is the stems' first step.
    """
    shape = np.hanning(2 * FADER_STEPS + 3)[1:-1]
    known = np.isfinite(powers)
    smoothed = np.convolve(np.where(known, powers, 0.0), shape, "valid")
    smoothed /= np.convolve(known.astype(float), shape, "valid")
    level = 10 * np.log10(np.maximum(smoothed, 1e-12))
    steps = np.arange(len(level)) + place - 0.5
    asked = asked_level(np.interp(steps * FADER_STEP / SAMPLE_RATE, *np.array(energy).T))
    gain = np.clip(asked - level, -MOST_FADED, MOST_FADED)
    gain *= np.where(gain > 0, np.clip((level - asked + 24) / 15, 0, 1), 1.0)
    samples = np.arange(next(iter(stems.values())).shape[1]) + place * FADER_STEP
    decibels = np.interp(samples, steps * FADER_STEP, gain).astype(np.float32)
    gains = np.exp(decibels * np.float32(np.log(10) / 20))
    return {name: audio * gains for name, audio in stems.items()}


def _turned_down(
    stems: dict[str, Stereo], before: np.ndarray, asked: np.ndarray, coming: np.ndarray
) -> dict[str, Stereo]:
    gains = _between(_smooth(np.concatenate([before, asked, coming])))[len(before) * GROUP :]
    return {name: audio * gains[: audio.shape[1]] for name, audio in stems.items()}


class Room:
    """A small room, block by block: what sounds on after a block is added to those after it.

    Its tail is made at a quarter of the sample rate from the sum of both sides: a room is dark, and this is fast. A
    high-pass at 20 Hz takes off what offset a font's samples have. `wet` is the tail's amplitude beside the dry
    sound's; 0: the high-pass alone.
    """

    def __init__(self, *, seconds: float, wet: float, seed: int = 0) -> None:
        self.filter = Filter("highpass", LOWEST_HERTZ)
        self.response = (
            _tail(np.random.default_rng(seed), seconds, SAMPLE_RATE // SLOWER) * wet if wet else None
        )
        self.tail = np.zeros((2, 0 if self.response is None else self.response.shape[1] - 1), np.float32)
        self.last = np.zeros((2, 1), np.float32)

    def __call__(self, block: Stereo) -> Stereo:
        """`block`, a multiple of four samples long and longer than the tail."""
        audio = self.filter(block)
        if self.response is None:
            return audio
        send = (audio[0] + audio[1]).reshape(-1, SLOWER) @ np.full(SLOWER, 0.5 / SLOWER, np.float32)
        length = len(send) + self.tail.shape[1]
        points = 1 << (length - 1).bit_length()
        spectra = np.fft.rfft(send[None], points) * np.fft.rfft(self.response, points)
        wet = np.fft.irfft(spectra, points)[:, :length].astype(np.float32, copy=False)
        wet[:, : self.tail.shape[1]] += self.tail
        self.tail = wet[:, len(send) :]
        wet = np.concatenate([self.last, wet[:, : len(send)]], axis=1)
        self.last = wet[:, -1:]
        rising = np.arange(SLOWER, dtype=np.float32) / SLOWER
        between = np.stack([wet[:, :-1].ravel(), wet[:, 1:].ravel()], axis=1) @ np.stack([1 - rising, rising])
        audio += between.reshape(2, -1)
        return audio
