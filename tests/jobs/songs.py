"""Made-up songs for the tests: a warbling voice over chords, different for each seed."""

from pathlib import Path

import torch

from samuel import audio
from samuel.config import SAMPLE_RATE


def song_audio(seconds: float, seed: int) -> torch.Tensor:
    """Audio shaped (2, samples) at 44.1 kHz."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    root = 110 * 2 ** (torch.randint(12, (1,), generator=generator) / 12)
    chord = sum(torch.sin(2 * torch.pi * root * ratio * time) for ratio in (1, 1.25, 1.5, 2))
    pitch = 440 * 2 ** (torch.randint(12, (1,), generator=generator) / 12)
    phase = 2 * torch.pi * pitch * time + 3 * torch.sin(2 * torch.pi * 5.5 * time)
    voice = sum(torch.sin(harmonic * phase) / harmonic for harmonic in range(1, 12))
    voice = voice * (torch.sin(2 * torch.pi * time / 3.1) > -0.2)
    noise = torch.randn(len(time), generator=generator)
    left = 0.08 * chord + 0.15 * voice + 0.01 * noise
    right = 0.10 * chord + 0.15 * voice - 0.01 * noise
    return torch.stack([left, right]).float()


def write_song(path: Path, seconds: float = 50.0, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.write(path, song_audio(seconds, seed))
