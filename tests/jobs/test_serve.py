"""The service over HTTP, without Ray: real workers in threads, a tiny untrained model, short recordings."""

import asyncio
import io
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx
import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from jobs.serving.desk import Desk, WorkerLost
from jobs.serving.job import Order, Remake, region_frames
from jobs.serving.settings import Settings
from jobs.serving.spool import RECORDING, Spool
from jobs.serving.workers import Clocked, encode_audio
from samuel.audio import AudioError, _resampled, decode
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.generation import Recipe, WindowTask
from samuel.mixing import loudness
from tests.jobs.local_service import Counted, LocalWorkers, Service, running, write_tiny_checkpoint
from tests.jobs.songs import song_audio

POST = "/v1/accompaniments"
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def service(checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = settings_of(checkpoint, max_seconds=120, max_bytes=30_000_000)
    with running(settings, tmp_path_factory.mktemp("spool")) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


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


# What is made


def test_a_recording_gives_a_band_of_its_length(client: httpx.Client) -> None:
    answer = order(client, sung(2.3), seed=7)
    band = sound(answer)
    assert answer.headers["content-type"] == "audio/wav"
    assert band.shape == decode(io.BytesIO(sung(2.3))).shape
    assert band.abs().mean() > 1e-3
    job = client.get(answer.headers["location"]).json()
    assert (job["state"], job["progress"], job["seeds"]) == ("succeeded", 1.0, [7])
    assert set(job["stage_seconds"]) == {"encode", "sample", "decode"}
    assert torch.equal(sound(order(client, sung(2.3), seed=7)), band)
    assert not torch.allclose(sound(order(client, sung(2.3), seed=8)), band, atol=1e-2)


def test_stems_and_mix_in_every_format(client: httpx.Client) -> None:
    job = finished(client, order(client, sung(4.0), ASYNC).json())
    for file_format in ("wav", "flac", "mp3", "ogg", "opus"):
        band = sound(client.get(job["links"]["audio"][0], params={"format": file_format, "variation": 0}))
        assert abs(band.shape[-1] - 4 * SAMPLE_RATE) < 3000
    voice = sound(client.get(job["links"]["vocals"]))
    assert torch.allclose(voice, decode(io.BytesIO(sung(4.0))), atol=1e-6)
    mix = sound(client.get(job["links"]["mix"][0]))
    assert loudness(mix) == pytest.approx(-14, abs=1)
    assert mix.abs().max() < 1
    loud = sound(client.get(f"{job['links']['self']}/mix", params={"balance": 20}))
    band = sound(client.get(job["links"]["audio"][0]))
    assert likeness(loud, band) > likeness(mix, band)


def likeness(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack((one.flatten(), other.flatten())))[0, 1])


def test_a_region_is_made_anew_and_the_rest_stays(client: httpx.Client) -> None:
    job = finished(client, order(client, sung(6.0), ASYNC, variations=2).json())
    before = sound(client.get(f"{job['links']['self']}/audio", params={"variation": 1}))
    region = {"reference": job["id"], "reference_variation": 1, "start": 2.0, "end": 4.0, "quality": "draft"}
    answer = client.post(POST, data=region | {"seed": 99})
    after = sound(answer)
    assert after.shape == before.shape
    difference = (after - before).abs().mean(0)
    seconds = torch.arange(len(difference)) / SAMPLE_RATE
    assert difference[(seconds > 2.2) & (seconds < 3.8)].mean() > 1e-3
    far = (seconds < 1.4) | (seconds > 4.6)
    assert difference[far].mean() < 1e-2 * difference[~far].mean()
    again = finished(client, client.get(answer.headers["location"]).json())
    assert client.delete(job["links"]["self"]).status_code == 204  # the new one stands for itself
    assert sound(client.get(again["links"]["vocals"])).shape == before.shape


def test_separation_takes_the_voice_out_of_a_mix(client: httpx.Client) -> None:
    job = finished(client, order(client, sung(3.0, seed=3), ASYNC, separate="true").json())
    if job["state"] == "failed":  # noise that is no voice at all may leave nothing
        assert "no voice" in job["error"]["detail"]
    else:
        assert "separate" in job["stage_seconds"]
        voice = sound(client.get(job["links"]["vocals"]))
        assert not torch.allclose(voice, decode(io.BytesIO(sung(3.0, seed=3))), atol=1e-3)


def test_events_tell_the_way_to_the_result(client: httpx.Client) -> None:
    files = {"vocals": ("voice.flac", sung(2.0))}
    with client.stream("POST", POST, files=files, headers={"Accept": "text/event-stream"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    names = [line.removeprefix("event: ") for line in lines[::2]]
    assert names[0] == "queued"
    assert names[-1] == "succeeded"
    shares = [
        httpx.Response(200, content=line.removeprefix("data: ")).json()["progress"] for line in lines[1::2]
    ]
    assert shares == sorted(shares)
    assert len(set(shares)) > 2
    assert client.get(answer.headers["location"]).json()["state"] == "succeeded"


# What is refused


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
        ({"format": "aiff"}, 422, "format"),
        ({"path": "/etc/passwd"}, 422, "path"),
        ({"start": "1", "end": "2"}, 422, "reference"),
        ({"reference": "0" * 32, "start": "1", "end": "2"}, 422, "vocals"),
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
        ({"reference": job["id"], "start": 5, "end": 6}, 422, "within 2.00 s"),
        ({"reference": job["id"], "start": 1, "end": 0.5}, 422, "within 2.00 s"),
        ({"reference": job["id"], "start": 1}, 422, "end"),
        ({"reference": job["id"], "start": 0, "end": 1, "reference_variation": 3}, 404, "no variation 3"),
        ({"reference": job["id"], "start": 0, "end": 1, "separate": "true"}, 422, "separate"),
        ({}, 422, "vocals"),
    ):
        assert says in problem(client.post(POST, data=fields), status)


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


def test_reading_ends_when_its_time_is_over() -> None:
    file = Clocked(sung(5.0), 0.0)
    time.sleep(0.01)
    with pytest.raises(AudioError, match="took more than"):
        decode(file)


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
        assert service.desk.taken == 0


# Who waits, and who goes away


class SlowWorkers(LocalWorkers):
    """Real, but each window waits for `gate`."""

    gate = threading.Event()

    async def sample(self, task: WindowTask) -> AsyncIterator[float | Tensor]:
        while not self.gate.is_set():
            yield 0.0
            await asyncio.sleep(0.05)
        async for made in super().sample(task):
            yield made


def test_a_full_desk_refuses_at_once_and_places_come_back(checkpoint: str, tmp_path: Path) -> None:
    SlowWorkers.gate.clear()
    with (
        running(settings_of(checkpoint, places=2), tmp_path, SlowWorkers) as service,
        service.client() as client,
    ):
        jobs = [order(client, sung(1.0), ASYNC).json() for _ in range(2)]
        long = sung(30.0)
        refused = order(client, long)
        assert "all 2 places" in problem(refused, 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert client.delete(jobs[0]["links"]["self"]).status_code == 204
        third = order(client, sung(1.0), ASYNC)
        assert third.status_code == 202
        SlowWorkers.gate.set()
        assert finished(client, third.json())["state"] == "succeeded"
        assert finished(client, jobs[1])["state"] == "succeeded"
        until = time.monotonic() + 10
        while service.desk.taken and time.monotonic() < until:
            time.sleep(0.02)
        assert service.desk.taken == 0
        assert sorted(state for state, _ in service.meters.ends) == ["cancelled", "succeeded", "succeeded"]


def test_a_short_recording_does_not_wait_for_a_long_one(checkpoint: str, tmp_path: Path) -> None:
    class ListedWorkers(SlowWorkers):
        seeds: ClassVar[list[int]] = []

        async def sample(self, task: WindowTask) -> AsyncIterator[float | Tensor]:
            async for made in super().sample(task):
                if isinstance(made, Tensor):
                    self.seeds.append(task.recipe.seed)
                yield made

    SlowWorkers.gate.clear()
    with running(settings_of(checkpoint), tmp_path, ListedWorkers) as service, service.client() as client:
        jobs = [order(client, sung(length), ASYNC, seed=length).json() for length in (75, 1)]
        while not all(client.get(job["links"]["self"]).json()["stage"] == "sample" for job in jobs):
            time.sleep(0.05)
        SlowWorkers.gate.set()
        finished(client, jobs[1])
        assert 1 in ListedWorkers.seeds[:2]  # windows take turns
        client.delete(jobs[0]["links"]["self"])


def test_a_client_that_leaves_its_events_frees_its_place(checkpoint: str, tmp_path: Path) -> None:
    SlowWorkers.gate.clear()
    with running(settings_of(checkpoint), tmp_path, SlowWorkers) as service, service.client() as client:
        files = {"vocals": ("voice.flac", sung(1.0))}
        with client.stream("POST", POST, files=files, headers={"Accept": "text/event-stream"}) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "event: queued"
            assert service.desk.taken == 1
        until = time.monotonic() + 20
        while service.desk.taken and time.monotonic() < until:
            time.sleep(0.05)
        assert service.desk.taken == 0
        assert not service.desk.jobs
        assert not list(tmp_path.iterdir())


def test_a_new_desk_takes_up_the_jobs_of_a_dead_one(checkpoint: str, tmp_path: Path) -> None:
    """As after kill -9: the spool as the dead desk left it, a new desk on it."""
    settings = settings_of(checkpoint)

    async def first() -> dict[str, str]:
        SlowWorkers.gate.clear()
        desk = Desk(SlowWorkers(settings), Spool(tmp_path), settings, Counted())
        kept = Order((Recipe("draft", 5),))
        jobs = {
            "polled": await desk.submit(kept, sung(2.0), desk.place()),
            "waited for": await desk.submit(Order((Recipe("draft"),), kept=False), sung(2.0), desk.place()),
        }
        while any(job.stage != "sample" for job in jobs.values()):
            assert not any(job.over for job in jobs.values()), jobs
            await asyncio.sleep(0.02)
        return {name: job.id for name, job in jobs.items()}  # asyncio.run cancels the tasks; files stay

    ids = asyncio.run(first())
    assert (tmp_path / ids["polled"] / RECORDING).exists()

    async def second() -> bytes:
        desk = Desk(LocalWorkers(settings), Spool(tmp_path), settings, Counted())
        await desk.open()
        assert set(desk.jobs) == {ids["polled"]}
        job = desk.find(ids["polled"])
        await desk.finished(job)
        assert job.state == "succeeded"
        assert job.starts == 2
        return await desk.read(job, "band-0.flac")

    band = asyncio.run(second())
    with running(settings, tmp_path / "other") as service, service.client() as client:
        assert order(client, sung(2.0), seed=5, format="flac").content == band
    assert {file.name for file in tmp_path.iterdir()} == {ids["polled"], "other"}
    assert not (tmp_path / ids["polled"] / RECORDING).exists()


def test_a_job_that_breaks_the_service_again_and_again_is_given_up(checkpoint: str, tmp_path: Path) -> None:
    class DyingWorkers(LocalWorkers):
        async def sample(self, task: WindowTask) -> AsyncIterator[float | Tensor]:
            raise WorkerLost("the worker died 4 times at this; try again later")
            yield

    with running(settings_of(checkpoint), tmp_path, DyingWorkers) as service, service.client() as client:
        assert "died 4 times" in problem(order(client, sung(1.0)), 503)
        job = finished(client, order(client, sung(1.0), ASYNC).json())
        assert (job["state"], job["error"]["status"]) == ("failed", 503)
        assert "failed" in problem(client.get(job["links"]["audio"][0]), 409)


def test_results_are_gone_when_their_time_is_over(checkpoint: str, tmp_path: Path) -> None:
    with running(settings_of(checkpoint, keep_minutes=0.01), tmp_path) as service, service.client() as client:
        job = finished(client, order(client, sung(1.0), ASYNC).json())
        until = time.monotonic() + 20
        while client.get(job["links"]["self"]).status_code == 200 and time.monotonic() < until:
            time.sleep(0.05)
        assert "its time is over" in problem(client.get(job["links"]["self"]), 404)
        time.sleep(0.3)
        assert not list(tmp_path.iterdir())


# Who may


def test_tokens_keep_strangers_out_and_owners_apart(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAMUEL_TOKENS", "secret-of-ann, secret-of-bob")
    with running(settings_of(checkpoint), tmp_path) as service:
        ann = service.client(Authorization="Bearer secret-of-ann")
        bob = service.client(Authorization="Bearer secret-of-bob")
        with service.client() as nobody:
            refused = order(nobody, sung(1.0))
            assert "Bearer" in problem(refused, 401)
            assert refused.headers["www-authenticate"] == "Bearer"
            assert nobody.get("/").status_code == 200
            assert nobody.get("/healthz").status_code == 200
            problem(nobody.get("/v1/models", headers={"Authorization": "Bearer secret-of-eve"}), 401)
        job = finished(ann, order(ann, sung(1.0), ASYNC).json())
        problem(bob.get(job["links"]["self"]), 404)
        problem(bob.get(job["links"]["audio"][0]), 404)
        problem(bob.delete(job["links"]["self"]), 404)
        problem(bob.post(POST, data={"reference": job["id"], "start": 0, "end": 0.5}), 404)
        sound(ann.get(job["links"]["audio"][0]))
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"secret-of" not in written
    assert "secret-of" not in "".join(capfd.readouterr())


def test_the_rate_limit_says_when_to_come_again(checkpoint: str, tmp_path: Path) -> None:
    with (
        running(settings_of(checkpoint, rate_limit="2/minute"), tmp_path) as service,
        service.client() as client,
    ):
        codes = [order(client, b"no audio").status_code for _ in range(2)]
        refused = order(client, b"no audio")
        assert codes == [422, 422]
        assert "2 per 1 minute" in problem(refused, 429)
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert client.get("/v1/models").status_code == 200


def test_every_answer_has_security_headers_and_no_cors(client: httpx.Client) -> None:
    for path in ("/", "/studio/studio.js", "/v1/models", "/nowhere"):
        answer = client.get(path, headers={"Origin": "https://elsewhere.example"})
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
    nonces = {client.get("/").text.split('csp-nonce" content="')[1].split('"')[0] for _ in range(3)}
    assert len(nonces) == 3


def test_cors_where_it_is_asked_for(checkpoint: str, tmp_path: Path) -> None:
    settings = settings_of(checkpoint, cors_origins="https://friend.example")
    with running(settings, tmp_path) as service, service.client() as client:
        asked = {"Origin": "https://friend.example", "Access-Control-Request-Method": "POST"}
        assert (
            client.options(POST, headers=asked).headers["access-control-allow-origin"]
            == "https://friend.example"
        )
        other = client.get("/v1/models", headers={"Origin": "https://elsewhere.example"})
        assert "access-control-allow-origin" not in other.headers


def test_settings_come_from_the_environment_and_wrong_ones_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMUEL_PLACES", "7")
    monkeypatch.setenv("SAMUEL_DEVICE", "cpu")
    assert Settings().places == 7
    assert Settings(places="3").places == 3  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="plaices"):
        Settings(plaices=3)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="rate limit"):
        Settings(rate_limit="often")


def test_a_frame_is_the_least_region() -> None:
    samples = 100 * FRAME_SAMPLES
    assert region_frames(Remake("", 0, 1.0, 1.0001), samples) == (22, 23)
    assert region_frames(Remake("", 0, 0.0, 1e6), samples) == (0, 100)


def test_the_port_is_closed_after_the_service(checkpoint: str, tmp_path: Path) -> None:
    with running(settings_of(checkpoint), tmp_path) as service:
        host, port = service.address.removeprefix("http://").split(":")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host, int(port)), timeout=2)
