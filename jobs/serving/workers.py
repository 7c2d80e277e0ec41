"""The two kinds of work, plain Python: `AudioWorker` reads, decodes and mixes audio, `DenoisingWorker` denoises windows.

What goes between processes: recordings as they came, stems as `pack` has them, latents as float32 (64, frames).
"""

import asyncio
import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from jobs.serving.arranger import Arranger, Found, Played, click_file, locked, read_sheet, sheet_file
from jobs.serving.machine_lock import machine_lock
from jobs.serving.packed_audio import pack, unpack
from jobs.serving.settings import Settings
from jobs.serving.sheet_options import SheetOptions
from samuel.audio import AudioError, decode, is_silent, probe, write
from samuel.audio.loudness import encoded, loudness, mix
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.generation import (
    PRETRAINED,
    Generator,
    Material,
    Mixdown,
    Region,
    WindowTask,
    pieces,
)
from samuel.generation.generator import SILENT_VOICE_DBFS
from samuel.generation.producer import voice_of
from samuel.separation import Separator, load_separator
from samuel.training.config import Student

MAX_CHANNELS = 8
RATES = 4_000, 384_000
"""Sample rates of recordings. A file that claims 1 Hz would grow 44,100 times when resampled."""

MAX_VALUES = 2 * RATES[1]
"""Channels times rate: a small file of silence in eight channels at the highest rate takes a minute to read."""

LEAST_SECONDS = 0.5


@dataclass(frozen=True)
class PreparedVocals:
    """A recording as the model hears it."""

    materials: list[Material]
    """For each seed: the vocals' latents (64, frames), at least as long as they are, and what they are played from."""
    vocals: bytes
    """Packed: the recording, or the voice in it."""
    samples: int
    played: list[Played] = field(default_factory=list)
    """For each seed: the lead sheet, and who plays it."""
    arranged: list[list[bytes]] = field(default_factory=list)
    """For each seed: the arrangement's own sound, in pieces, packed; none where there is none."""
    remarks: list[str] = field(default_factory=list)
    """What its owner should know."""


@dataclass(frozen=True)
class KeptPiece:
    """Of a piece of a band, what was there before, packed, and which region of the song is made anew."""

    piece: bytes
    region: Region


@dataclass(frozen=True)
class Piece:
    """Frames `start` to `stop` of a band, to be decoded."""

    start: int
    stop: int
    kept: KeptPiece | None = None


@dataclass(frozen=True)
class MixedFile:
    content: bytes
    """An audio file."""
    lufs: float
    """Its loudness: less than was asked for where its peaks leave no more room."""


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
    student: Student | None = None
    """Of a distilled network: the only way it can be sampled."""


class AudioWorker:
    """Between audio and latents. Calls are independent; any of them may be repeated."""

    def __init__(self, settings: Settings, device: str):
        self.settings, self.device = settings, device
        self.generator = load(settings.checkpoint or str(PRETRAINED), settings.codec, device)
        self.separator: Separator | None = None
        self.arranger = Arranger(self.generator)
        self.reach = self.generator.codec.decoder_reach  # measured at its first use: not at a client's cost

    def prepare(
        self, recording: bytes, separate: bool, seeds: tuple[int, ...], options: SheetOptions
    ) -> PreparedVocals:
        """Read an upload, find its lead sheet and arrange it with each seed, as `jobs/generate.py` does.

        Raises AudioError, fit to show, for what is no vocal recording within the limits, LeadSheetError for what is
        given and cannot hold.
        """
        vocals = self._voice(recording, separate)
        samples = vocals.shape[-1]
        voice = self.arranger.voice(vocals)
        prepared = PreparedVocals([], pack(vocals), samples)
        for variation, seed in enumerate(seeds):
            directed = self.arranger.direct(voice, options, seed, variation)
            sound = self.arranger.play(directed, samples)
            prepared.materials.append(self.generator.prepare(vocals, directed.sheet, sound, voice))
            sheet = directed.sheet.to_json() if directed.sheet and directed.arrangement else None
            direction = options.direction()
            prepared.played.append(Played(sheet, seed, direction.parts, dict(direction.levels)))
            prepared.arranged.append([] if sound is None else in_pieces(sound))
            prepared.remarks.extend(one for one in directed.remarks if one not in prepared.remarks)
        return prepared

    def lead_sheet(self, recording: bytes, separate: bool, options: SheetOptions) -> Found:
        """The lead sheet of a recording. Raises as `prepare` does."""
        return self.arranger.find(self._voice(recording, separate), options)

    def lead_sheet_again(self, vocals: bytes, options: SheetOptions) -> Found:
        """The lead sheet of a voice that was heard before."""
        return self.arranger.find(unpack(vocals), options)

    def rearrange(self, *arguments: Any) -> Any:
        return self.arranger.rearrange(*arguments)

    def arrangement_file(self, vocals: bytes, played: Played, kind: str) -> bytes:
        """Its notes as "midi", or its "stems" in a ZIP, or its "stems by part"."""
        if kind == "midi":
            return self.arranger.midi(vocals, played)
        return self.arranger.stems(vocals, played, by_part=kind == "stems by part")

    def read_sheet(self, content: bytes, name: str) -> str:
        return read_sheet(content, name)

    def locked(self, options: SheetOptions) -> Found:
        return locked(options)

    def sheet_file(self, sheet: str, sheet_format: str) -> bytes:
        return sheet_file(sheet, sheet_format)

    def click(self, sheet: str, seconds: float, file_format: str) -> bytes:
        return click_file(sheet, seconds, file_format)

    def _voice(self, recording: bytes, separate: bool) -> Tensor:
        song = read_untrusted(recording, self.settings)
        if separate:
            self.separator = self.separator or load_separator(self.settings.separator, self.device)
        elif is_silent(song, SILENT_VOICE_DBFS):
            raise AudioError("the recording is silent; check the microphone")
        return voice_of(song, self.separator if separate else None)

    def read(self, recording: bytes) -> bytes:
        """A recording as FLAC, turned down where it would clip. Raises AudioError as `prepare` does."""
        return encode_audio(within(read_untrusted(recording, self.settings)), "flac")

    def decode(self, latents: Tensor, pieces: list[Piece]) -> list[bytes]:
        """Pieces of a band, packed, decoded side by side; of those with what is `kept`, only the region is another."""
        made = self.generator.decode_all(latents, [(one.start, one.stop) for one in pieces])
        if not all(bool(sound.isfinite().all()) for sound in made):
            raise RuntimeError(
                f"the band of {self.settings.checkpoint or PRETRAINED} has samples that are no numbers"
            )
        return [
            pack(self._blended(sound, one.start, one.kept) if one.kept else sound)
            for sound, one in zip(made, pieces, strict=True)
        ]

    def _blended(self, piece: Tensor, start: int, kept: KeptPiece) -> Tensor:
        before = unpack(kept.piece)
        before = F.pad(before, (0, piece.shape[1] - before.shape[1]))  # a band that goes on
        return kept.region.blend(before, piece, start * FRAME_SAMPLES)

    def blend(self, piece: bytes, start: int, kept: KeptPiece) -> bytes:
        """A piece, packed, from frame `start` on, with what is `kept` beside the region."""
        return pack(self._blended(unpack(piece), start, kept))

    def concatenate(self, pieces: list[bytes], samples: int, file_format: str) -> bytes:
        """The whole band, as long as its vocals, below -1 dBTP."""
        return encoded(joined(pieces, samples), file_format)

    def transcode(self, stem: bytes, file_format: str) -> bytes:
        """The voice as a file, turned down where it would clip."""
        return encode_audio(within(unpack(stem)), file_format)

    def mix(
        self, vocals: bytes, pieces: list[bytes], samples: int, mixdown: Mixdown, file_format: str
    ) -> MixedFile:
        """Voice and band together."""
        mixed = mix(unpack(vocals), joined(pieces, samples), mixdown.balance_db, mixdown.lufs)
        content = encoded(mixed, file_format)
        return MixedFile(content, loudness(decode(io.BytesIO(content))))


class DenoisingWorker:
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
        return ModelCard(
            trained.config.preset,
            parameters,
            trained.codec,
            device,
            self.reach,
            student=trained.config.student,
        )


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
        with machine_lock() if self.in_turn else nullcontext():
            return work(*arguments)


def read_untrusted(recording: bytes, settings: Settings) -> Tensor:
    """Audio (2, samples) of an upload, within limits of length, channels, rate and work. Raises AudioError."""
    header = probe(io.BytesIO(recording))
    if not 1 <= header.channels <= MAX_CHANNELS:
        raise AudioError(f"the recording has {header.channels} channels; expected 1 to {MAX_CHANNELS}")
    if not RATES[0] <= header.sample_rate <= RATES[1]:
        raise AudioError(
            f"the recording has {header.sample_rate} samples a second; expected {RATES[0]} to {RATES[1]}"
        )
    if header.channels * header.sample_rate > MAX_VALUES:
        raise AudioError(
            f"the recording has {header.channels} channels of {header.sample_rate} samples a second, more than "
            "a voice needs; convert it to stereo"
        )
    return decode(
        io.BytesIO(recording),
        max_seconds=settings.max_seconds,
        min_seconds=LEAST_SECONDS,
        max_work_seconds=settings.max_decode_seconds,
    )


def joined(pieces: list[bytes], samples: int) -> Tensor:
    """The band of `AudioWorker.decode`'s pieces, (2, samples)."""
    return torch.cat([unpack(piece) for piece in pieces], dim=1)[:, :samples]


def in_pieces(audio: Tensor) -> list[bytes]:
    """A whole sound as the pieces that a band is made of."""
    return [pack(audio[:, a * FRAME_SAMPLES : b * FRAME_SAMPLES]) for a, b in pieces(audio.shape[-1])]


def within(audio: Tensor) -> Tensor:
    """Turned down to full scale where it exceeds it."""
    return audio / max(1.0, float(audio.abs().max()))


def encode_audio(audio: Tensor, file_format: str) -> bytes:
    buffer = io.BytesIO()
    write(buffer, audio, file_format)
    return buffer.getvalue()
