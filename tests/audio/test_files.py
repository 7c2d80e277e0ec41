"""Decoding, resampling and writing, on files made here with PyAV and soundfile."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from upath import UPath

from samuel import audio
from samuel.audio import AudioError, files
from samuel.config import SAMPLE_RATE

RATES = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000)
SAMPLE_FORMATS = [("WAV", f"PCM_{bits}") for bits in ("U8", "16", "24", "32")]
SAMPLE_FORMATS += [("FLAC", f"PCM_{bits}") for bits in ("S8", "16", "24")]
SAMPLE_FORMATS += [
    ("WAV", "FLOAT"),
    ("WAV", "DOUBLE"),
    ("AIFF", "PCM_16"),
    ("W64", "PCM_24"),
    ("CAF", "PCM_32"),
]


def tone(rate: int, channels: int, seconds: float = 1.0, low: float = 200.0) -> np.ndarray:
    """(samples, channels): in each channel a tone of its own, all below 3.5 kHz, of amplitude 0.25."""
    time = np.arange(round(seconds * rate)) / rate
    return np.stack([0.25 * np.sin(2 * np.pi * low * (k + 1) * time) for k in range(channels)], 1)


def sound_file(
    samples: np.ndarray, rate: int, container: str = "WAV", subtype: str | None = None
) -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype, format=container)
    file.seek(0)
    return file


def encoded(
    *streams: tuple[str, np.ndarray],
    container: str,
    rate: int = SAMPLE_RATE,
    layout: str = "stereo",
    picture: bool = False,
    bit_rate: int | None = None,
    **options: str,
) -> io.BytesIO:
    """A file made by FFmpeg: (codec, float samples (samples, channels)) a stream, perhaps with video."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options) as out:
        video = out.add_stream("mpeg4", rate=10, width=32, height=32, pix_fmt="yuv420p") if picture else None
        added = [out.add_stream(codec, rate=rate, layout=layout) for codec, _ in streams]
        audio_streams = [stream for stream in added if isinstance(stream, av.AudioStream)]
        if video is not None:
            for number in range(10):
                image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
                image.pts, image.time_base = number, Fraction(1, 10)
                out.mux(video.encode(image))
            out.mux(video.encode(None))
        for stream, (_, samples) in zip(audio_streams, streams, strict=True):
            if bit_rate:
                stream.bit_rate = bit_rate
            packed = np.ascontiguousarray(samples.T.astype(np.float32))
            resampler = av.AudioResampler(
                stream.codec_context.format, layout, rate, stream.codec_context.frame_size
            )
            frame = av.AudioFrame.from_ndarray(packed, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, 0
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                out.mux(stream.encode(piece))
            out.mux(stream.encode(None))
    file.seek(0)
    return file


def snr(expected: torch.Tensor, received: torch.Tensor) -> float:
    return float(10 * torch.log10(expected.square().sum() / (expected - received).square().sum()))


@settings(max_examples=60, deadline=None)
@given(
    rate=st.sampled_from(RATES),
    channels=st.integers(1, 2),
    subtype=st.sampled_from(SAMPLE_FORMATS),
    seconds=st.floats(0.4, 1.5),
)
@example(rate=192_000, channels=2, subtype=("WAV", "PCM_32"), seconds=1.0)
@example(rate=8_000, channels=1, subtype=("WAV", "PCM_U8"), seconds=1.0)
def test_any_rate_and_depth_gives_the_same_sound(
    rate: int, channels: int, subtype: tuple[str, str], seconds: float
) -> None:
    samples = tone(rate, channels, seconds)
    received = audio.decode(sound_file(samples, rate, *subtype))
    assert received.dtype == torch.float32
    assert abs(received.shape[1] - len(samples) * SAMPLE_RATE / rate) <= 1
    expected = torch.from_numpy(tone(SAMPLE_RATE, channels, 2.0)).T.expand(2, -1).float()
    inner = slice(4000, received.shape[1] - 4000)  # the file's own ends ring when they are resampled
    floor = {"PCM_U8": 30.0, "PCM_S8": 30.0, "PCM_16": 80.0}.get(subtype[1], 105.0)
    assert snr(expected[:, inner], received[:, inner]) > floor


def test_integer_full_scale_is_one() -> None:
    for subtype, dtype in (("PCM_16", "int16"), ("PCM_32", "int32")):
        lowest = np.full((1000, 2), np.iinfo(dtype).min, dtype)
        assert torch.equal(
            audio.decode(sound_file(lowest, SAMPLE_RATE, "WAV", subtype)), -torch.ones(2, 1000)
        )


def test_surround_is_folded_down_as_itu_says() -> None:
    """FL FR FC LFE BL BR, each alone in its own second; gains of BS.775 over their sum, 1 + 2 sqrt(1/2)."""
    samples = np.zeros((6 * SAMPLE_RATE, 6))
    for channel in range(6):
        samples[channel * SAMPLE_RATE : (channel + 1) * SAMPLE_RATE, channel] = 0.5
    half = 0.5**0.5
    gains = torch.tensor([[1, 0], [0, 1], [half, half], [0, 0], [half, 0], [0, half]]) / (1 + 2 * half)
    stated = encoded(("pcm_s16le", samples), container="wav", layout="5.1")
    unstated = sound_file(samples, SAMPLE_RATE)
    for file in (stated, unstated):
        received = audio.decode(file)
        middles = received[:, SAMPLE_RATE // 2 :: SAMPLE_RATE].T
        assert torch.allclose(middles, 0.5 * gains, atol=1e-4)


def test_more_channels_than_any_layout_is_an_error() -> None:
    with pytest.raises(AudioError, match="10 channels"):
        audio.decode(sound_file(np.zeros((4000, 10)), SAMPLE_RATE))


@pytest.mark.parametrize(
    ("codec", "container", "rate"),
    [
        ("libmp3lame", "mp3", 44_100),
        ("aac", "ipod", 44_100),
        ("aac", "mp4", 48_000),
        ("libopus", "ogg", 48_000),
        ("libopus", "webm", 48_000),
        ("flac", "matroska", 96_000),
        ("alac", "ipod", 44_100),
    ],
)
def test_lossy_codecs_stay_aligned(codec: str, container: str, rate: int) -> None:
    """A click at 0.5 s of 1 s comes out there, and the length is the one encoded."""
    samples = np.zeros((rate, 2))
    samples[rate // 2] = 0.9
    received = audio.decode(encoded((codec, samples), container=container, rate=rate))
    assert abs(int(received[0].abs().argmax()) - SAMPLE_RATE // 2) <= 2
    # The last frame of AAC keeps its padding, less than 1024 samples of silence.
    assert -1 <= received.shape[1] - SAMPLE_RATE <= (1024 if codec == "aac" else 1)


def test_variable_bit_rate_mp3_without_a_length_header() -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=(3 * SAMPLE_RATE, 2))
    noise[SAMPLE_RATE : 2 * SAMPLE_RATE] = 0
    file = io.BytesIO()
    with av.open(file, "w", format="mp3", options={"write_xing": "0"}) as out:
        stream = out.add_stream("mp3", rate=SAMPLE_RATE, layout="stereo")
        stream.codec_context.flags |= 2  # AV_CODEC_FLAG_QSCALE: variable bit rate
        stream.codec_context.global_quality = 4 * 118
        frames = av.AudioFrame.from_ndarray(np.ascontiguousarray(noise.T, np.float32), "fltp", "stereo")
        frames.sample_rate = SAMPLE_RATE
        for frame in av.AudioResampler("fltp", "stereo", SAMPLE_RATE, 1152).resample(frames):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    file.seek(0)
    received = audio.decode(file, max_seconds=4.0)
    # Nobody states the encoder's delay here: it stays, at most three frames.
    assert 3 * SAMPLE_RATE - 1152 <= received.shape[1] <= 3 * SAMPLE_RATE + 3 * 1152


def test_the_first_audio_stream_of_a_video() -> None:
    first, second = tone(SAMPLE_RATE, 2), tone(SAMPLE_RATE, 2, low=900.0)
    file = encoded(("pcm_s16le", first), ("pcm_s16le", second), container="matroska", picture=True)
    received = audio.decode(file)
    assert snr(torch.from_numpy(first).T.float(), received) > 70


def test_chained_ogg() -> None:
    halves = [
        sound_file(tone(SAMPLE_RATE, 2, low=low), SAMPLE_RATE, "OGG").getvalue() for low in (200.0, 300.0)
    ]
    received = audio.decode(io.BytesIO(b"".join(halves)))
    for half, part in zip(halves, (received[:, :40_000], received[:, -40_000:]), strict=True):
        expected = audio.decode(io.BytesIO(half))
        expected = expected[:, :40_000] if half is halves[0] else expected[:, -40_000:]
        assert snr(expected, part) > 40


def test_a_rate_that_changes_on_the_way() -> None:
    def frames():
        for rate in (48_000, 44_100, 22_050):
            for piece in np.array_split(tone(rate, 2).astype(np.float32), 7):
                yield piece, rate

    received = torch.from_numpy(np.concatenate(list(files._resampled(frames()))).T)
    expected = torch.from_numpy(tone(SAMPLE_RATE, 2)).T.float()
    assert received.shape[1] == 3 * SAMPLE_RATE
    for second in received.split(SAMPLE_RATE, 1):
        assert snr(expected[:, 4000:-4000], second[:, 4000:-4000]) > 100


@pytest.mark.parametrize("container", ["WAV", "FLAC", "MP3", "OGG"])
@settings(max_examples=15, deadline=None)
@given(share=st.floats(0.3, 0.99))
def test_a_truncated_file_gives_what_is_there(container: str, share: float) -> None:
    noise = np.random.default_rng(2).normal(scale=0.1, size=(3 * SAMPLE_RATE, 2))
    whole = sound_file(noise, SAMPLE_RATE, container)
    expected = audio.decode(whole)
    data = whole.getvalue()
    received = audio.decode(io.BytesIO(data[: int(share * len(data))]))
    assert abs(received.shape[1] / expected.shape[1] - share) < 0.25  # an Ogg page of this file is 0.2 of it
    inner = slice(0, received.shape[1] - 4096)
    assert snr(expected[:, inner], received[:, inner]) > 30


def bad_files() -> dict[str, tuple[bytes, str]]:
    noise = np.random.default_rng(1).bytes(200_000)
    flac = bytearray(sound_file(tone(SAMPLE_RATE, 2, 3.0), SAMPLE_RATE, "FLAC").getvalue())
    flac[200:] = noise[: len(flac) - 200]
    nan, huge = tone(SAMPLE_RATE, 2), tone(48_000, 2)
    nan[5000, 1] = np.nan
    huge *= 32768
    picture = io.BytesIO()
    with av.open(picture, "w", format="matroska") as out:
        stream = out.add_stream("mpeg4", rate=10, width=32, height=32, pix_fmt="yuv420p")
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode(None))
    wav = sound_file(tone(SAMPLE_RATE, 2), SAMPLE_RATE).getvalue()
    return {
        "zero bytes": (b"", "zero bytes"),
        "one byte": (b"R", "not audio"),
        "zeros": (bytes(100_000), "not audio"),
        "random": (noise, "not audio"),
        "text": (b"404 not found\n" * 500, "not audio"),
        "html": (b"<!DOCTYPE html><html><body>Sign in to confirm</body></html>", "not audio"),
        "playlist": (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///secret.ts\n", "not audio"),
        "concat script": (b"ffconcat version 1.0\nfile /secret.wav\n", "not audio"),
        "picture only": (picture.getvalue(), "no audio stream"),
        "header only": (wav[:44], "no audio could be decoded"),
        "no samples": (sound_file(np.zeros((0, 2)), SAMPLE_RATE).getvalue(), "no audio could be decoded"),
        "garbage in flac": (bytes(flac), "damaged|no audio could be decoded"),
        "nan": (sound_file(nan, SAMPLE_RATE, "WAV", "FLOAT").getvalue(), "peak is nan"),
        "integers as floats": (sound_file(huge, 48_000, "WAV", "FLOAT").getvalue(), "bad samples"),
    }


@pytest.mark.parametrize("name", bad_files())
def test_bad_input_says_what_is_wrong(name: str) -> None:
    data, message = bad_files()[name]
    with pytest.raises(AudioError, match=message):
        audio.decode(io.BytesIO(data))


def test_a_playlist_cannot_reach_other_files(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "secret.wav", tone(SAMPLE_RATE, 2), SAMPLE_RATE)
    for name, text in (
        ("song.mp3", "ffconcat version 1.0\nfile secret.wav\n"),
        (
            "song.m3u8",
            f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{tmp_path / 'secret.wav'}\n#EXT-X-ENDLIST\n",
        ),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(AudioError, match="not audio"):
            audio.decode(tmp_path / name)


def test_missing_files_and_folders_raise_the_systems_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        audio.decode(tmp_path / "absent.wav")
    with pytest.raises(IsADirectoryError):
        audio.decode(tmp_path)


def test_too_short() -> None:
    file = sound_file(tone(SAMPLE_RATE, 2, 1.0), SAMPLE_RATE)
    with pytest.raises(AudioError, match=r"too short: 1.00 s, at least 5 s"):
        audio.decode(file, min_seconds=5.0)


class CountingFile(io.BytesIO):
    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


def test_too_long_by_its_header_costs_nothing() -> None:
    """Ten hours of silence in a small flac file: refused after a few blocks of reading."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 8000, 1, "PCM_16", format="FLAC") as out:
        for _ in range(600):
            out.write(np.zeros(60 * 8000, np.int16))
    counting = CountingFile(file.getvalue())
    assert audio.probe(counting).seconds == pytest.approx(36_000)
    counting.seek(0)
    counting.bytes_read = 0
    with pytest.raises(AudioError, match="its header says 36000 s, the limit is 900 s"):
        audio.decode(counting, max_seconds=900.0)
    assert counting.bytes_read < 300_000


def test_too_long_in_spite_of_its_header_stops_at_the_limit() -> None:
    data = bytearray(sound_file(tone(SAMPLE_RATE, 2, 60.0), SAMPLE_RATE, "MP3").getvalue())
    start = max(data.find(b"Xing"), data.find(b"Info"))
    assert start > 0
    data[start : start + 4] = b"none"  # no stated length: the limit must be found by counting
    counting = CountingFile(bytes(data))
    with pytest.raises(AudioError, match="more than the limit of 10 s"):
        audio.decode(counting, max_seconds=10.0)
    assert counting.bytes_read < len(data) / 2


def test_any_kind_of_path_and_a_wrong_extension(tmp_path: Path) -> None:
    data = sound_file(tone(SAMPLE_RATE, 2), SAMPLE_RATE, "FLAC").getvalue()
    local, remote = tmp_path / "ヘビーローテーション.mp3", UPath("memory://songs/a song #1.wav")
    local.write_bytes(data)
    remote.write_bytes(data)
    expected = audio.decode(io.BytesIO(data))
    for source in (local, str(local), UPath(local), remote, str(remote)):
        assert torch.equal(audio.decode(source), expected)


def test_probe() -> None:
    file = encoded(("libopus", tone(48_000, 2, 2.0)), container="webm", rate=48_000)
    info = audio.probe(file)
    assert (info.container, info.codec, info.sample_rate, info.channels) == (
        "matroska,webm",
        "opus",
        48_000,
        2,
    )
    assert info.seconds == pytest.approx(2.0, abs=0.05)


def test_resampling_keeps_the_band_the_time_and_no_alias() -> None:
    time = torch.arange(96_000, dtype=torch.float64) / 48_000
    kept, gone = (
        torch.sin(2 * torch.pi * hertz * time).float().expand(2, -1) for hertz in (20_000.0, 23_000.0)
    )
    expected = torch.sin(2 * torch.pi * 20_000 * torch.arange(88_200, dtype=torch.float64) / 44_100).float()
    inner = slice(5000, -5000)
    assert snr(expected[inner], audio.resample(kept, 48_000)[0, inner]) > 60
    assert audio.resample(gone, 48_000)[:, inner].abs().max() < 1e-6
    assert torch.equal(audio.resample(kept, 44_100), kept)


@pytest.mark.parametrize("file_format", ["wav", "flac", "mp3", "ogg", "opus"])
def test_what_is_written_comes_back_aligned(file_format: str, tmp_path: Path) -> None:
    samples = torch.from_numpy(tone(SAMPLE_RATE, 2, 2.0)).T.float()
    audio.write(tmp_path / f"song.{file_format}", samples)
    file = io.BytesIO()
    audio.write(file, samples, file_format)
    for source in (tmp_path / f"song.{file_format}", io.BytesIO(file.getvalue())):
        received = audio.decode(source)
        assert received.shape == samples.shape
        inner = slice(2000, -2000)
        assert snr(samples[:, inner], received[:, inner]) > (125 if file_format in ("wav", "flac") else 25)


def test_writing_clips_instead_of_wrapping() -> None:
    file = io.BytesIO()
    audio.write(file, torch.full((2, 1000), 1.5), "wav")
    assert audio.decode(io.BytesIO(file.getvalue())).min() > 0.999


def test_writing_needs_a_known_format(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a format among wav"):
        audio.write(tmp_path / "song.xyz", torch.zeros(2, 10))
    with pytest.raises(ValueError, match="received 'none'"):
        audio.write(io.BytesIO(), torch.zeros(2, 10))


def test_silence() -> None:
    steady = torch.full((2, SAMPLE_RATE), 10 ** (-61 / 20))
    assert audio.is_silent(steady)
    assert not audio.is_silent(steady, threshold_dbfs=-62.0)
    assert not audio.is_silent(steady * 10**0.1)
    assert audio.is_silent(torch.zeros(2, 0))
