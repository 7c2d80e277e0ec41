"""What a listener with a score in mind hears of a signal, small enough to keep: pulse, harmony, level.

Signals are mono at 22.05 kHz (librosa's custom), full scale 1. Onset strength has 43.07 frames a second, chroma and
level have a quarter of that. Times are in seconds. Ten minutes of audio make about 200 kB.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from torch import Tensor

from samuel.audio import resample
from samuel.config import SAMPLE_RATE

RATE = 22_050
ONSET_HOP = 512
ONSET_RATE = RATE / ONSET_HOP
HOP = 2048
FRAME_RATE = RATE / HOP
CHROMA_WINDOW = 8192  # 2.7 Hz a bin: a semitone is wider from 45 Hz up
FLOOR_DBFS = -100.0
AUDIBLE_DBFS = -60.0  # quieter frames have no harmony
BASS_HZ = 150.0
MEL_BANDS, MEL_FLOOR_DB = 64, -80.0
SURE = 0.5
"""Confidence from which on a transcribed note counts."""


@dataclass(frozen=True)
class AudioFeatures:
    """The features of one signal."""

    onset_strength: Float[Array, " onset_frame"]
    """Spectral flux over mel bands in dB (Böck & Widmer 2013, as librosa has it)."""
    onsets: Float[Array, " onset"]
    beats: Float[Array, " beat"]
    """By dynamic programming on the onset strength (Ellis 2007), a tempo for the whole signal."""
    chroma: Float[Array, "12 frame"]
    """Share of each pitch class, from C; a frame's largest is 1. All 0 in frames below `AUDIBLE_DBFS`."""
    level: Float[Array, " frame"]
    """RMS in dBFS, from `FLOOR_DBFS` up; full scale is a constant 1."""
    bass: Float[Array, "12 frame"]
    """As `chroma`, of what is below `BASS_HZ`."""
    contrasts: Float[Array, " onset"]
    """How far the spectrum at each onset stands out of the second before, in dB: see `onset_contrasts`."""
    notes: Float[Array, " note"] | None = None
    """When notes begin of which a transcriber (basic-pitch) is sure; None where it was not asked."""

    @property
    def seconds(self) -> float:
        return len(self.level) / FRAME_RATE

    def until(self, seconds: float) -> "AudioFeatures":
        """The beginning only."""
        frames, onset_frames = round(seconds * FRAME_RATE), round(seconds * ONSET_RATE)
        return AudioFeatures(
            self.onset_strength[:onset_frames],
            self.onsets[self.onsets < seconds],
            self.beats[self.beats < seconds],
            self.chroma[:, :frames],
            self.level[:frames],
            self.bass[:, :frames],
            self.contrasts[self.onsets < seconds],
            None if self.notes is None else self.notes[self.notes < seconds],
        )

    def arrays(self) -> dict[str, Array]:
        """To be stored, in half precision where that does not matter."""
        half = ("onset_strength", "chroma", "level", "bass", "contrasts")
        return {
            field.name: getattr(self, field.name).astype(np.float16 if field.name in half else np.float32)
            for field in fields(self)
            if getattr(self, field.name) is not None
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "AudioFeatures":
        names = [field.name for field in fields(cls) if field.name in arrays]
        return cls(**{name: arrays[name].astype(np.float32) for name in names})


def audio_features(audio: Float[Tensor, "2 samples"], *, notes: bool = False) -> AudioFeatures:
    """Listen to stereo at 44.1 kHz, of any length. `notes`: transcribe it, too, where basic-pitch is installed."""
    from samuel.compiled import librosa

    mono = resample(audio.mean(dim=0, keepdim=True), SAMPLE_RATE, RATE)[0].cpu().numpy()
    strength = librosa.onset.onset_strength(y=mono, sr=RATE, hop_length=ONSET_HOP)
    chroma = librosa.feature.chroma_stft(y=mono, sr=RATE, n_fft=CHROMA_WINDOW, hop_length=HOP, tuning=0.0)
    bass = bass_chroma(mono)
    rms = librosa.feature.rms(y=mono, frame_length=2 * HOP, hop_length=HOP)[0]
    level = 20 * np.log10(np.maximum(rms, 10 ** (FLOOR_DBFS / 20)))
    times: dict[str, Any] = {"sr": RATE, "hop_length": ONSET_HOP, "units": "time"}
    sounds = bool(strength.max(initial=0.0) > 0)  # else librosa finds onsets in nothing
    onsets = librosa.onset.onset_detect(onset_envelope=strength, **times) if sounds else np.zeros(0)
    beats = librosa.beat.beat_track(onset_envelope=strength, **times)[1] if sounds else np.zeros(0)
    return AudioFeatures(
        strength.astype(np.float32),
        onsets.astype(np.float32),
        beats.astype(np.float32),
        (chroma * (level > AUDIBLE_DBFS)).astype(np.float32),
        level.astype(np.float32),
        (bass * (level > AUDIBLE_DBFS)).astype(np.float32),
        onset_contrasts(mono, onsets).astype(np.float32),
        sure_notes(audio) if notes else None,
    )


def bass_chroma(mono: Float[Array, " samples"]) -> Float[Array, "12 frame"]:
    """Share of each pitch class, from C, below `BASS_HZ`; a frame's largest is 1.

    Only the bins within a quarter tone of a note count, so that what is broad (a drum) gives no note an advantage.
    """
    from samuel.compiled import librosa

    power = np.abs(librosa.stft(mono, n_fft=CHROMA_WINDOW, hop_length=HOP)) ** 2
    frequencies = librosa.fft_frequencies(sr=RATE, n_fft=CHROMA_WINDOW)
    found = np.zeros((12, power.shape[1]))
    for note in range(24, int(librosa.hz_to_midi(BASS_HZ)) + 1):  # C1, 32.7 Hz, is the lowest
        near = np.abs(12 * np.log2(frequencies.clip(1e-3) / 440) + 69 - note) < 0.5
        if near.any():
            found[note % 12] = np.maximum(found[note % 12], power[near].max(axis=0))
    return found / np.maximum(found.max(axis=0), np.finfo(float).tiny)


def onset_contrasts(mono: Float[Array, " samples"], onsets: Float[Array, " onset"]) -> Float[Array, " onset"]:
    """By how much each onset's spectrum stands out of the second before it, in dB: the mean over mel bands of the rise
    of the loudest of three frames (70 ms) over the mean level of that second; bands that fall count as zero.
    """
    from samuel.compiled import librosa

    mel = librosa.feature.melspectrogram(
        y=mono, sr=RATE, n_fft=1024, hop_length=ONSET_HOP, n_mels=MEL_BANDS, power=2.0
    )
    level = np.maximum(10 * np.log10(np.maximum(mel, 1e-12)), MEL_FLOOR_DB)
    second = round(ONSET_RATE)
    rises = []
    for frame in np.round(onsets * ONSET_RATE).astype(int):
        before = level[:, max(0, frame - second) : max(1, frame)].mean(axis=1)
        rises.append((level[:, frame : frame + 3].max(axis=1, initial=MEL_FLOOR_DB) - before).clip(0).mean())
    return np.array(rises)


def sure_notes(audio: Float[Tensor, "2 samples"]) -> Float[Array, " note"] | None:
    """When the notes begin of which basic-pitch is sure (a confidence of `SURE` and more); None where it is not installed."""
    from samuel.codec.measuring import transcribed_notes

    try:
        intervals, _, confidences = transcribed_notes(audio.cpu())
    except ImportError:
        return None
    return np.sort(intervals[confidences >= SURE, 0]).astype(np.float32)
