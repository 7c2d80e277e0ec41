"""The two kinds of work, plain Python: `Coder` reads, decodes and mixes audio, `Sampler` denoises windows.

What goes between processes: recordings and stems as encoded bytes, latents as float32 (64, frames).
"""

import asyncio
import io
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from jobs.serving.settings import Settings
from jobs.serving.turns import turn
from samuel.audio import AudioError, decode, is_silent, probe, write
from samuel.config import SAMPLE_RATE
from samuel.generation import PRETRAINED, Generator, WindowTask
from samuel.generation.recordings import Mixdown
from samuel.mixing import mix
from samuel.separation import Separator, load_separator

MAX_CHANNELS = 8
RATES = 4_000, 384_000
"""Sample rates of recordings. A file that claims 1 Hz would grow 44,100 times when resampled."""

LEAST_SECONDS = 0.5
PIECE_GAIN = 0.25


@dataclass(frozen=True)
class Heard:
    """A recording as the model hears it."""

    latents: Tensor
    """(64, frames), at least as long as the vocals."""
    vocals: bytes
    """FLAC, 44.1 kHz stereo: the recording, or the voice in it."""
    samples: int


@dataclass(frozen=True)
class ModelCard:
    """What `GET /v1/models` says."""

    id: str
    parameters: int
    codec: str
    device: str
    decoder_reach: int
    """How many frames away a latent still changes the sound."""
    sample_rate: int = SAMPLE_RATE


class Coder:
    """Between audio and latents. Calls are independent; any of them may be repeated."""

    def __init__(self, settings: Settings, device: str):
        self.settings, self.device = settings, device
        self.generator = load(settings.checkpoint or str(PRETRAINED), settings.codec, device)
        self.separator: Separator | None = None
        self.reach = self.generator.codec.decoder_reach  # measured at its first use: not at a client's cost

    def hear(self, recording: bytes, separate: bool) -> Heard:
        """Read an upload. Raises AudioError, fit to show, for what is no vocal recording within the limits."""
        vocals = read_untrusted(recording, self.settings)
        if separate:
            self.separator = self.separator or load_separator(self.settings.separator, self.device)
            vocals = self.separator(vocals)
        if is_silent(vocals):
            raise AudioError(
                "no voice was found in the recording"
                if separate
                else "the recording is silent; check the microphone"
            )
        vocals = vocals / max(1.0, float(vocals.abs().max()))
        return Heard(self.generator.encode(vocals), encode_audio(vocals, "flac"), vocals.shape[-1])

    def play(self, latents: Tensor, start: int, stop: int) -> bytes:
        """Frames `start` to `stop` of a band as FLAC, at `PIECE_GAIN` so that none is clipped."""
        piece = self.generator.decode(latents, start, stop)
        if not bool(piece.isfinite().all()):
            raise RuntimeError(
                f"the band of {self.settings.checkpoint or PRETRAINED} has samples that are no numbers"
            )
        return encode_audio(PIECE_GAIN * piece, "flac")

    def join(self, pieces: list[bytes], samples: int, file_format: str) -> bytes:
        """The whole band, as long as its vocals, turned down where it would clip."""
        band = joined(pieces, samples)
        return encode_audio(band / max(1.0, float(band.abs().max())), file_format)

    def convert(self, stem: bytes, file_format: str) -> bytes:
        """One of our FLACs in another format."""
        return stem if file_format == "flac" else encode_audio(decode(io.BytesIO(stem)), file_format)

    def mix(
        self, vocals: bytes, pieces: list[bytes], samples: int, mixdown: Mixdown, file_format: str
    ) -> bytes:
        """Voice and band together."""
        voice, band = decode(io.BytesIO(vocals)), joined(pieces, samples)
        return encode_audio(mix(voice, band, mixdown.balance_db, mixdown.lufs), file_format)


class Sampler:
    """Denoises windows. The same task gives the same latents, whatever it is batched with."""

    def __init__(self, settings: Settings, device: str):
        self.generator = load(settings.checkpoint or str(PRETRAINED), settings.codec, device)
        self.reach = self.generator.codec.decoder_reach

    def __call__(self, tasks: list[WindowTask], progress: Any = None) -> list[Tensor]:
        return self.generator.sample(tasks, progress)

    def card(self) -> ModelCard:
        trained = self.generator.trained
        parameters = sum(one.numel() for one in trained.model.parameters())
        device = str(self.generator.device)
        return ModelCard(trained.config.preset, parameters, trained.codec, device, self.reach)


@lru_cache(1)
def load(checkpoint: str, codec: str, device: str) -> Generator:
    """Once a process, for all who work in it: a generator keeps no state."""
    return Generator.load(checkpoint, codec, device)


class OneThread:
    """Where a worker computes, one call after the other, beside the event loop.

    torch's number of threads belongs to the thread that sets it. Ray sets it by the CPUs booked; by default we take
    all of the machine, in turn with its other workers.
    """

    def __init__(self, settings: Settings, device: str):
        threads = settings.threads or os.cpu_count() or 1
        self.in_turn = device == "cpu" and settings.threads is None
        self.pool = ThreadPoolExecutor(
            1, initializer=lambda: torch.set_num_threads(threads) if device == "cpu" else None
        )

    async def __call__(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.pool, self._compute, work, *arguments)

    def waited_for(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """As a call, for those who are no coroutine."""
        return self.pool.submit(self._compute, work, *arguments).result()

    def _compute(self, work: Callable[..., Any], *arguments: Any) -> Any:
        with turn() if self.in_turn else nullcontext():
            return work(*arguments)


def read_untrusted(recording: bytes, settings: Settings) -> Tensor:
    """Audio (2, samples) of an upload, within limits of length, channels, rate and work. Raises AudioError."""
    header = probe(Clocked(recording, settings.max_decode_seconds))
    if not 1 <= header.channels <= MAX_CHANNELS:
        raise AudioError(f"the recording has {header.channels} channels; expected 1 to {MAX_CHANNELS}")
    if not RATES[0] <= header.sample_rate <= RATES[1]:
        raise AudioError(
            f"the recording has {header.sample_rate} samples a second; expected {RATES[0]} to {RATES[1]}"
        )
    return decode(
        Clocked(recording, settings.max_decode_seconds),
        max_seconds=settings.max_seconds,
        min_seconds=LEAST_SECONDS,
    )


class Clocked(io.BytesIO):
    """A file that can be read for so many seconds only: its decoder cannot work for longer."""

    def __init__(self, content: bytes, seconds: float):
        super().__init__(content)
        self.seconds, self.until = seconds, time.monotonic() + seconds

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self.until:
            raise AudioError(
                f"reading the recording took more than {self.seconds:g} s; convert it to FLAC or WAV"
            )
        return super().read(size)


def joined(pieces: list[bytes], samples: int) -> Tensor:
    """The band of `Coder.play`'s pieces, (2, samples)."""
    return torch.cat([decode(io.BytesIO(piece)) for piece in pieces], dim=1)[:, :samples] / PIECE_GAIN


def encode_audio(audio: Tensor, file_format: str) -> bytes:
    buffer = io.BytesIO()
    write(buffer, audio, file_format)
    return buffer.getvalue()
