"""Beats of a band: the tempo and the beats that fit the rises of its spectrum; bars by where chords change.

Points are every 16 ms, as in `samuel.harmonizing.beats`, which finds the beats.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from samuel.harmonizing.accents import HOP

RATE = 16_000
HOP_SAMPLES = 256
assert HOP_SAMPLES / RATE == HOP
SPREAD = 0.6  # octaves of tempi, as `find_grid` takes it: a band tells more of its tempo than a voice
LOW_HZ = 150.0  # below are basses and bass drums
LOW_SHARE = 1.0  # weight of their rises beside those of all
CHANGE_SECONDS = 0.08  # how far beside a chord's beginning its downbeat may be
CHANGE_AT_BEATS = (
    4.0  # weight of a change of chord, where the mean of the rises is 1: strokes off the beat mislead else
)
BASS_AT_DOWNBEATS = 0.5  # weight of a bass's rise beside a change of chord


def onset_curves(mono: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "2 points"]:
    """How much the spectrum rises at each point (mel bands in dB, as librosa has it): over all bands, over low ones.

    `mono` at RATE. Each is 1 in the mean; zeros for silence.
    """
    from samuel.compiled import librosa

    mel = librosa.feature.melspectrogram(y=mono, sr=RATE, n_fft=1024, hop_length=HOP_SAMPLES, n_mels=80)
    level = librosa.power_to_db(mel, ref=np.max) if mel.max(initial=0.0) > 0 else np.zeros_like(mel)
    rises = np.maximum(0, np.diff(level, axis=1, prepend=level[:, :1]))
    low = librosa.mel_frequencies(n_mels=82, fmax=RATE / 2)[1:-1] < LOW_HZ
    curves = np.stack([rises.mean(axis=0), rises[low].mean(axis=0)])
    return curves / np.maximum(curves.mean(axis=1, keepdims=True), 1e-9)


def beat_curve(
    onsets: Float[np.ndarray, "2 points"], changes: Sequence[float]
) -> Float[np.ndarray, " points"]:
    """What speaks for a beat at each point: rises, and chords that change (at `changes`, seconds)."""
    return _smooth(onsets[0] + LOW_SHARE * onsets[1], 1.5) + CHANGE_AT_BEATS * _near(changes, onsets.shape[1])


def downbeat_curve(
    onsets: Float[np.ndarray, "2 points"], changes: Sequence[float]
) -> Float[np.ndarray, " points"]:
    """What speaks for a downbeat at each point, 0 to 1: chords that change (at `changes`, seconds), basses that enter."""
    low = _smooth(onsets[1], 1.5)
    return (
        _near(changes, onsets.shape[1]) + BASS_AT_DOWNBEATS * low / max(float(low.max(initial=0.0)), 1e-9)
    ) / (1 + BASS_AT_DOWNBEATS)


def _near(changes: Sequence[float], points: int) -> np.ndarray:
    """1 where a chord begins, less within CHANGE_SECONDS and a little more, 0 elsewhere."""
    change = np.zeros(points)
    index = np.round(np.array(changes) / HOP).astype(int)
    change[index[(index >= 0) & (index < points)]] = 1
    kernel = np.exp(-0.5 * (np.arange(-10, 11) * HOP / CHANGE_SECONDS) ** 2)
    return np.minimum(1, np.convolve(change, kernel, mode="same")[:points])


def _smooth(curve: np.ndarray, points: float) -> np.ndarray:
    kernel = np.exp(-0.5 * (np.arange(-5, 6) / points) ** 2)
    return np.convolve(curve, kernel / kernel.sum(), mode="same")[: len(curve)]
