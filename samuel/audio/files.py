"""Encoded audio <-> samples.

Samples are a float32 tensor shaped (2, samples) at 44.1 kHz; full scale is [-1, 1]. Lossy codecs and
float files overshoot full scale a little: `decode` leaves that as it is, `write` clips it.

Decoding is FFmpeg's, through PyAV, which carries its own copy: a machine needs no ffmpeg program. The
format is told from the content, never from the name. Resampling is soxr's VHQ: flat within 0.03 dB up to
20.5 kHz with aliases below -150 dB, where FFmpeg's own resampler leaves them at -14 dB.
"""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import av
import numpy as np
import soundfile
import soxr
import torch
from jaxtyping import Float
from torch import Tensor
from upath import UPath

from samuel.audio import joined
from samuel.audio.decoding import (
    LENGTH_GUESSED,
    AudioError,
    declared_seconds,
    frames_of,
    late_start,
    open_audio,
    shortfall,
)
from samuel.audio.joined import Readable
from samuel.audio.timeline import JITTER_SECONDS, DamagedClock, Tell, in_place
from samuel.config import AUDIO_CHANNELS, SAMPLE_RATE

SILENCE_DBFS = -60.0
GUESS_FACTOR = 10  # how far a guessed length may be off
MOST_PARTS = 10_000  # of several files in one
MAX_PEAK = 32.0  # +30 dBFS: beyond that a float file's scale is wrong, not its level

FILE_FORMATS = {
    "wav": ("WAV", "PCM_24"),
    "flac": ("FLAC", "PCM_24"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
OPUS_RATE = 48_000  # the only full-band rate that Opus knows
LEAST_RATE = 1000  # Hz: a block of a file that claims less could fill the memory when it is resampled
WRITE_BLOCK = 65_536  # libsndfile's Vorbis encoder overflows its stack on much longer blocks


class TooLong(AudioError):
    """Longer than what was asked for."""


@runtime_checkable
class Writable(Protocol):
    """A binary file open for writing."""

    def write(self, data: bytes, /) -> int: ...


@dataclass(frozen=True)
class AudioInfo:
    """What a file says of its first audio stream, and how many it has. `seconds`: None where it does not say."""

    container: str
    codec: str
    sample_rate: int
    channels: int
    seconds: float | None
    streams: int


def probe(source: str | Path | UPath | Readable) -> AudioInfo:
    """Read a file's header, not its audio. Raises AudioError as `decode` does."""
    with _parts(source) as files:
        lengths = []
        for file in reversed(files):  # the first comes last, and says what the others are taken for
            with open_audio(file) as (container, stream):
                lengths.append(declared_seconds(container))
                info = AudioInfo(
                    container=container.format.name,
                    codec=stream.codec_context.name,
                    sample_rate=stream.codec_context.sample_rate,
                    channels=stream.codec_context.channels,
                    seconds=None,
                    streams=len(container.streams.audio),
                )
    return replace(info, seconds=None if None in lengths else sum(filter(None, lengths)))


def decode(
    source: str | Path | UPath | Readable,
    *,
    max_seconds: float | None = None,
    min_seconds: float = 0.0,
    max_work_seconds: float | None = None,
    stream: int = 0,
    tell: Tell = lambda _: None,
) -> Float[Tensor, "2 samples"]:
    """An audio stream of a file, by default the first, as 44.1 kHz stereo.

    Mono is doubled; surround is folded down by ITU-R BS.775. The encoder's delay and padding are cut
    where the container states them. Of a damaged or truncated file, what can be decoded is returned, each
    part where its time stamps put it: silence stands for what is missing, and before what starts late. Files that
    are several, one after the other, give all of them. `tell` is called with a sentence for each thing that is
    not as the file says: a hole, a length, a part.
    A file longer than `max_seconds` is refused from its header, or else at that point of the decoding:
    neither time nor memory grows beyond the limit. Nor does the work go on beyond `max_work_seconds` of this
    thread's processor time: a small file may claim much silence in many channels.

    Raises:
        AudioError: empty, not audio, without an audio stream, mostly damaged, shorter than `min_seconds`,
            longer than `max_seconds`, too much work, or with samples that are not finite or absurdly large.
        OSError: the file cannot be read at all.
    """
    blocks, samples, began = [], 0, time.thread_time()
    with _parts(source) as files:
        for block in _resampled(_sound_of_all(files, stream, max_seconds, tell)):
            blocks.append(block)
            samples += len(block)
            if max_seconds is not None and samples > max_seconds * SAMPLE_RATE:
                raise TooLong(f"too long: more than the limit of {max_seconds:g} s")
            if max_work_seconds is not None and time.thread_time() - began > max_work_seconds:
                raise AudioError(
                    f"reading it takes more than {max_work_seconds:g} s of work; convert it to FLAC or WAV, "
                    "stereo, at 44.1 kHz"
                )
    if samples == 0:
        raise AudioError("no audio could be decoded: the file is damaged or cut off right after its header")
    if samples < min_seconds * SAMPLE_RATE:
        raise AudioError(f"too short: {samples / SAMPLE_RATE:.2f} s, at least {min_seconds:g} s are needed")
    audio = torch.from_numpy(np.concatenate(blocks)).T.contiguous()
    peak = float(audio.abs().max())  # NaN if any sample is
    if not peak <= MAX_PEAK:
        raise AudioError(f"bad samples: the peak is {peak:g}, expected finite values with full scale at 1")
    return audio


def missing_part(source: str | Path | UPath | Readable) -> str:
    """What a file lacks of the length that it declares, in a sentence; "" where it is whole or does not say.

    Less than 2% of the length, or 1 s, is no loss. Reads the file, and decodes nothing.
    """
    with _parts(source) as files:
        for file in files:
            with open_audio(file) as (container, stream):
                end = 0.0
                with suppress(av.FFmpegError):
                    for packet in container.demux(stream):
                        if packet.pts is not None:
                            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                end -= float((stream.start_time or 0) * (stream.time_base or 0))
                if sentence := shortfall(file, container, stream, end, 0.02, 1.0):
                    return sentence
    return ""


def resample(
    audio: Float[Tensor, "channel samples"], from_rate: int, to_rate: int = SAMPLE_RATE
) -> Float[Tensor, "channel resampled"]:
    """Resample without shifting: sample 0 stays at time 0. Rates in Hz."""
    if from_rate == to_rate:
        return audio
    resampled = soxr.resample(audio.T.cpu().numpy(), from_rate, to_rate, quality="VHQ")
    return torch.from_numpy(resampled).T.contiguous().to(audio.device)


def is_silent(audio: Float[Tensor, "channel samples"], threshold_dbfs: float = SILENCE_DBFS) -> bool:
    """Whether the RMS over all channels and the whole length is below the threshold.

    Full scale (0 dBFS) is a constant 1; a sine of amplitude 1 has -3 dBFS. No samples are silent.
    """
    if audio.numel() == 0:
        return True
    flat = audio.reshape(-1)
    power = float(torch.dot(flat, flat)) / flat.numel()  # without a copy of the song
    return power < 10 ** (threshold_dbfs / 10)


def write(
    target: str | Path | UPath | Writable, audio: Float[Tensor, "2 samples"], file_format: str | None = None
) -> None:
    """Write 44.1 kHz stereo as wav or flac (24 bit), mp3, ogg (Vorbis) or opus (48 kHz), clipped to [-1, 1].

    `file_format` is by default the target's file extension; a file object needs it. A path is
    written in one go, after encoding: an encoding that fails leaves no half file behind.
    """
    extension = UPath(target).suffix.lstrip(".") if isinstance(target, str | Path | UPath) else ""
    name = (file_format or extension).lower()
    if name not in FILE_FORMATS:
        raise ValueError(f"expected a format among {', '.join(FILE_FORMATS)}; received {name or 'none'!r}")
    container, codec = FILE_FORMATS[name]
    rate = OPUS_RATE if name == "opus" else SAMPLE_RATE
    samples = resample(audio.detach().cpu(), SAMPLE_RATE, rate).clamp(-1, 1).T.contiguous().numpy()
    encoded = io.BytesIO()
    with soundfile.SoundFile(encoded, "w", rate, AUDIO_CHANNELS, codec, format=container) as file:
        for start in range(0, len(samples), WRITE_BLOCK):
            file.write(samples[start : start + WRITE_BLOCK])
    if isinstance(target, str | Path | UPath):
        UPath(target).write_bytes(encoded.getvalue())
    else:
        target.write(encoded.getvalue())


@contextmanager
def _parts(source: str | Path | UPath | Readable) -> Iterator[list[Readable]]:
    """The files that a file is made of, one after the other: most often itself.

    Paths are opened here, not by FFmpeg, which would follow "http:", "concat:" and their like.
    """
    if isinstance(source, str | Path | UPath):
        with UPath(source).open("rb") as file, _parts(file) as files:
            yield files
        return
    if not source.seekable():
        yield [source]
        return
    if not source.seek(0, 2):
        raise AudioError("empty: the file has zero bytes")
    spans = joined.parts(source)
    if len(spans) == 1:
        yield [source]
        return
    files = []
    for start, end in spans[:MOST_PARTS]:
        source.seek(start)
        files.append(io.BytesIO(source.read(end - start)))
    yield files


def _sound_of_all(
    files: list[Readable], stream: int, max_seconds: float | None, tell: Tell
) -> Iterator[tuple[np.ndarray, int]]:
    """(stereo (samples, 2), rate in Hz) of all parts of a file, in order."""
    if len(files) == 1:
        yield from _sound(files[0], stream, max_seconds, tell)
        return
    failed: list[AudioError] = []
    for number, file in enumerate(files, start=1):
        name = f"part {number} of {len(files)}: "
        told: list[str] = []
        try:
            yield from _sound(file, stream, max_seconds, told.append, number == 1)
        except TooLong:
            raise
        except AudioError as error:
            failed.append(error)
            told.append(str(error))
        for sentence in told:
            tell(name + sentence)
    if len(failed) == len(files):
        raise failed[0]
    tell(f"{len(files)} files in one, one after the other; all that can be decoded is used")


def _sound(
    file: Readable, index: int, max_seconds: float | None, tell: Tell, first: bool = True
) -> Iterator[tuple[np.ndarray, int]]:
    with open_audio(file, index) as (container, stream):
        declared = declared_seconds(container)
        if max_seconds is not None and declared is not None:
            guessed = container.format.name in LENGTH_GUESSED
            if declared > max_seconds * (GUESS_FACTOR if guessed else 1):
                raise TooLong(f"too long: its header says {declared:.0f} s, the limit is {max_seconds:g} s")
        seconds = 0.0
        try:
            for samples, rate in in_place(
                frames_of(container, stream, file, tell),
                late=late_start(container, stream) if first else 0.0,
                jitter=0.0 if container.format.name == "flac" else JITTER_SECONDS,
                tell=tell,
            ):
                seconds += len(samples) / rate
                yield samples, rate
        except DamagedClock as error:
            raise AudioError(str(error)) from error
        if sentence := shortfall(file, container, stream, seconds):
            tell(sentence)


def _resampled(frames: Iterator[tuple[np.ndarray, int]]) -> Iterator[np.ndarray]:
    """Frames of any rate, which may change on the way (chained Ogg), as 44.1 kHz blocks (samples, 2)."""
    rate, stream = SAMPLE_RATE, None
    nothing = np.zeros((0, AUDIO_CHANNELS), np.float32)
    for samples, frame_rate in frames:
        if frame_rate != rate:
            if frame_rate < LEAST_RATE:
                raise AudioError(f"damaged: a part of it has {frame_rate} Hz, and would grow beyond measure")
            if stream is not None:
                yield stream.resample_chunk(nothing, last=True)
            rate, stream = frame_rate, None
            if rate != SAMPLE_RATE:
                stream = soxr.ResampleStream(rate, SAMPLE_RATE, AUDIO_CHANNELS, "float32", "VHQ")
        yield samples if stream is None else stream.resample_chunk(np.ascontiguousarray(samples))
    if stream is not None:
        yield stream.resample_chunk(nothing, last=True)
