"""Asking the service over HTTP."""

import io
import time
from typing import Any

import httpx
from torch import Tensor

from jobs.serving.settings import Settings
from jobs.serving.workers import encode_audio
from samuel.audio import decode
from tests.jobs.songs import song_audio

POST = "/v1/accompaniments"
ASYNC = {"Prefer": "respond-async"}


def settings_of(checkpoint: str, **others: Any) -> Settings:
    return Settings(checkpoint=checkpoint, separator="spleeter", threads=1, **others)


def sung(seconds: float, seed: int = 0) -> bytes:
    return encode_audio(0.3 * song_audio(seconds, seed), "flac")


def order(
    client: httpx.Client, recording: bytes, headers: dict[str, str] | None = None, **fields: Any
) -> httpx.Response:
    return client.post(
        POST, files={"vocals": ("voice.flac", recording)}, data={"quality": "draft"} | fields, headers=headers
    )


def finished(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    until = time.monotonic() + 120
    while job["state"] in ("queued", "running"):
        assert time.monotonic() < until, job
        time.sleep(0.05)
        job = client.get(job["links"]["self"]).raise_for_status().json()
    return job


def sound(answer: httpx.Response) -> Tensor:
    assert answer.status_code == 200, answer.text
    return decode(io.BytesIO(answer.content))


def problem(answer: httpx.Response, status: int) -> str:
    """The detail of a problem document, which the answer must be."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["title"]
    return document["detail"]
