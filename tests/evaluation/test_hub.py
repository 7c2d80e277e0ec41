"""Whether the hub answers, with a small server in its place."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from samuel.evaluation.hub import answers, only_here


class Denied(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_hub_that_denies_answers_and_one_that_is_not_there_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = HTTPServer(("127.0.0.1", 0), Denied)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    assert answers("a/b")
    assert not only_here("a/b")
    assert only_here(str(tmp_path))
    server.shutdown()
    server.server_close()
    assert not answers("a/b")
    assert only_here("a/b")
