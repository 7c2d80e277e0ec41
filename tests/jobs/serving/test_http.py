"""HTTP as clients, proxies and monitors use it: HEAD, events that stay alive, uploads that stall, addresses."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from uvicorn.config import HTTP_PROTOCOLS

from jobs.serving import connections, uploads
from jobs.serving.routes import results
from jobs.serving.settings import Settings
from tests.jobs.local_service import Service, running
from tests.jobs.serving.asking import ASYNC, POST, finished, order, problem, settings_of, sound, sung
from tests.jobs.serving.test_waiting import SlowWorkers

HEAD_OF_A_PART = b'--x\r\nContent-Disposition: form-data; name="vocals"; filename="v.wav"\r\n\r\n'
MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}


def connection(service: Service) -> socket.socket:
    host, port = service.address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def begun(service: Service, sent: bytes) -> socket.socket:
    """A connection that has begun an upload, and stalls."""
    stalled = connection(service)
    stalled.sendall(
        b"POST /v1/accompaniments HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + sent
    )
    return stalled


def test_stalled_uploads_take_no_place_and_end(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "GRACE_SECONDS", 4.0)
    with running(settings_of(checkpoint, places=2), tmp_path) as service, service.client() as client:
        stalled = [begun(service, HEAD_OF_A_PART) for _ in range(40)]
        assert sound(order(client, sung(1.0))).shape[-1] == 44_100
        assert service.manager.taken == 0
        for one in stalled:
            answer = one.recv(4096)
            while b"stalled" not in answer and (more := one.recv(4096)):
                answer += more
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"stalled" in answer
        for one in stalled:
            one.close()


@pytest.mark.parametrize("drips", [False, True])
def test_half_sent_headers_hold_no_connection_for_ever(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drips: bool
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 1.0)
    monkeypatch.setattr("uvicorn.config.HTTP_PROTOCOLS", {**HTTP_PROTOCOLS})
    assert connections.configure() == []
    with running(settings_of(checkpoint), tmp_path) as service, service.client() as client:
        slow = [connection(service) for _ in range(20)]
        for number, one in enumerate(slow):
            one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: "[: 0 if number == 0 else None])
        assert client.get("/healthz").status_code == 200  # a whole request, and the connection stays
        for _ in range(6 if drips else 0):
            slow[-1].sendall(b"x")
            time.sleep(0.1)
        for one in slow:
            answer = one.recv(4096)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert answer.endswith(connections.TOLD)
            assert one.recv(1) == b""
            one.close()
        assert client.get("/healthz").status_code == 200


def test_headers_have_time_in_each_request_of_a_connection(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 1.0)
    monkeypatch.setattr("uvicorn.config.HTTP_PROTOCOLS", {**HTTP_PROTOCOLS})
    connections.configure()
    with running(settings_of(checkpoint), tmp_path) as service, connection(service) as one:
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        for _ in range(3):
            one.sendall(request)
            answer = one.recv(4096)
            while not answer.endswith(b"}"):
                answer += one.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200 ")
            time.sleep(0.5)
        one.sendall(request[:20])
        assert one.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_a_slow_upload_may_go_on_while_it_has_the_least_speed(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "GRACE_SECONDS", 0.5)
    voice = sung(1.0)

    def slowly() -> Iterator[bytes]:
        parts = HEAD_OF_A_PART + voice + b"\r\n--x--\r\n"
        for start in range(0, len(parts), len(parts) // 12):
            yield parts[start : start + len(parts) // 12]
            time.sleep(0.1)

    settings = settings_of(checkpoint, min_upload_rate=len(voice) / 4)
    with running(settings, tmp_path) as service, service.client() as client:
        sound(client.post(POST, content=slowly(), headers=MULTIPART))


def test_what_is_too_large_is_told_so_whatever_else_is_wrong_with_it(checkpoint: str, tmp_path: Path) -> None:
    with (
        running(settings_of(checkpoint, max_bytes=300_000), tmp_path) as service,
        service.client() as client,
    ):

        def chunks(first: bytes, size: int) -> Iterator[bytes]:
            yield first
            for _ in range(size // 50_000):
                yield bytes(50_000)
            yield b"\r\n--x--\r\n"

        for first in (HEAD_OF_A_PART, b"no multipart at all"):
            answer = client.post(POST, content=chunks(first, 400_000), headers=MULTIPART)
            assert "300,000 bytes" in problem(answer, 413)
        answer = client.post(POST, content=chunks(b"no multipart at all", 100_000), headers=MULTIPART)
        assert problem(answer, 400)
        assert service.manager.taken == 0


def test_a_client_that_waits_and_goes_ends_its_job_unless_it_asked_for_one(
    checkpoint: str, tmp_path: Path
) -> None:
    SlowWorkers.gate.clear()
    with running(settings_of(checkpoint), tmp_path, SlowWorkers) as service, service.client() as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post(POST, files={"vocals": ("voice.flac", sung(1.0))}, timeout=1)
        until = time.monotonic() + 20
        while (service.manager.jobs or list(tmp_path.iterdir())) and time.monotonic() < until:
            time.sleep(0.05)
        assert not service.manager.jobs
        assert not list(tmp_path.iterdir())
        assert service.manager.taken == 0
        with service.client() as other:
            job = order(other, sung(1.0), ASYNC).json()
        SlowWorkers.gate.set()
        assert finished(client, job)["state"] == "succeeded"


def test_head_answers_as_get_without_a_body(client: httpx.Client, service: Service) -> None:
    job = finished(client, order(client, sung(1.0), ASYNC).json())
    results = [job["links"][kind][0] for kind in ("audio", "mix", "stream")]
    for path in (
        "/",
        "/healthz",
        "/readyz",
        "/openapi.json",
        job["links"]["self"],
        job["links"]["vocals"],
        *results,
    ):
        got, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
        if path in (
            job["links"]["vocals"],
            *results,
        ):  # the others count seconds, and the page is compressed anew
            assert head.headers["content-length"] == got.headers["content-length"]
    assert client.head(job["links"]["events"]).headers["content-type"].startswith("text/event-stream")
    assert client.head("/nowhere").status_code == 404
    assert client.head(f"{POST}/{'0' * 32}").status_code == 404
    assert client.head(POST).status_code == 405


def test_events_stay_alive_while_nothing_happens(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "KEEP_ALIVE_SECONDS", 0.2)
    SlowWorkers.gate.clear()
    with running(settings_of(checkpoint), tmp_path, SlowWorkers) as service, service.client() as client:
        job = order(client, sung(1.0), ASYNC).json()
        with client.stream("GET", job["links"]["events"]) as answer:
            assert answer.headers["cache-control"] == "no-store"
            lines = answer.iter_lines()
            while next(lines) != ": ping":
                pass
            SlowWorkers.gate.set()
            data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        assert json.loads(data[-1])["state"] == "succeeded"


def test_a_recording_that_is_sent_as_text_is_told_how_to_be_sent(client: httpx.Client) -> None:
    for fields in ({"vocals": "voice.wav"}, {"vocals": ""}):
        said = problem(client.post(POST, data=fields), 422)
        assert "recording" in said
        assert "UploadFile" not in said
    assert "send the recording as a file" in problem(client.post(POST, data={"vocals": "voice.wav"}), 422)


def test_sounds_are_counted_and_limited(checkpoint: str, tmp_path: Path) -> None:
    settings = settings_of(checkpoint, download_limit="3/minute", max_listeners=2)
    SlowWorkers.gate.set()
    with running(settings, tmp_path, SlowWorkers) as service, service.client() as client:
        job = finished(client, order(client, sung(1.0), ASYNC).json())
        mix, audio, stream = (job["links"][kind][0] for kind in ("mix", "audio", "stream"))
        assert [client.get(one).status_code for one in (mix, audio, stream)] == [200] * 3
        refused = client.get(mix)
        assert "3 per 1 minute" in problem(refused, 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert service.metrics.sounds == ["mix", "audio", "stream"]
        SlowWorkers.gate.clear()
        job = order(client, sung(1.0), ASYNC).json()
        with client.stream("GET", job["links"]["events"]) as answer:
            lines = answer.iter_lines()
            next(lines)
            assert "at once" in problem(
                client.get(job["links"]["events"]), 429
            )  # half of two is one client's
        SlowWorkers.gate.set()
        finished(client, job)
        assert client.get(job["links"]["events"]).status_code == 200


def test_a_clients_address_is_what_a_trusted_proxy_says(checkpoint: str, tmp_path: Path) -> None:
    settings = settings_of(checkpoint, rate_limit="1/minute", trusted_proxies="127.0.0.1, 10.0.0.0/8")
    with running(settings, tmp_path) as service, service.client() as client:

        def ask(forwarded: str) -> int:
            return order(client, b"no audio", {"X-Forwarded-For": forwarded}).status_code

        assert [ask("203.0.113.1"), ask("203.0.113.2"), ask("203.0.113.1")] == [422, 422, 429]
        assert (
            ask("198.51.100.7, 203.0.113.2, 10.1.2.3") == 429
        )  # what a client says of itself counts for nothing
        assert [ask("2001:db8::1"), ask("2001:db8::2"), ask("2001:db8:0:1::1")] == [422, 429, 422]
    with pytest.raises(ValueError, match="nowhere"):
        Settings(trusted_proxies="nowhere")


def test_the_page_is_compressed_and_kept(client: httpx.Client) -> None:
    page = client.get("/", headers={"Accept-Encoding": "gzip"})
    assert page.headers["content-encoding"] == "gzip"
    assert page.headers["cache-control"] == "no-cache"
    script = page.text.split('script type="module" src="')[1].split('"')[0]
    kept = client.get(f"/{script}", headers={"Accept-Encoding": "gzip"})
    assert kept.headers["content-encoding"] == "gzip"
    assert "immutable" in kept.headers["cache-control"]
    assert int(kept.headers["content-length"]) < len(kept.content) / 2
    again = client.get(f"/{script}", headers={"If-None-Match": kept.headers["etag"]})
    assert again.status_code == 304
    sibling = client.get(f"/{script.rpartition('/')[0]}/vendor/wavesurfer.js")
    assert sibling.status_code == 200
    assert "max-age=3600" in client.get("/studio/studio.js").headers["cache-control"]
