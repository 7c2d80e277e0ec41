"""What the beat network and a voice's accents say -> a tempo that holds, beats, downbeats.

Tempo: peaks of their autocorrelation at a beat, its half and its multiples (a comb), weighted towards usual
tempi. Beats: dynamic programming after Ellis, "Beat tracking by dynamic programming" (2007): beats lie on accents and
keep their distance. Metre and downbeats: the length and the phase of the bar with most weight.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from samuel.harmonizing.accents import HOP, accents
from samuel.harmonizing.beat_network import FRAME, BeatNetwork, beat_curves
from samuel.harmonizing.training import load_weights
from samuel.lead_sheet.locks import Locks
from samuel.lead_sheet.sheet import FOUR
from samuel.lead_sheet.signatures import Metre
from samuel.vocals.features import VocalFeatures

PLAIN_BPM = 100.0  # where no tempo is to be found
SLOWEST, FASTEST = 50.0, 200.0
USUAL_BPM, SPREAD = 100.0, 0.7  # of the log-normal weight of tempi, in octaves
COMB = ((0.5, 0.5), (1.0, 1.0), (2.0, 0.8), (3.0, 0.4), (4.0, 0.8))  # (multiple of the beat, weight)
TIGHTNESS = 400.0
SURE_PERIODICITY = 0.12  # of the comb's value, from 0 to 1
SURE_BEATS = 8  # in fewer no tempo shows
ACCENTS = 0.5  # weight of accents beside the network
THREE, MARGIN = Metre(3), 0.05  # and by how much of a probability downbeats by three have to stand out more
WEIGHTS = Path(__file__).parent / "weights" / "beats.safetensors"


@dataclass(frozen=True)
class Grid:
    """Beats over the whole recording, in seconds; `downbeats` are among them."""

    beats: tuple[float, ...]
    downbeats: tuple[float, ...]
    metre: Metre
    unsure: tuple[str, ...] = ()


@cache
def beat_network() -> BeatNetwork:
    return load_weights(BeatNetwork, WEIGHTS)


def voice_curves(
    features: VocalFeatures, seconds: float, network: BeatNetwork | None = None
) -> Float[np.ndarray, "2 points"]:
    """Beats and downbeats over time, at points HOP apart.

    Row 0: what the network (default: the one in the package) and accents say of a beat, 0 and more; zeros for silence.
    Row 1: the network's probability of a downbeat.
    """
    stressed = accents(features, seconds)
    curves = beat_curves(network or beat_network(), features, seconds)
    points = np.arange(len(stressed)) * HOP
    middles = (np.arange(curves.shape[1]) + 0.5) * FRAME
    beat, down = (np.interp(points, middles, curve) for curve in curves)
    if not stressed.any():
        return np.stack([stressed, down])
    return np.stack([beat / beat.mean() + ACCENTS * stressed, down])


def find_grid(
    curves: Float[np.ndarray, "2 points"], seconds: float, locks: Locks, spread: float = SPREAD
) -> Grid:
    """Given tempo, first beat and metre hold; the rest is found. At least one bar, whatever the voice.

    `spread`: how far, in octaves, tempi are from the usual one; the smaller, the less the curves decide.
    """
    curve = curves[0]
    unsure: list[str] = []
    silent = not curve.any()
    period, periodicity = (60 / PLAIN_BPM, 0.0) if silent else find_period(curve, spread)
    if locks.bpm:
        period = 60 / locks.bpm
    elif periodicity < SURE_PERIODICITY or seconds < SURE_BEATS * period:
        unsure += ["tempo", "beats"]
    if locks.bpm or silent or seconds < 4 * period:
        first = locks.first_beat if locks.first_beat is not None else _phase(curve, period)
        beats = _evenly(first, period, seconds)
    else:
        beats = track(curve, period)
        if locks.first_beat is not None:
            beats = beats - min(beats - locks.first_beat, key=abs)
    beats = _over(beats, seconds)
    weights = _weights(curves[1], beats)
    metre = locks.metre or _metre(weights)
    if locks.first_beat is not None:
        phase = int(np.abs(beats - locks.first_beat).argmin()) % metre.beats
    else:
        phase, clear = _bar_phase(weights, metre.beats)
        if silent or not clear:
            unsure.append("downbeats")
    downbeats = beats[phase :: metre.beats]
    return Grid(tuple(beats.tolist()), tuple(downbeats.tolist()), metre, tuple(unsure))


def find_period(curve: Float[np.ndarray, " points"], spread: float = SPREAD) -> tuple[float, float]:
    """Seconds of a beat, and how periodic the accents are (0 to 1)."""
    candidates = 60 / np.geomspace(SLOWEST, FASTEST, 400)
    correlation = autocorrelation(curve, int(4.1 * candidates.max() / HOP) + 2)
    lags = candidates / HOP
    comb = np.zeros(len(candidates))
    total = 0.0
    for multiple, weight in COMB:
        comb += weight * np.interp(multiple * lags, np.arange(len(correlation)), correlation, right=0.0)
        total += weight
    comb /= total
    usual = np.exp(-0.5 * (np.log2(60 / candidates / USUAL_BPM) / spread) ** 2)
    best = int(((comb - comb.min() + 1e-9) * usual).argmax())
    return float(candidates[best]), float(max(0.0, comb[best]))


def autocorrelation(curve: Float[np.ndarray, " points"], lags: int) -> Float[np.ndarray, " lags"]:
    """Of the curve less its mean over four seconds; 1 at lag 0."""
    window = min(len(curve), int(4 / HOP))
    local = np.convolve(curve, np.ones(window) / window, mode="same")[: len(curve)]
    flat = curve - local
    size = 1 << int(np.ceil(np.log2(2 * len(flat))))
    spectrum = np.abs(np.fft.rfft(flat, size)) ** 2
    found = np.fft.irfft(spectrum, size)[:lags]
    found = np.pad(found, (0, max(0, lags - len(found))))
    return found / found[0] if found[0] > 0 else found


def track(curve: Float[np.ndarray, " points"], period: float) -> Float[np.ndarray, " beats"]:
    """Beat times that lie on accents and keep about `period` seconds (Ellis 2007)."""
    steps = period / HOP
    reach = np.arange(-round(1.25 * steps), -round(0.8 * steps) + 1)
    cost = -TIGHTNESS * np.log(-reach / steps) ** 2
    padded = np.concatenate([np.zeros(-reach[0]), np.sqrt(curve)])
    score, before = padded.copy(), np.full(len(padded), -1)
    for index in range(-reach[0], len(padded)):
        ways = cost + score[index + reach]
        best = int(ways.argmax())
        if ways[best] > 0:
            score[index] += ways[best]
            before[index] = index + reach[best]
    last = len(padded) - int(steps)
    at = last + int(score[last:].argmax())
    beats = []
    while at >= -reach[0]:
        beats.append(at + reach[0])
        at = int(before[at])
    return np.array(beats[::-1]) * HOP


def _evenly(first: float, period: float, seconds: float) -> np.ndarray:
    count = max(1, int(np.ceil((seconds - first) / period - 1e-9)))
    return first + period * np.arange(count)


def _phase(curve: np.ndarray, period: float) -> float:
    """The time of the first beat of a steady grid with most accents on it."""
    offsets = np.arange(0, period, HOP)
    times = np.arange(0, len(curve) * HOP, period)
    points = np.arange(len(curve)) * HOP
    sums = [np.interp(offset + times, points, curve, right=0.0).sum() for offset in offsets]
    return float(offsets[int(np.argmax(sums))])


def _over(beats: np.ndarray, seconds: float) -> np.ndarray:
    """Carried on evenly to the beginning and the end of the recording."""
    beats = beats[beats >= 0]
    if len(beats) < 2:
        return beats if len(beats) else np.array([0.0])
    first, last = beats[1] - beats[0], beats[-1] - beats[-2]
    before = beats[0] - first * np.arange(int(beats[0] / first + 1e-6), 0, -1)
    after = beats[-1] + last * np.arange(1, max(0, int(np.ceil((seconds - beats[-1]) / last - 1e-6) - 1)) + 1)
    return np.maximum(np.concatenate([before, beats, after]), 0.0)


def _weights(curve: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """Accent near each beat."""
    index = np.clip(np.round(beats / HOP).astype(int), 0, len(curve) - 1)
    near = np.stack([curve[np.clip(index + shift, 0, len(curve) - 1)] for shift in range(-3, 6)])
    return near.max(axis=0)


def _metre(weights: np.ndarray) -> Metre:
    """Four in a bar, or three where downbeats stand out more clearly so."""
    if len(weights) < 2 * 12:
        return FOUR
    four, three = (
        max(weights[phase::beats].mean() for phase in range(beats)) for beats in (FOUR.beats, THREE.beats)
    )
    return THREE if three > four + MARGIN else FOUR


def _bar_phase(weights: np.ndarray, beats: int) -> tuple[int, bool]:
    """Which beat of the first bar is its first, and whether that is clear."""
    if len(weights) < 2 * beats or not weights.any():
        return 0, False
    sums = np.array([weights[phase::beats].mean() for phase in range(beats)])
    order = np.sort(sums)
    return int(sums.argmax()), bool(beats == 1 or order[-1] > 1.15 * order[-2])
