"""Why a song could not be fetched, in few words: yt-dlp's errors told apart, and which may pass by themselves."""

import email.utils
import time
from collections.abc import Iterator
from typing import Any, Literal

Reason = Literal[
    "not found",
    "too long",
    "playlist",
    "live",
    "needs cookies",
    "blocked in this country",
    "no audio",
    "too many requests",
    "timed out",
    "no connection",
    "server error",
    "failed",
]
PASSING: tuple[Reason, ...] = ("too many requests", "timed out", "no connection", "server error")
LOGIN_WORDS = (
    "sign in",
    "log in",
    "login",
    "cookies",
    "private video",
    "members-only",
    "age-restricted",
    "captcha",
)
GONE_WORDS = ("unavailable", "not available", "removed", "does not exist", "no longer", "terminated", "404")
NO_AUDIO_WORDS = (
    "unsupported url",
    "no video formats",
    "requested format",
    "drm",
    "no media",
    "not a valid url",
    "any data",
)


class DownloadError(ValueError):
    """A song that could not be fetched: `reason` in a few words, `tries` made, and a message that says what to do."""

    def __init__(self, message: str, reason: Reason = "failed", tries: int = 1, retry_after: float = 0.0):
        super().__init__(message, reason, tries, retry_after)  # all of them, so that it survives pickling
        self.reason: Reason = reason
        self.tries = tries
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.tries} {'try' if self.tries == 1 else 'tries'})"


def explained(error: BaseException, source: str) -> DownloadError:
    """yt-dlp's error about `source` as one of ours, with what to do."""
    from yt_dlp.networking.exceptions import CertificateVerifyError, HTTPError, TransportError
    from yt_dlp.utils import GeoRestrictedError, UnsupportedError

    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, DownloadError):
            return cause
    message = str(error).removeprefix("ERROR: ").split(" (caused by ")[0].strip()
    text = message.lower()
    known = f"{source}: {message}"
    for cause in chain:
        if isinstance(cause, HTTPError):
            return _explained_status(cause, known)
        if isinstance(cause, GeoRestrictedError):
            return DownloadError(f"{known}; use a proxy", "blocked in this country")
        if isinstance(cause, UnsupportedError):
            return DownloadError(f"{known}; give the address of a song", "no audio")
        if isinstance(cause, TransportError) and not isinstance(cause, CertificateVerifyError):
            slow = "timed out" in text or isinstance(cause.__cause__, TimeoutError)
            return DownloadError(f"{known}; check the network", "timed out" if slow else "no connection")
    if "got error:" in text:  # the file's transfer broke; yt-dlp keeps no cause
        return DownloadError(
            f"{known}; check the network", "timed out" if "timed out" in text else "no connection"
        )
    if any(word in text for word in LOGIN_WORDS):
        return DownloadError(f"{known}; give a cookies file of a logged-in browser", "needs cookies")
    if any(word in text for word in NO_AUDIO_WORDS):
        return DownloadError(known, "no audio")
    return DownloadError(known, "not found" if any(word in text for word in GONE_WORDS) else "failed")


def _explained_status(error: Any, known: str) -> DownloadError:
    status = error.status
    if status == 429:
        wait = _retry_after(error.response.get_header("Retry-After"))
        asked = f"; it asks to wait {wait:.0f} s" if wait else ""
        return DownloadError(
            f"{known}{asked}; fetch fewer a minute, or later", "too many requests", retry_after=wait
        )
    if status in (404, 410):
        return DownloadError(f"{known}; check the address", "not found")
    if status in (401, 403, 407):
        return DownloadError(
            f"{known}; give a cookies file of a logged-in browser, or a proxy", "needs cookies"
        )
    if status == 451:
        return DownloadError(f"{known}; use a proxy", "blocked in this country")
    if status == 408 or status >= 500:
        wait = _retry_after(error.response.get_header("Retry-After"))
        return DownloadError(known, "server error", retry_after=wait)
    return DownloadError(known, "failed")


def _retry_after(header: str | None) -> float:
    """Seconds from a Retry-After header (a number or a date, RFC 9110 section 10.2.3); 0 when there is none."""
    if not header:
        return 0.0
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return 0.0


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that it was made from; yt-dlp keeps causes in attributes of its own."""
    seen: list[BaseException | None] = []
    waiting: list[Any] = [error]
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or current in seen:
            continue
        seen.append(current)
        yield current
        held = getattr(current, "exc_info", None)
        waiting += [held[1] if isinstance(held, tuple) else None, getattr(current, "cause", None)]
        waiting += [current.__cause__, current.__context__]
