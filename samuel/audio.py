"""Encoded audio <-> samples.

Samples are a float32 tensor shaped (2, samples) at 44.1 kHz; full scale is [-1, 1]. Lossy codecs and
float files overshoot full scale a little: `decode` leaves that as it is, `write` clips it.

Decoding is FFmpeg's, through PyAV, which carries its own copy: a machine needs no ffmpeg program. The
format is told from the content, never from the name. Resampling is soxr's VHQ: flat within 0.03 dB up to
20.5 kHz with aliases below -150 dB, where FFmpeg's own resampler leaves them at -14 dB.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
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

from samuel.config import AUDIO_CHANNELS, SAMPLE_RATE

SILENCE_DBFS = -60.0
MAX_PEAK = 32.0  # +30 dBFS: beyond that a float file's scale is wrong, not its level

# Containers we read. The list also keeps FFmpeg away from formats that open other files or addresses
# (playlists, concat scripts, SDP), which a downloaded "song" could use to read from this machine.
CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,tta,w64,wav,wv"
)
# These carry no length: FFmpeg guesses it from the first frames' bit rate, up to ten times too long.
LENGTH_GUESSED = {"aac", "ac3", "amr", "dts", "eac3", "mp3", "mpeg", "mpegts"}
GUESS_FACTOR = 10

# Channel order of files that do not say theirs (WAV's order, by the number of channels).
DEFAULT_LAYOUTS = {
    1: "FC",
    2: "FL FR",
    3: "FL FR FC",
    4: "FL FR BL BR",
    5: "FL FR FC BL BR",
    6: "FL FR FC LFE BL BR",
    7: "FL FR FC LFE BC SL SR",
    8: "FL FR FC LFE BL BR SL SR",
}
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


class AudioError(ValueError):
    """A file that cannot be used as a song; the message says why."""


@runtime_checkable
class Readable(Protocol):
    """A binary file open for reading: open(..., "rb"), io.BytesIO, a file of fsspec."""

    def read(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...

    def seekable(self) -> bool: ...


@runtime_checkable
class Writable(Protocol):
    """A binary file open for writing."""

    def write(self, data: bytes, /) -> int: ...


@dataclass(frozen=True)
class AudioInfo:
    """What a file says of its first audio stream. `seconds` is None where it does not say its length."""

    container: str
    codec: str
    sample_rate: int
    channels: int
    seconds: float | None


def probe(source: str | Path | UPath | Readable) -> AudioInfo:
    """Read a file's header, not its audio. Raises AudioError as `decode` does."""
    with _open(source) as (container, stream):
        declared = container.duration
        return AudioInfo(
            container=container.format.name,
            codec=stream.codec_context.name,
            sample_rate=stream.codec_context.sample_rate,
            channels=stream.codec_context.channels,
            seconds=None if declared is None else declared / av.time_base,
        )


def decode(
    source: str | Path | UPath | Readable, *, max_seconds: float | None = None, min_seconds: float = 0.0
) -> Float[Tensor, "2 samples"]:
    """The first audio stream of a file, as 44.1 kHz stereo.

    Mono is doubled; surround is folded down by ITU-R BS.775. The encoder's delay and padding are cut
    where the container states them. Of a damaged or truncated file, what can be decoded is returned.
    A file longer than `max_seconds` is refused from its header, or else at that point of the decoding:
    neither time nor memory grows beyond the limit.

    Raises:
        AudioError: empty, not audio, without an audio stream, mostly damaged, shorter than `min_seconds`,
            longer than `max_seconds`, or with samples that are not finite or absurdly large.
        OSError: the file cannot be read at all.
    """
    with _open(source) as (container, stream):
        if max_seconds is not None and container.duration is not None:
            declared = container.duration / av.time_base
            guessed = container.format.name in LENGTH_GUESSED
            if declared > max_seconds * (GUESS_FACTOR if guessed else 1):
                raise AudioError(
                    f"too long: its header says {declared:.0f} s, the limit is {max_seconds:g} s"
                )
        blocks, samples = [], 0
        for block in _resampled(_frames(container, stream)):
            blocks.append(block)
            samples += len(block)
            if max_seconds is not None and samples > max_seconds * SAMPLE_RATE:
                raise AudioError(f"too long: more than the limit of {max_seconds:g} s")
    if samples == 0:
        raise AudioError("no audio could be decoded: the file is damaged or cut off right after its header")
    if samples < min_seconds * SAMPLE_RATE:
        raise AudioError(f"too short: {samples / SAMPLE_RATE:.2f} s, at least {min_seconds:g} s are needed")
    audio = torch.from_numpy(np.concatenate(blocks)).T.contiguous()
    peak = float(audio.abs().max())  # NaN if any sample is
    if not peak <= MAX_PEAK:
        raise AudioError(f"bad samples: the peak is {peak:g}, expected finite values with full scale at 1")
    return audio


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
def _open(
    source: str | Path | UPath | Readable,
) -> Iterator[tuple[av.container.InputContainer, av.AudioStream]]:
    """A file's container and its first audio stream.

    Paths are opened here, not by FFmpeg, which would follow "http:", "concat:" and their like.
    """
    if isinstance(source, str | Path | UPath):
        with UPath(source).open("rb") as file, _open(file) as opened:
            yield opened
        return
    if source.seekable():
        start = source.tell()
        if not source.read(1):
            raise AudioError("empty: the file has zero bytes")
        source.seek(start)
    try:
        container = av.open(source, "r", options={"format_whitelist": CONTAINERS}, metadata_errors="replace")
    except av.FFmpegError as error:
        raise AudioError("not audio: its content is in no known audio format") from error
    with container:
        if not container.streams.audio:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            raise AudioError(f"no audio stream: a {container.format.name} file with {kinds} only")
        yield container, container.streams.audio[0]


def _frames(
    container: av.container.InputContainer, stream: av.AudioStream
) -> Iterator[tuple[np.ndarray, int]]:
    """The stream's decoded frames as (stereo (samples, 2), rate in Hz), leaving out damaged packets."""
    packets = container.demux(stream)
    good = bad = 0
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # the container breaks off here: keep what came before
            break
        if packet is None:
            break
        try:
            frames = packet.decode()
        except av.FFmpegError:
            bad += 1
            continue
        good += 1
        for frame in frames:
            if frame.samples:
                yield _stereo(frame), frame.sample_rate
    if bad > good:
        raise AudioError(f"damaged: {bad} of its {good + bad} packets cannot be decoded")


def _stereo(frame: av.AudioFrame) -> np.ndarray:
    """One frame as float32 (samples, 2), folded down to stereo, full scale at 1."""
    samples = frame.to_ndarray()
    channels = len(frame.layout.channels)
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, channels)
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif np.issubdtype(samples.dtype, np.integer):
        samples = samples.astype(np.float32) / 2.0 ** (8 * samples.itemsize - 1)
    else:
        samples = samples.astype(np.float32)
    names = [channel.name for channel in frame.layout.channels]
    if "NONE" in names:
        if channels not in DEFAULT_LAYOUTS:
            raise AudioError(
                f"{channels} channels in no stated order; expected at most {max(DEFAULT_LAYOUTS)}"
            )
        names = DEFAULT_LAYOUTS[channels].split()
    if names == ["FL", "FR"]:
        return samples
    return samples @ _downmix(tuple(names))


def _downmix(names: tuple[str, ...]) -> np.ndarray:
    """Gains (channel, 2) by ITU-R BS.775-3, table 2: centre and surrounds at -3 dB, no LFE.

    Scaled down by the largest sum of gains, so that no input clips. A lone channel is doubled as it is.
    """
    if len(names) == 1:
        return np.ones((1, 2), np.float32)
    side = {"L": (1.0, 0.0), "R": (0.0, 1.0), "C": (1.0, 1.0)}
    gains = np.zeros((len(names), 2))
    for index, name in enumerate(names):
        if not name.startswith("LFE"):
            level = 1.0 if name in ("FL", "FR") else 0.5 if name == "BC" else sqrt(0.5)
            gains[index] = level * np.array(side[name[-1]])
    return (gains / max(1.0, gains.sum(0).max())).astype(np.float32)


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
