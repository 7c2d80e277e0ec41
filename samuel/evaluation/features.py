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
        )

    def arrays(self) -> dict[str, Array]:
        """To be stored, in half precision where that does not matter."""
        half = ("onset_strength", "chroma", "level")
        return {
            field.name: getattr(self, field.name).astype(np.float16 if field.name in half else np.float32)
            for field in fields(self)
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "AudioFeatures":
        return cls(**{field.name: arrays[field.name].astype(np.float32) for field in fields(cls)})


def audio_features(audio: Float[Tensor, "2 samples"]) -> AudioFeatures:
    """Listen to stereo at 44.1 kHz, of any length."""
    from samuel.compiled import librosa

    mono = resample(audio.mean(dim=0, keepdim=True), SAMPLE_RATE, RATE)[0].cpu().numpy()
    strength = librosa.onset.onset_strength(y=mono, sr=RATE, hop_length=ONSET_HOP)
    chroma = librosa.feature.chroma_stft(y=mono, sr=RATE, n_fft=CHROMA_WINDOW, hop_length=HOP, tuning=0.0)
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
    )
