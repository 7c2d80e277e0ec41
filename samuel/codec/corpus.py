"""What `mini` trains on: features of songs, measured once and kept on disk.

A song gives up to three *parts*: its mix and, if it came as stems, its vocals and its accompaniment alone.
Each part is a pair of arrays, one row a frame: `features` (what the encoder sees) and `fine` (what the
decoder should also predict), in float16. One safetensors file holds one song.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from samuel import audio
from samuel.catalogue.songs import Song, read_catalogue
from samuel.codec.mini import Features
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.stems.reading import read_stems

PIECE_SECONDS = 20  # measured at once


@dataclass(frozen=True)
class CorpusPart:
    """One part of one song: where its rows lie and how many they are."""

    path: Path
    name: str
    frames: int

    def rows(self, start: int, count: int) -> tuple[Tensor, Tensor]:
        """Features and fine magnitudes of `count` frames from `start`, float32."""
        with safe_open(self.path, "pt") as file:
            features, fine = (
                file.get_slice(f"{self.name}.{kind}")[start : start + count].float()
                for kind in ("features", "fine")
            )
        return features, fine


def prepare(songs: str, folder: Path, max_seconds: float) -> Iterator[tuple[Song, str]]:
    """Measure every song of a catalogue that `folder` does not hold yet; yields each song and its error, if any.

    Of a longer song the middle `max_seconds` are taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    features = Features()
    for song in read_catalogue(songs).songs:
        target = folder / f"{song.song_id}.safetensors"
        if target.exists():
            continue
        try:
            tensors = {
                f"{name}.{kind}": values
                for name, samples in parts_of(song, max_seconds)
                for kind, values in measure(features, samples).items()
            }
        except (OSError, ValueError) as error:
            yield song, str(error)
            continue
        save_file(tensors, target.with_suffix(".part"))
        os.replace(target.with_suffix(".part"), target)
        yield song, ""


@torch.no_grad()
def measure(features: Features, samples: Float[Tensor, "2 samples"]) -> dict[str, Tensor]:
    """Both kinds of rows of some audio; what does not fill a last frame is left out."""
    step = PIECE_SECONDS * SAMPLE_RATE // FRAME_SAMPLES * FRAME_SAMPLES
    end = samples.shape[-1] // FRAME_SAMPLES * FRAME_SAMPLES
    pieces = [samples[None, :, start : min(start + step, end)] for start in range(0, end, step)]
    return {
        "features": torch.cat([features(piece)[0] for piece in pieces]).half(),
        "fine": torch.cat([features.fine_of(piece)[0] for piece in pieces]).half(),
    }


def parts_in(folder: Path, least_frames: int) -> list[CorpusPart]:
    """All parts of at least so many frames, in a stable order."""
    parts = []
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            keys = list(file.keys())
            names = sorted(key.removesuffix(".features") for key in keys if key.endswith(".features"))
            parts += [CorpusPart(path, n, file.get_slice(f"{n}.features").get_shape()[0]) for n in names]
    return [part for part in parts if part.frames >= least_frames]


def parts_of(song: Song, max_seconds: float) -> Iterator[tuple[str, Tensor]]:
    """Names and samples, of a longer song the middle. Raises ValueError, OSError for what cannot be read."""
    if song.kind == "stems":
        stems = read_stems(song.source)
        vocals, accompaniment = stems.vocals, stems.accompaniment
        whole = {"mix": vocals + accompaniment, "vocals": vocals, "accompaniment": accompaniment}
    elif song.kind == "audio":
        whole = {"mix": audio.decode(song.source)}
    else:
        raise ValueError(
            f"{song.source}: expected stems or an audio file, received a {song.kind}; fetch it first"
        )
    for name, samples in whole.items():
        extra = max(0, samples.shape[-1] - int(max_seconds * SAMPLE_RATE))
        yield name, samples[:, extra // 2 : samples.shape[-1] - (extra - extra // 2)]
