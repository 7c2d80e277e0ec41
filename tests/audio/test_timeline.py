"""What is missing, late or damaged stays where it was: files made here, and bent."""

import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from samuel import audio
from samuel.audio.timeline import ByteClock, DamagedClock, Frame, in_place
from samuel.config import SAMPLE_RATE
from tests.audio.test_files import encoded, snr, sound_file

SECONDS = 6
NOISE = np.random.default_rng(0).normal(scale=0.1, size=(SECONDS * SAMPLE_RATE, 2))
SWEEP = 0.2 * np.sin(np.cumsum(np.linspace(0.03, 0.5, SECONDS * SAMPLE_RATE)))[:, None].repeat(2, 1)
"""From 200 Hz to 3.5 kHz: every codec keeps it, and no two moments of it are alike."""
RATE = 1000


def decoded(data: bytes) -> tuple[torch.Tensor, list[str]]:
    told: list[str] = []
    return audio.decode(io.BytesIO(data), max_seconds=100.0, tell=told.append), told


def bent(data: bytes, where: float, zeros: int = 0, cut: int = 0) -> bytes:
    at = int(where * len(data))
    return data[:at] + bytes(zeros) + data[at + zeros + cut :]


@pytest.mark.parametrize(
    ("codec", "container"),
    [
        ("flac", "flac"),
        ("flac", "matroska"),
        ("libopus", "ogg"),
        ("alac", "ipod"),
        ("aac", "adts"),
        ("wavpack", "wv"),
        ("libmp3lame", "mp3"),
    ],
)
def test_what_follows_damage_stays_in_its_place(codec: str, container: str) -> None:
    rate = 48_000 if codec == "libopus" else SAMPLE_RATE
    whole = encoded((codec, SWEEP), container=container, rate=rate).getvalue()
    expected, nothing = decoded(whole)
    assert nothing == []
    received, told = decoded(bent(whole, 0.5, zeros=200))
    assert abs(received.shape[1] - expected.shape[1]) <= 1152
    rest = slice(int(5 * SAMPLE_RATE), expected.shape[1] - 5000)
    assert snr(expected[:, rest], received[:, rest]) > 30
    assert codec == "libmp3lame" or "silence stands there" in told[0]  # which makes some noise of zeros


@pytest.mark.parametrize("tag", [b"", b"ID3\x04\0\0\0\0\0\x14" + bytes(20)])
@pytest.mark.parametrize("filled", ["zeros", "noise"])
def test_bare_aac_keeps_the_time_of_what_is_skipped(filled: str, tag: bytes) -> None:
    whole = tag + encoded(("aac", NOISE), container="adts", rate=SAMPLE_RATE).getvalue()
    expected, nothing = decoded(whole)
    assert nothing == []
    begin, count = len(whole) // 2, len(whole) // 10
    filling = bytes(count) if filled == "zeros" else np.random.default_rng(0).bytes(count)
    received, told = decoded(whole[:begin] + filling + whole[begin + count :])
    assert abs(received.shape[1] - expected.shape[1]) <= 3 * 1024  # whole frames, by their mean length
    assert "silence stands there" in told[0]


def test_two_bare_aacs_with_tags_are_whole() -> None:
    tag = b"ID3\x04\0\0\0\0\0\x14" + bytes(20)
    one = tag + encoded(("aac", NOISE), container="adts", rate=SAMPLE_RATE).getvalue()
    (expected, _), (received, told) = decoded(one), decoded(one + one)
    assert (received.shape[1], told) == (2 * expected.shape[1], [])


def test_what_follows_damage_stays_in_its_place_in_vorbis() -> None:
    whole = sound_file(NOISE, SAMPLE_RATE, "OGG").getvalue()
    expected, _ = decoded(whole)
    received, told = decoded(bent(whole, 0.5, zeros=200))
    assert received.shape == expected.shape
    assert snr(expected[:, -SAMPLE_RATE:-5000], received[:, -SAMPLE_RATE:-5000]) > 30
    assert "silence stands there" in told[0]


@pytest.mark.parametrize("container", ["flac", "matroska"])
def test_what_follows_missing_bytes_stays_in_its_place(container: str) -> None:
    whole = encoded(("flac", NOISE), container=container).getvalue()
    expected, _ = decoded(whole)
    received, told = decoded(bent(whole, 0.3, cut=len(whole) // 10))
    assert abs(received.shape[1] - expected.shape[1]) <= 44  # Matroska counts milliseconds
    begin = int(5.2 * SAMPLE_RATE)
    piece = expected[0, begin : begin + 4096]
    lags = [float(piece @ received[0, begin + lag : begin + lag + 4096]) for lag in range(-44, 45)]
    assert max(lags) > 0.95 * float(piece @ piece)
    assert "silence stands there" in told[0]


def test_a_bent_bit_in_flac_is_a_hole_and_no_noise() -> None:
    whole = bytearray(encoded(("flac", NOISE), container="flac").getvalue())
    whole[len(whole) // 2] ^= 4
    received, told = decoded(bytes(whole))
    difference = received - decoded(encoded(("flac", NOISE), container="flac").getvalue())[0]
    assert received[difference != 0].abs().max() == 0
    assert len(told) == 1


def late(container: str, codec: str, seconds: float) -> bytes:
    """A file whose sound begins so late, by its time stamps."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options={"avoid_negative_ts": "disabled"}) as out:
        stream = out.add_stream(codec, rate=SAMPLE_RATE, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(stream.codec_context.format, "stereo", SAMPLE_RATE, 1024)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(NOISE.T, np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            piece.pts = (piece.pts or 0) + round(seconds * SAMPLE_RATE)
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(("container", "codec"), [("matroska", "flac"), ("mp4", "alac"), ("mp4", "aac")])
def test_what_starts_late_starts_late(container: str, codec: str) -> None:
    received, _ = decoded(late(container, codec, 0.5))
    expected = torch.from_numpy(NOISE.T).float()
    begin = SAMPLE_RATE
    piece = expected[0, begin : begin + 4096]
    at = begin + SAMPLE_RATE // 2
    lags = [float(piece @ received[0, at + lag : at + lag + 4096]) for lag in range(-100, 101)]
    assert abs(int(np.argmax(lags)) - 100) <= 45  # a millisecond, in which both containers count a late start
    assert received[:, :20_000].abs().max() < 0.01


def test_a_recording_whose_clock_ran_on_begins_at_once() -> None:
    received, _ = decoded(late("matroska", "flac", 5000))
    assert received.shape[1] == SECONDS * SAMPLE_RATE


def test_fragmented_mp4_follows_its_edit_list() -> None:
    """As Safari records. Where there is none, the encoder's delay stays, as in every player."""
    click = np.zeros((SAMPLE_RATE, 2))
    click[SAMPLE_RATE // 2] = 0.9
    for flags, delay in (("frag_keyframe+empty_moov+delay_moov", 0), ("frag_keyframe+empty_moov", 1024)):
        data = bytearray(
            encoded(("aac", click), container="mp4", movflags=flags, frag_duration="300000").getvalue()
        )
        assert b"moof" in data
        received, _ = decoded(bytes(data))
        assert abs(int(received[0].abs().argmax()) - SAMPLE_RATE // 2 - delay) <= 2
        at = data.find(b"elst")
        if at > 0:
            struct.pack_into(">i", data, at + 16, 2112)  # AAC of Apple's encoder
            received, _ = decoded(bytes(data))
            assert abs(int(received[0].abs().argmax()) - SAMPLE_RATE // 2 + 2112 - 1024) <= 2


def test_wma_is_what_ffmpeg_makes_of_it() -> None:
    """Its container does not state the encoder's delay; nothing is put before what FFmpeg decodes."""
    file = encoded(("wmav2", NOISE), container="asf", bit_rate=128_000)
    with av.open(file) as container:
        plain = sum(frame.samples for frame in container.decode(audio=0))
    assert decoded(file.getvalue())[0].shape[1] == plain


def frames(*times: float, seconds: float = 1.0) -> list[Frame]:
    """Frames of so many seconds that hold their number, from 1 on."""
    return [
        Frame(np.full((round(seconds * RATE), 2), number, np.float32), RATE, float(time))
        for number, time in enumerate(times, start=1)
    ]


def placed(given: list[Frame], **options: float) -> tuple[list[int], list[str]]:
    """The number that sounds in the middle of each second, 0 for silence."""
    told: list[str] = []
    blocks = [samples for samples, _ in in_place(given, tell=told.append, **options)]
    return np.concatenate(blocks)[RATE // 2 :: RATE, 0].astype(int).tolist(), told


def test_holes_are_as_long_as_what_is_missing() -> None:
    assert placed(frames(0, 1, 4, 5)) == (
        [1, 2, 0, 0, 3, 4],
        ["damaged: 2.00 s are missing at 2.00 s; silence stands there"],
    )
    assert placed(frames(7, 8, 10, 12))[0] == [1, 2, 0, 3, 0, 4]
    assert placed(frames(0, 1), late=2.0)[0] == [0, 0, 1, 2]


def test_one_bent_time_stamp_moves_nothing() -> None:
    assert placed(frames(0, 1, 500, 3, 4))[0] == [1, 2, 3, 4, 5]
    assert placed(frames(0, 1, 0.2, 3, 4))[0] == [1, 2, 3, 4, 5]


def test_a_clock_that_begins_anew_loses_nothing() -> None:
    assert placed(frames(100, 101, 0, 1, 3)) == (
        [1, 2, 3, 4, 0, 5],
        ["damaged: 1.00 s are missing at 4.00 s; silence stands there"],
    )


def test_jitter_adds_no_silence() -> None:
    random = np.random.default_rng(0)
    times = [float(time) for time in np.arange(500) * 0.02 + random.uniform(-0.004, 0.004, 500)]
    blocks = [samples for samples, _ in in_place(frames(*times, seconds=0.02))]
    assert len(np.concatenate(blocks)) == 500 * 20


def test_a_hole_beyond_belief_is_an_error() -> None:
    with pytest.raises(DamagedClock, match=r"clock jumps by 2\.8 hours"):
        placed(frames(0, 10_000, 10_001))


def test_bytes_tell_the_time_where_nothing_else_does() -> None:
    clock = ByteClock()
    for number in range(10):
        assert clock.sounded(100, 0.5) == 0.5 * number
    clock.damaged(bytes(310), 1000)
    assert clock.sounded(100, 0.5) == 5.0 + 1.5
    clock.damaged(
        b"ID3\4\0\0" + bytes([0, 0, 7, 104]) + bytes(490), 1410
    )  # a tag of 1010 bytes, in two packets
    clock.damaged(bytes(510), 1910)
    assert clock.sounded(100, 0.5) == 7.0
