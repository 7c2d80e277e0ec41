"""Small songs with a known truth: chords of a few harmonics on a beat, clicks, silence."""

import numpy as np
import torch
from torch import Tensor

from samuel.config import SAMPLE_RATE

CHORDS = ("C:maj", "A:min", "F:maj", "G:maj")
TONES = {"C:maj": (60, 64, 67), "A:min": (57, 60, 64), "F:maj": (53, 57, 60), "G:maj": (55, 59, 62)}
BEAT_SECONDS = 0.5


def band(seconds: float = 16.0, transpose: int = 0, beat: float = BEAT_SECONDS, start: float = 0.0) -> Tensor:
    """A chord of four beats after another, struck on every beat from `start` on."""
    time = np.arange(round(beat * SAMPLE_RATE)) / SAMPLE_RATE
    audio = np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)
    for number in range(int((seconds - start) / beat)):
        tones = TONES[CHORDS[number // 4 % len(CHORDS)]]
        struck = sum(
            np.sin(2 * np.pi * 440 * 2 ** ((tone + transpose - 69) / 12) * harmonic * time) / harmonic
            for tone in tones
            for harmonic in (1, 2, 3)
        )
        first = round((start + number * beat) * SAMPLE_RATE)
        part = audio[first : first + len(time)]
        part += (0.05 * struck * np.exp(-time / 0.3))[: len(part)].astype(np.float32)
    return torch.from_numpy(audio).expand(2, -1).contiguous()


def beats(seconds: float = 16.0, beat: float = BEAT_SECONDS) -> np.ndarray:
    return np.arange(0, seconds, beat, dtype=np.float32)


def chords(seconds: float = 16.0, beat: float = BEAT_SECONDS) -> tuple[tuple[float, float, str], ...]:
    lengths = 4 * beat
    count = int(seconds / lengths)
    return tuple((i * lengths, (i + 1) * lengths, CHORDS[i % len(CHORDS)]) for i in range(count))
