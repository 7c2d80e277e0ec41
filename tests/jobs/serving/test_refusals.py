"""What the service refuses, with its reason."""

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from samuel.audio import AudioError, decode
from samuel.audio.files import _resampled
from samuel.config import SAMPLE_RATE
from samuel.training.config import Student
from tests.jobs.local_service import running, write_tiny_checkpoint
from tests.jobs.serving.asking import ASYNC, POST, finished, order, problem, settings_of, sung


def wav(samples: np.ndarray, rate: int = SAMPLE_RATE, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, subtype, format="WAV")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("recording", "says"),
    [
        (b"", "empty"),
        (b"not audio, " * 1000, "not audio"),
        (wav(np.zeros((SAMPLE_RATE * 2, 1))), "silent"),
        (wav(np.ones((100, 1))), "too short"),
        (wav(np.ones((8000 * 125, 1)), 8000), "too long"),
        (wav(np.random.default_rng(0).normal(size=(4000, 12))), "12 channels"),
        (wav(np.ones((4000, 1)), 100), "100 samples a second"),
        (wav(np.full((SAMPLE_RATE * 2, 1), np.nan), subtype="FLOAT"), "bad samples"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "not audio"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "not audio"),
    ],
)
def test_what_is_no_vocal_recording_is_refused_with_the_reason(
    client: httpx.Client, recording: bytes, says: str
) -> None:
    assert says in problem(order(client, recording), 422)


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"quality": "superb"}, 422, "quality"),
        ({"seed": "-1"}, 422, "seed"),
        ({"guidance": "1000"}, 422, "guidance"),
        ({"guidance": "nan"}, 422, "guidance"),
        ({"variations": "9"}, 422, "at most 4"),
        ({"steps": "101"}, 422, "at most 100"),
        ({"steps": "0"}, 422, "steps"),
        ({"format": "aiff"}, 422, "format"),
        ({"path": "/etc/passwd"}, 422, "path"),
        ({"start": "1", "end": "2"}, 422, "reference"),
        ({"reference": "0" * 32}, 404, "never was"),
        ({"lufs": "0"}, 422, "lufs"),
        ({"reference": "../../etc"}, 422, "reference"),
    ],
)
def test_a_wrong_order_is_refused_with_the_reason(
    client: httpx.Client, fields: dict[str, Any], status: int, says: str
) -> None:
    assert says in problem(order(client, sung(1.0), **fields), status)


def test_a_wrong_region_is_refused_with_the_reason(client: httpx.Client) -> None:
    job = finished(client, order(client, sung(2.0), ASYNC).json())
    for fields, status, says in (
        ({"reference": "0" * 32, "start": 0, "end": 1}, 404, "never was"),
        ({"reference": job["id"], "start": 5, "end": 6}, 422, "within the 2.00 s"),
        ({"reference": job["id"], "start": 1, "end": 0.5}, 422, "within the 2.00 s"),
        ({"reference": job["id"], "start": 1}, 422, "end"),
        ({"reference": job["id"], "start": 0, "end": 1, "reference_variation": 3}, 404, "no variation 3"),
        ({"reference": job["id"], "start": 0, "end": 1, "separate": "true"}, 422, "separate"),
        ({}, 422, "vocals"),
    ):
        assert says in problem(client.post(POST, data=fields), status)


def test_a_student_is_asked_for_its_own_steps_alone(tmp_path: Path) -> None:
    student = write_tiny_checkpoint(tmp_path / "student", Student(2, "teacher", guidance=4.0))
    with running(settings_of(student), tmp_path / "spool") as service, service.client() as client:
        for headers in ({}, ASYNC):
            asked = order(client, sung(1.0), headers, steps=7)
            assert "distilled to 2 steps, got 7; leave steps out" in problem(asked, 422)
            asked = order(client, sung(1.0), headers, guidance=2)
            assert "distilled with a guidance of 4 in its weights" in problem(asked, 422)
        assert order(client, sung(1.0), steps=2, guidance=1).status_code == 200
        assert order(client, sung(1.0), quality="best").status_code == 200


def test_unknown_addresses_and_methods_are_problems_too(client: httpx.Client) -> None:
    problem(client.get("/nowhere"), 404)
    problem(client.get("/studio/../jobs/serve.py"), 404)
    problem(client.get("/studio/%2e%2e/%2e%2e/pyproject.toml"), 404)
    problem(client.post("/healthz"), 405)
    problem(client.get(f"{POST}/{'0' * 32}"), 404)
    problem(client.get(f"{POST}/..%2f..%2fetc"), 404)
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").json()["status"] == "ok"
    assert client.get("/v1/models").json()["data"][0]["qualities"]["draft"] > 0


def test_a_stream_that_falls_to_one_sample_a_second_cannot_grow() -> None:
    """Its header is in order, a later part of it is not: resampled it would be 44,100 times as long."""
    parts = [(np.zeros((8192, 2), np.float32), 44_100), (np.zeros((8192, 2), np.float32), 1)]
    with pytest.raises(AudioError, match="1 Hz"):
        list(_resampled(iter(parts)))


def test_reading_ends_when_its_work_is_too_much() -> None:
    with pytest.raises(AudioError, match=r"more than 0\.001 s of work"):
        decode(io.BytesIO(sung(5.0)), max_work_seconds=0.001)


def test_a_small_file_of_many_channels_at_a_high_rate_is_refused_by_its_header(client: httpx.Client) -> None:
    silence = io.BytesIO()
    soundfile.write(silence, np.zeros((384_000, 8), np.int16), 384_000, format="FLAC")
    assert "8 channels of 384000" in problem(order(client, silence.getvalue()), 422)


def test_uploads_beyond_the_limit_are_refused_with_or_without_a_length(
    checkpoint: str, tmp_path: Path
) -> None:
    settings = settings_of(checkpoint, max_bytes=100_000, max_upload_seconds=1)
    with running(settings, tmp_path) as service, service.client() as client:
        assert "100,000 bytes" in problem(order(client, bytes(200_000)), 413)
        head = b'--x\r\nContent-Disposition: form-data; name="vocals"; filename="v.wav"\r\n\r\n'
        chunks = (head + bytes(10_000) if number == 0 else bytes(10_000) for number in range(1000))
        type_ = {"Content-Type": "multipart/form-data; boundary=x"}
        assert "100,000 bytes" in problem(client.post(POST, content=chunks, headers=type_), 413)

        def slow() -> Iterator[bytes]:
            yield head
            for _ in range(40):
                yield b"RIFF"
                time.sleep(0.1)

        assert "after 1 s" in problem(client.post(POST, content=slow(), headers=type_), 408)
        assert service.manager.taken == 0
