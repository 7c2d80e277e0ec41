"""Who may ask what, and how the service is set up."""

import socket
from pathlib import Path

import httpx
import pytest

from jobs.serving.job import Edit, region_of
from jobs.serving.settings import Settings
from samuel.config import FRAME_SAMPLES
from tests.jobs.local_service import running
from tests.jobs.serving.asking import ASYNC, POST, finished, order, problem, settings_of, sound, sung


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
    assert region_of(Edit("", 0, 1.0, 1.0001), samples, samples).frames == (21, 22)
    assert region_of(Edit("", 0, 0.0, 1e6), samples, samples).frames == (0, 100)


def test_the_port_is_closed_after_the_service(checkpoint: str, tmp_path: Path) -> None:
    with running(settings_of(checkpoint), tmp_path) as service:
        host, port = service.address.removeprefix("http://").split(":")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host, int(port)), timeout=2)
