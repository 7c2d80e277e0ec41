"""What an upload may take: bytes, time, and no less than a speed.

A client that stalls takes nothing but its connection: the recording's parts are on the disk, a slot is taken when all is there.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from jobs.serving.problems import ProblemError
from jobs.serving.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

GRACE_SECONDS = 10.0
"""Before the least speed counts: a connection may be slow to start."""


class Upload:
    """`receive` of one request, within limits: raises a 413 or a 408 beyond them. What comes later is not limited."""

    def __init__(self, receive: Receive, settings: Settings):
        self.next, self.settings = receive, settings
        self.began = time.monotonic()
        self.received = 0
        self.complete = False

    async def receive(self) -> Message:
        if self.complete:
            return await self.next()
        until = self.began + min(
            self.settings.max_upload_seconds,
            min(GRACE_SECONDS, self.settings.max_upload_seconds)
            + self.received / self.settings.min_upload_rate,
        )
        try:
            async with asyncio.timeout(until - time.monotonic()):
                message = await self.next()
        except TimeoutError:
            raise self._too_slow() from None
        self.received += len(message.get("body", b""))
        if self.received > self.settings.max_bytes:
            raise too_large(self.settings)
        self.complete = not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Read what is left, and forget it: so that what is too large is told so, whatever else is wrong with it."""
        while not self.complete:
            await self.receive()

    def _too_slow(self) -> ProblemError:
        seconds = time.monotonic() - self.began
        if seconds >= self.settings.max_upload_seconds - 0.1:
            return ProblemError(408, f"the upload was not there after {self.settings.max_upload_seconds:g} s")
        return ProblemError(
            408,
            f"the upload stalled: {self.received:,} bytes in {seconds:.0f} s, expected {self.settings.min_upload_rate:,.0f} "
            "a second; send a compressed format such as MP3",
        )


def check_length(headers: dict[str, str], settings: Settings) -> None:
    """Raises the 413 of an upload that says itself that it is too large."""
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > settings.max_bytes:
        raise too_large(settings)


def too_large(settings: Settings) -> ProblemError:
    return ProblemError(
        413, f"the upload is larger than {settings.max_bytes:,} bytes; send a compressed format such as MP3"
    )
