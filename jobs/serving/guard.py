"""What stands before the routes, as plain ASGI: it answers before a body is read.

Tokens, the rate limit, a place at the desk, the size and time of an upload; security headers on every answer.
"""

import asyncio
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from jobs.serving.desk import Desk
from jobs.serving.messages import ACCOMPANIMENTS
from jobs.serving.problems import ProblemError
from jobs.serving.settings import Settings, digest, token_digests

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "X-Frame-Options": "DENY",
}


def content_security_policy(nonce: str) -> str:
    """Only our own files; style elements, which the waveforms bring, by nonce."""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class Guard:
    """Wraps the API. In a request's `state`: `owner`, `nonce`, and for a new accompaniment its `place`."""

    def __init__(self, app: App, desk: Desk, settings: Settings):
        self.app, self.desk, self.settings = app, desk, settings
        self.tokens = token_digests()
        self.rate = parse(settings.rate_limit) if settings.rate_limit else None
        self.limiter = MovingWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["nonce"] = secrets.token_urlsafe(16)
        send = self._with_headers(send, state["nonce"])
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        place = None
        try:
            if scope["path"].startswith("/v1/"):
                state["owner"] = self._owner(headers)
            if scope["path"] == ACCOMPANIMENTS and scope["method"] == "POST":
                self._spend(state["owner"] or (scope.get("client") or ("unknown",))[0])
                self._check_length(headers)
                place = state["place"] = self.desk.place()
                receive = self._limited(receive)
            await self.app(scope, receive, send)
        except ProblemError as problem:
            await problem.response()(scope, receive, send)
        finally:
            if place and not place.of_a_job:
                place.give_back()

    def _owner(self, headers: dict[str, str]) -> str:
        """Digest of the request's token; empty where none is needed. Raises a 401."""
        if not self.tokens:
            return ""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = digest(token.strip())
        if scheme.lower() == "bearer" and any(hmac.compare_digest(given, known) for known in self.tokens):
            return given
        raise ProblemError(
            401, "this service needs a token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
        )

    def _spend(self, client: str) -> None:
        """Count one accompaniment of a client. Raises a 429 beyond its rate."""
        if self.rate and not self.limiter.hit(self.rate, client):
            again = self.limiter.get_window_stats(self.rate, client).reset_time
            wait = max(1, round(again - time.time()))
            raise ProblemError(
                429, f"more than {self.rate}; try again in {wait} s", {"Retry-After": str(wait)}
            )

    def _check_length(self, headers: dict[str, str]) -> None:
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.settings.max_bytes:
            raise self._too_large()

    def _too_large(self) -> ProblemError:
        return ProblemError(
            413,
            f"the upload is larger than {self.settings.max_bytes:,} bytes; send a compressed format such as MP3",
        )

    def _limited(self, receive: Receive) -> Receive:
        """Reading a body ends with a 413 or a 408 beyond its limits. What comes after the body is not limited."""
        received, until, complete = 0, time.monotonic() + self.settings.max_upload_seconds, False

        async def limited() -> Message:
            nonlocal received, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout(until - time.monotonic()):
                    message = await receive()
            except TimeoutError:
                raise ProblemError(
                    408, f"the upload was not there after {self.settings.max_upload_seconds:g} s"
                ) from None
            received += len(message.get("body", b""))
            if received > self.settings.max_bytes:
                raise self._too_large()
            complete = not message.get("more_body", False)
            return message

        return limited

    def _with_headers(self, send: Send, nonce: str) -> Send:
        extra = HEADERS | {"Content-Security-Policy": content_security_policy(nonce)}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", []))
                named = {name.lower() for name, _ in given}
                given += [
                    (name.lower().encode(), value.encode())
                    for name, value in extra.items()
                    if name.lower().encode() not in named
                ]
                message = {**message, "headers": given}
            await send(message)

        return sending
