"""The band is heard while it is made."""

import io
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from jobs.serving.stream import HEADER_BYTES
from samuel.audio import decode
from samuel.config import SAMPLE_RATE
from tests.jobs.local_service import HalfWayWorkers, Service, running
from tests.jobs.serving.asking import ASYNC, finished, order, problem, settings_of, sound, sung

SECONDS = 26.0  # two windows


class BrokenWorkers(HalfWayWorkers):
    broken = True


def stream_of(job: dict[str, Any]) -> str:
    return job["links"]["stream"][0]


def test_the_beginning_is_heard_before_the_end_is_made(checkpoint: str, tmp_path: Path) -> None:
    HalfWayWorkers.gate.clear()
    with running(settings_of(checkpoint), tmp_path, HalfWayWorkers) as service, service.client() as client:
        job = order(client, sung(SECONDS), ASYNC, seed=1).json()
        assert job["playable"] == []
        with client.stream("GET", stream_of(job)) as answer:
            assert answer.headers["content-type"] == "audio/wav"
            assert int(answer.headers["content-length"]) == HEADER_BYTES + 4 * round(SECONDS * SAMPLE_RATE)
            parts = answer.iter_bytes()
            received = b""
            while len(received) < HEADER_BYTES + 4 * 20 * SAMPLE_RATE:
                received += next(parts)
            now = client.get(job["links"]["self"]).json()
            assert now["state"] == "running"
            assert 20 < now["playable"][0] < SECONDS
            HalfWayWorkers.gate.set()
            received += b"".join(parts)
        done = finished(client, job)
        assert done["playable"] == [SECONDS]
        assert client.get(stream_of(job)).content == received  # later, too
        streamed, band = decode(io.BytesIO(received)), sound(client.get(done["links"]["audio"][0]))
        assert streamed.shape == band.shape
        assert band.abs().max() < 0.99  # else one is cut and the other turned down
        assert torch.allclose(streamed, band, atol=2 / 2**15)


def test_a_job_that_fails_says_so_before_the_first_sound_and_breaks_off_after(
    checkpoint: str, tmp_path: Path
) -> None:
    BrokenWorkers.gate.clear()
    with running(settings_of(checkpoint), tmp_path, BrokenWorkers) as service, service.client() as client:
        silent = order(client, sung(1.0)[:2000], ASYNC).json()
        assert "damaged" in problem(client.get(stream_of(silent)), 422)
        job = order(client, sung(SECONDS), ASYNC).json()
        with client.stream("GET", stream_of(job)) as answer:
            parts = answer.iter_bytes()
            assert next(parts).startswith(b"RIFF")
            BrokenWorkers.gate.set()
            with pytest.raises(httpx.RemoteProtocolError):
                list(parts)
        assert "cannot be made" in problem(client.get(stream_of(job), params={"variation": 0}), 422)
        assert service.manager.taken == 0


def test_there_is_no_stream_of_what_is_not_there(client: httpx.Client, service: Service) -> None:
    job = finished(client, order(client, sung(1.0), ASYNC).json())
    assert "no variation 1" in problem(
        client.get(f"{job['links']['self']}/stream", params={"variation": 1}), 404
    )
    client.delete(job["links"]["self"])
    assert "never was" in problem(client.get(stream_of(job)), 404)
