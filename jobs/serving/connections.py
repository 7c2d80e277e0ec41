"""How long a connection may take to say what it wants: half-sent headers hold no connection for ever.

uvicorn counts time only between requests. In Serve's proxies, which call `configure`, and in anything else that it is
called in, a connection whose request line and headers are not there in time gets a 408, and ends.
"""

import asyncio
from typing import Any

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 20.0
"""From a connection's beginning, or a request's first byte, to the end of its headers."""

TOLD = b"the headers of the request were not there in time"
ANSWER = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(TOLD), TOLD)
)


class TimedHttp(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with a time for headers."""

    waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        self._wait_no_more()
        super().on_headers_complete()

    def _wait(self) -> None:
        if self.waiting is None:
            self.waiting = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _wait_no_more(self) -> None:
        if self.waiting is not None:
            self.waiting.cancel()
            self.waiting = None

    def _give_up(self) -> None:
        self.waiting = None
        if not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:  # else an answer is on its way
                self.transport.write(ANSWER)
            self.transport.close()


def configure() -> list[Any]:
    """What Serve calls in each proxy before it listens (`RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`): no middleware."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{TimedHttp.__name__}"
    return []
