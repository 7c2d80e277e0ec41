"""The app on Ray Serve: as `serve run` starts it, with replicas killed, with its metrics."""

import asyncio
import io
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from jobs.benchmarks.bench_serving import kill_under_load, load, replicas
from jobs.serving.connections import HEADER_SECONDS
from jobs.serving.workers import encode_audio
from samuel.audio import decode
from samuel.config import SAMPLE_RATE
from tests.jobs.local_service import write_tiny_checkpoint
from tests.jobs.songs import song_audio
from tests.s3 import free_ports

pytestmark = [pytest.mark.drill, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
POST = "/v1/accompaniments"


@pytest.fixture(scope="module")
def app(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and name of the app."""
    from jobs.serve import app

    from ray import serve

    folder = tmp_path_factory.mktemp("serve")
    name, (port,) = f"test{os.getpid()}", free_ports(1)
    serve.start(http_options={"port": port})
    arguments = {
        "checkpoint": write_tiny_checkpoint(folder / "run"),
        "spool": str(folder / "spool"),
        "separator": "spleeter",
        "device": "cpu",
        "threads": 1,
        "places": 8,
    }
    serve.run(app(arguments), name=name, route_prefix="/")
    yield f"http://127.0.0.1:{port}", name
    serve.shutdown()


def sung(seconds: float) -> bytes:
    return encode_audio(0.3 * song_audio(seconds, 0), "flac")


def test_killed_replicas_lose_no_job_that_is_polled(app: tuple[str, str]) -> None:
    outcome = asyncio.run(kill_under_load(*app, jobs=4, recording=sung(8.0), quality="best"))
    assert set(outcome["killed"]) == {"Denoiser", "AudioCodec", "Api"}
    assert dict(outcome["states"]) == {"succeeded": 4}
    assert outcome["same"] == 4


def test_each_of_many_clients_is_answered_or_refused(app: tuple[str, str]) -> None:
    seen = asyncio.run(load(app[0], clients=30, requests=1, recording=sung(1.0), quality="draft"))
    assert set(seen.statuses) == {200, 429}
    assert seen.statuses[200] >= 8


def test_a_client_that_goes_away_frees_its_place(app: tuple[str, str]) -> None:
    address, _ = app
    fields = {"quality": "best", "variations": "4"}
    for _ in range(10):  # more than there are places
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(address + POST, files={"vocals": ("v.flac", sung(20.0))}, data=fields, timeout=0.5)
        time.sleep(0.5)
    answer = httpx.post(address + POST, files={"vocals": ("v.flac", sung(1.0))}, timeout=200)
    assert answer.status_code == 200


def test_half_sent_headers_end_in_serves_proxy_too(app: tuple[str, str]) -> None:
    host, port = app[0].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10 * HEADER_SECONDS) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Half")
        assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")
    assert httpx.get(app[0] + "/healthz", timeout=60).status_code == 200


def test_metrics_are_in_prometheus_form(app: tuple[str, str]) -> None:
    import ray

    httpx.post(app[0] + POST, files={"vocals": ("v.flac", sung(1.0))}, timeout=200).raise_for_status()
    port = ray.nodes()[0]["MetricsExportPort"]
    wanted = {
        "samuel_places_taken",
        "samuel_stage_seconds_bucket",
        "samuel_times_real_time_bucket",
        "batch_size",
    }
    until = time.monotonic() + 60
    while wanted and time.monotonic() < until:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
        wanted = {
            name for name in wanted if not re.search(rf"^ray_\w*{name}\w*{{.*}} [\d.e+-]+$", text, re.M)
        }
        time.sleep(1)
    assert not wanted


def test_serve_run_takes_a_config_file(tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "cluster" / "serve.yaml").read_text())
    (port,) = free_ports(1)
    config["http_options"] |= {"host": "127.0.0.1", "port": port}
    checkpoint = write_tiny_checkpoint(tmp_path / "run")
    config["applications"][0]["args"] |= {"checkpoint": checkpoint, "device": "cpu"}
    del config["applications"][0]["args"]["spool"]
    del config["applications"][0]["deployments"]  # of GPUs
    (tmp_path / "serve.yaml").write_text(yaml.safe_dump(config))
    left, others = (tmp_path / f"samuel-session_{name}" for name in ("of-a-dead-app", "of-a-live-app"))
    for folder in (left, others):
        folder.mkdir(mode=0o700)
    os.utime(left, (time.time() - 3600,) * 2)
    serve = str(Path(sys.executable).parent / "serve")
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as short, (tmp_path / "log").open("wb") as log:
        environment = os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": short, "SAMUEL_THREADS": "1"}
        environment["TMPDIR"] = str(tmp_path)
        environment.pop("RAY_ADDRESS", None)
        process = subprocess.Popen(
            [serve, "run", "--address", "local", "--app-dir", str(ROOT), str(tmp_path / "serve.yaml")],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's & has it ignored
        )
        try:
            address = f"http://127.0.0.1:{port}"
            until = time.monotonic() + 300
            while not ready(address):
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < until, (tmp_path / "log").read_text()
                time.sleep(1)
            answer = httpx.post(address + POST, files={"vocals": ("v.flac", sung(1.0))}, timeout=200)
            band = decode(io.BytesIO(answer.raise_for_status().content))
            streamed = httpx.get(f"{address}{answer.headers['location']}/stream").raise_for_status().content
            assert decode(io.BytesIO(streamed)).shape == band.shape == (2, SAMPLE_RATE)
            assert "Sing something" in httpx.get(address).text
            (spool,) = set(tmp_path.glob("samuel-session_*")) - {others}
            assert spool.stat().st_mode & 0o077 == 0  # a voice is nobody else's
            old = time.time() - 3600
            os.utime(spool, (old, old))
            while spool.stat().st_mtime == pytest.approx(old):  # it says that it is in use
                assert time.monotonic() < until
                time.sleep(1)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
    assert list(tmp_path.glob("samuel-session_*")) == [others]


def ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_replicas_are_found_by_the_apps_name(app: tuple[str, str]) -> None:
    assert len(replicas(app[1], "Api")) == 1
    assert not replicas("another", "Api")


def test_lead_sheets_are_found_refused_and_played_by_replicas(app: tuple[str, str]) -> None:
    address, _ = app
    with httpx.Client(base_url=address, timeout=120) as client:
        found = client.post("/v1/lead-sheets", files={"recording": ("v.flac", sung(6.0))}, data={"bpm": 120})
        assert found.json()["lead_sheet"]["beats_per_minute"] == 120
        wrong = client.post(
            "/v1/lead-sheets", files={"recording": ("v.flac", sung(2.0))}, data={"chords": "| C | Xq |"}
        )
        assert wrong.status_code == 422
        assert wrong.json()["detail"].startswith("bar 2: cannot read the chord 'Xq'")
        fields = {"quality": "draft", "bpm": 120, "first_beat": 0.5, "chords": "| Am | F |"}
        files = {"vocals": ("v.flac", sung(6.0))}
        later = {"Prefer": "respond-async"}
        job = client.post(POST, files=files, data=fields, headers=later).json()
        while job["state"] in ("queued", "running"):
            time.sleep(0.2)
            job = client.get(job["links"]["self"]).json()
        text = client.get(job["links"]["lead_sheet"][0], params={"format": "txt"}).text
        assert "| Am | F | Am |" in text
        assert client.get(job["links"]["stems"][0]).content[:2] == b"PK"
        fields = {
            "quality": "draft",
            "reference": job["id"],
            "start": 2.5,
            "end": 4.5,
            "chords": "| Am | G |",
        }
        remade = client.post(POST, data=fields)
        assert remade.status_code == 200, remade.text
