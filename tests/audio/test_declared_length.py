"""Files that were cut off, and files that are several."""

import io
import re
import struct
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch

from samuel import audio
from samuel.audio.declared_length import declared_bytes, mp3_seconds
from samuel.config import SAMPLE_RATE
from tests.audio.test_files import encoded, snr, sound_file, tone

SECONDS = 4
NOISE = np.random.default_rng(0).normal(scale=0.1, size=(SECONDS * SAMPLE_RATE, 2))


def told_of(data: bytes) -> list[str]:
    told: list[str] = []
    audio.decode(io.BytesIO(data), tell=told.append)
    return told


@pytest.mark.parametrize(
    ("codec", "container"),
    [
        ("pcm_s16le", "wav"),
        ("pcm_s16be", "aiff"),
        ("flac", "flac"),
        ("flac", "ogg"),
        ("libopus", "webm"),
        ("libmp3lame", "mp3"),
        ("wmav2", "asf"),
        ("pcm_s16le", "w64"),
    ],
)
def test_a_file_that_was_cut_off_is_told(codec: str, container: str) -> None:
    rate = 48_000 if codec == "libopus" else SAMPLE_RATE
    whole = encoded((codec, NOISE), container=container, rate=rate, bit_rate=128_000).getvalue()
    assert told_of(whole) == []
    assert audio.missing_part(io.BytesIO(whole)) == ""
    half = whole[: len(whole) // 2]
    assert any("header says" in sentence for sentence in told_of(half))
    assert "header says" in audio.missing_part(io.BytesIO(half))


@pytest.mark.parametrize("indexed", [False, True])
def test_fragments_are_counted(indexed: bool) -> None:
    options = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}
    whole = encoded(("aac", NOISE), container="mp4", **options).getvalue()
    first = whole.find(b"moof") - 4
    if indexed:  # as files for DASH are, YouTube's too
        begins = [match.start() - 4 for match in re.finditer(b"moof", whole)]
        sizes = [end - start for start, end in pairwise([*begins, len(whole)])]
        references = b"".join(struct.pack(">III", size, 500, 1 << 31) for size in sizes)
        body = struct.pack(">IIIIIHH", 0, 1, 1000, 0, 0, 0, len(sizes)) + references
        whole = whole[:first] + struct.pack(">I4s", 8 + len(body), b"sidx") + body + whole[first:]
    assert declared_bytes(io.BytesIO(whole)) == len(whole)
    assert audio.missing_part(io.BytesIO(whole)) == ""
    for share in (0.3, 0.5, 0.8):
        assert "cut off" in audio.missing_part(io.BytesIO(whole[: int(share * len(whole))]))
    at_a_fragment = whole[: whole.rfind(b"moof") - 4]
    assert ("cut off" in audio.missing_part(io.BytesIO(at_a_fragment))) == indexed


def test_an_mp4_without_its_index_says_so() -> None:
    whole = encoded(("alac", NOISE), container="ipod").getvalue()
    with pytest.raises(audio.AudioError, match="cut off: its header says"):
        audio.decode(io.BytesIO(whole[: len(whole) // 2]))


def test_an_mp3_that_states_its_length() -> None:
    whole = encoded(("libmp3lame", NOISE), container="mp3").getvalue()
    assert mp3_seconds(io.BytesIO(whole)) == pytest.approx(SECONDS, abs=0.06)
    assert (
        mp3_seconds(io.BytesIO(encoded(("libmp3lame", NOISE), container="mp3", write_xing="0").getvalue()))
        is None
    )
    low = encoded(("libmp3lame", NOISE), container="mp3", rate=22_050).getvalue()
    assert mp3_seconds(io.BytesIO(low)) == pytest.approx(2 * SECONDS, abs=0.2)  # samples, not resampled
    assert mp3_seconds(io.BytesIO(b"ID3")) is None


def test_sizes_that_recorders_leave_open_are_no_loss() -> None:
    for size in (0, 0xFFFFFFFF, 0x7FFFFFFF):
        data = bytearray(sound_file(NOISE, SAMPLE_RATE).getvalue())
        data[4:8] = data[40:44] = size.to_bytes(4, "little")
        assert told_of(bytes(data)) == []


def joined(*rates: int, container: str = "OGG") -> tuple[bytes, list[bytes]]:
    files = []
    for number, rate in enumerate(rates):
        file = io.BytesIO()
        soundfile.write(file, tone(rate, 2, 2.0, 200.0 + 100 * number), rate, format=container)
        files.append(file.getvalue())
    return b"".join(files), files


@pytest.mark.parametrize("container", ["OGG", "WAV", "FLAC", "MP3"])
def test_files_one_after_the_other_give_all_their_sound(container: str) -> None:
    data, files = joined(44_100, 48_000, 44_100, container=container)
    received = audio.decode(io.BytesIO(data))
    lost = (
        3 * 2500 if container == "MP3" else 5
    )  # each MP3 has its encoder's delay, and none says where it ends
    assert abs(received.shape[1] - 6 * SAMPLE_RATE) <= lost
    for number, file in enumerate(files):
        expected = audio.decode(io.BytesIO(file))
        inner = slice(10_000, 70_000)
        if container != "MP3":
            assert snr(expected[:, inner], received[:, 2 * number * SAMPLE_RATE :][:, inner]) > 40
    if container in ("OGG", "WAV"):
        assert audio.probe(io.BytesIO(data)).seconds == pytest.approx(6.0, abs=0.01)
        with pytest.raises(audio.AudioError, match="too long"):
            audio.decode(io.BytesIO(data), max_seconds=5.0)


def test_a_radio_stream_that_breaks_off_in_a_header_keeps_the_rest() -> None:
    data, files = joined(44_100, 48_000)
    told: list[str] = []
    received = audio.decode(io.BytesIO(data[: len(files[0]) + 200]), tell=told.append)
    assert received.shape[1] == pytest.approx(2 * SAMPLE_RATE, abs=10)
    assert any(sentence.startswith("part 2 of 2: ") for sentence in told)


def test_fragmented_recordings_joined() -> None:
    one = encoded(("aac", NOISE), container="mp4", movflags="frag_keyframe+empty_moov").getvalue()
    received = audio.decode(io.BytesIO(one + one))
    half = received.shape[1] // 2
    assert torch.equal(received[:, :half], received[:, half:])
    assert torch.equal(received[:, :half], audio.decode(io.BytesIO(one)))
