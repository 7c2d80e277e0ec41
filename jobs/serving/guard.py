"""What stands before the routes, as plain ASGI: it answers before a body is read.

Tokens, who the client is and how much it may ask for, the limits of an upload; HEAD; security headers on every answer.
"""

import asyncio
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from jobs.serving.job_manager import JobManager
from jobs.serving.limits import AtOnce, Rate, client_of
from jobs.serving.problems import ProblemError
from jobs.serving.schemas import ACCOMPANIMENTS, LEAD_SHEETS, RECORDINGS
from jobs.serving.settings import Settings, digest, token_digests
from jobs.serving.uploads import Message, Receive, Upload, check_length

Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

LONG_ANSWERS = re.compile(
    f"{ACCOMPANIMENTS}/[0-9a-f]{{32}}/(audio|vocals|mix|stream|events|lead-sheet|click|arrangement|midi|stems)"
)

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
    """Wraps the API. In a request's `state`: `owner`, and `nonce`."""

    def __init__(self, app: App, manager: JobManager, settings: Settings):
        self.app, self.manager, self.settings = app, manager, settings
        self.tokens = token_digests()
        self.orders, self.sounds = Rate(settings.rate_limit), Rate(settings.download_limit)
        self.uploads = AtOnce(settings.max_uploads, "uploads", share=1)
        self.answers = AtOnce(settings.max_listeners, "sounds and streams", share=0.5)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["nonce"] = secrets.token_urlsafe(16)
        answer = Answer(scope, receive, send)
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            with ExitStack() as limits:
                if scope["path"].startswith("/v1/"):
                    state["owner"] = self._owner(headers)
                client = state.get("owner") or client_of((scope.get("client") or ("unknown",))[0])
                if scope["path"] in (ACCOMPANIMENTS, RECORDINGS, LEAD_SHEETS) and scope["method"] == "POST":
                    check_length(headers, self.settings)
                    if scope["path"] == ACCOMPANIMENTS:
                        self.orders.spend(client)
                        self.manager.require_slot()
                    else:
                        self.sounds.spend(client)
                    limits.enter_context(self.uploads.one(client))
                    answer.upload = Upload(receive, self.settings)
                    receive = answer.upload.receive
                elif asked := LONG_ANSWERS.fullmatch(scope["path"]):
                    limits.enter_context(self.answers.one(client))
                    if asked[1] != "events":
                        self.sounds.spend(client)
                        self.manager.metrics.sound(asked[1])
                if scope["method"] == "HEAD":
                    await self._head({**scope, "method": "GET"}, receive, answer)
                else:
                    await self.app(scope, receive, answer)
        except ProblemError as problem:
            if not answer.begun:
                answer.upload = None
                await problem.response()(scope, receive, answer)

    async def _head(self, scope: Message, receive: Receive, send: "Answer") -> None:
        """The head of what GET answers; its work ends there."""
        begun = asyncio.Event()

        async def head_only(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                begun.set()

        work = asyncio.ensure_future(self.app(scope, receive, head_only))
        there = asyncio.ensure_future(begun.wait())
        try:
            await asyncio.wait({work, there}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            there.cancel()
            work.cancel()
            await asyncio.wait({work})
        if not begun.is_set():
            work.result()

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


class Answer:
    """`send` of one request, with security headers."""

    def __init__(self, scope: Message, receive: Receive, send: Send):
        self.scope, self.receive, self.send = scope, receive, send
        self.extra = HEADERS | {"Content-Security-Policy": content_security_policy(scope["state"]["nonce"])}
        self.upload: Upload | None = None
        """What is on its way to us. A request that makes no sense is read to its end before that is said: it may be
        too large, too."""
        self.begun = self.replaced = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] == 400 and self.upload:
                try:
                    await self.upload.drain()
                except ProblemError as problem:
                    self.upload = None
                    await problem.response()(self.scope, self.receive, self)
                    self.replaced = True
            self.begun = True
        if not self.replaced:
            await self.send(self._with_headers(message))

    def _with_headers(self, message: Message) -> Message:
        if message["type"] != "http.response.start":
            return message
        given = list(message.get("headers", []))
        named = {name.lower() for name, _ in given}
        given += [
            (name.lower().encode(), value.encode())
            for name, value in self.extra.items()
            if name.lower().encode() not in named
        ]
        return {**message, "headers": given}
