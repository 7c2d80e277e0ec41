"""A web server on this machine with songs to fetch, and every way in which fetching goes wrong."""

import http.server
import io
import threading
import wave
from collections import Counter
from collections.abc import Callable

import pytest

from samuel import storage
from samuel.catalogue.download import DownloadOptions, download
from samuel.catalogue.download_errors import DownloadError
from samuel.catalogue.songs import Song, url_song

QUICK = DownloadOptions(
    search="testsearch",
    tries=3,
    first_pause_seconds=0.02,
    silence_seconds=0.5,
    try_seconds=20,
    longest_seconds=60,
)


def wav(seconds: float, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(bytes(range(256)) * int(seconds * rate * 2 / 256))
    return file.getvalue()


SONG = wav(2)
Answer = Callable[[http.server.BaseHTTPRequestHandler, int], None]


class Site:
    """A web server whose pages are functions of (request, how often it was asked before)."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: Counter[str] = Counter()
        self.seen: list[dict[str, str]] = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.split("?")[0]
                before = site.asked[path]
                site.asked[path] += 1
                site.seen.append(dict(self.headers.items()))
                site.pages.get(path, status(404))(self, before)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def song(self, path: str, answer: Answer) -> Song:
        self.pages[path] = answer
        return url_song(self.url + path)


def file(content: bytes, kind: str = "audio/wav", **headers: str) -> Answer:
    def answer(request: http.server.BaseHTTPRequestHandler, _: int) -> None:
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)

    return answer


def status(code: int, **headers: str) -> Answer:
    def answer(request: http.server.BaseHTTPRequestHandler, _: int) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def at_first(times: int, bad: Answer, good: Answer) -> Answer:
    return lambda request, before: (bad if before < times else good)(request, before)


def refused(song: Song, store: str, options: DownloadOptions = QUICK) -> DownloadError:
    with pytest.raises(DownloadError) as caught:
        download(song, store, options)
    assert storage.list_files(store).files == ()  # no partial file, ever
    return caught.value
