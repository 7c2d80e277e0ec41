"""Why a song could not be fetched, in few words: yt-dlp's errors told apart, and which may pass by themselves."""

import email.utils
import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from typing import Any, Literal

Reason = Literal[
    "not found",
    "too long",
    "playlist",
    "live",
    "needs cookies",
    "bot check",
    "forbidden",
    "blocked in this country",
    "no audio",
    "cut off",
    "too many requests",
    "timed out",
    "no connection",
    "server error",
    "failed",
]
PASSING: tuple[Reason, ...] = ("too many requests", "timed out", "no connection", "server error", "cut off")
"""What may be gone in minutes: the same run tries again."""

MOST_TRIES: dict[Reason, int] = {"forbidden": 2, "cut off": 3}
"""Where more help nothing. A 403 is often gone when the page is asked for again, and never later."""

REFUSING: tuple[Reason, ...] = ("too many requests", "bot check", "forbidden")
"""A site that wants no more requests from here, whatever the song."""

UNREACHED: tuple[Reason, ...] = ("timed out", "no connection", "server error")
"""A site, or the network, that is away."""

LATER: tuple[Reason, ...] = (*PASSING, "bot check", "forbidden")
"""What another run tries again without being asked to: nothing is wrong with the song."""

RATE_LIMIT_SECONDS = 600.0
"""To wait where YouTube limits a session; it says "for up to an hour"."""

RATE_WORDS = (
    *("rate-limited", "rate limited", "rate limit", "too many requests", "http error 429"),
    *("content isn't available, try again later", "content isn’t available, try again later"),
    *("wait a few minutes", "quota exceeded", "slow down"),
)
BOT_WORDS = (
    *("not a bot", "captcha", "unusual traffic", "are you a robot", "automated queries"),
    "ip is likely being blocked",
)
LIVE_WORDS = (
    "premieres in",
    "premiere will begin",
    "live event will begin",
    "live event has",
    "will begin in",
    "live stream recording",
)
COUNTRY_WORDS = (
    *("in your country", "in this country", "certain countries", "geo-restricted", "geo restricted"),
    "from your location",
    "in your location",
    "geo restrict",
    "in your region",
)
LOGIN_WORDS = (
    *(
        "sign in",
        "log in",
        "login",
        "cookies",
        "private video",
        "video is private",
        "members-only",
        "members only",
    ),
    *("join this channel", "age-restricted", "confirm your age", "premium members", "inappropriate for some"),
    *("content warning", "inappropriate or offensive", "age restricted"),
    *("channel's members", "channel’s members"),
    *("requires payment", "purchase", "registered users", "granted access"),
)
PASSING_WORDS = (
    *("try again later", "page needs to be reloaded", "failed to extract any player response", "temporarily"),
    *("something went wrong", "internal error", "check back later", "incomplete data received"),
    *("http error 400", "player responses from"),  # of YouTube's own interface: another request is answered
)
NETWORK_WORDS = (
    *("connection reset", "connection aborted", "connection refused", "remote end closed", "name resolution"),
    *(
        "failed to resolve",
        "name or service not known",
        "max retries exceeded",
        "giving up after",
        "eof occurred",
    ),
    *(
        "incompleteread",
        "incomplete read",
        "unable to connect",
        "tunnel connection failed",
        "network is unreachable",
    ),
    *("no route to host", "broken pipe", "urlopen error"),
)
CUT_WORDS = ("downloaded file is empty", "http error 416", "unable to continue", "fragment")
FORMAT_WORDS = (
    *("requested format", "only images are available", "no video formats", "nsig extraction"),
    *(
        "not available on this app",
        "challenge solving failed",
        "signature solving",
        "po token",
        "player n function",
    ),
)
NO_AUDIO_WORDS = ("unsupported url", *FORMAT_WORDS, "drm", "no media", "not a valid url", "any data")
GONE_WORDS = (
    *("unavailable", "not available", "isn't available", "isn’t available", "removed", "does not exist"),
    *("no longer", "terminated", "404"),
)


DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


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
    text = re.sub(r"^\[[^]]+\] \S+: ", "", message).lower()  # without the site's name and the video's id
    known = f"{source}: {message}"
    for cause in chain:
        if isinstance(cause, HTTPError):
            return _explained_status(cause.status, cause.response.get_header("Retry-After"), known)
        if isinstance(cause, GeoRestrictedError):
            return DownloadError(f"{known}; use a proxy", "blocked in this country")
        if isinstance(cause, UnsupportedError):
            return DownloadError(f"{known}; give the address of a song", "no audio")
        if isinstance(cause, TransportError) and not isinstance(cause, CertificateVerifyError):
            slow = "timed out" in text or isinstance(cause.__cause__, TimeoutError)
            return DownloadError(f"{known}; check the network", "timed out" if slow else "no connection")
    return _explained_words(text, known)


def disk_fault(error: BaseException) -> str:
    """What is wrong with this machine's disk, where yt-dlp's error comes from there: no fault of the song's; else ""."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in DISK_ERRORS:
            return os.strerror(cause.errno).lower()
    number = re.search(r"\[errno (\d+)\]", str(error).lower())
    return os.strerror(int(number[1])).lower() if number and int(number[1]) in DISK_ERRORS else ""


def _explained_words(text: str, known: str) -> DownloadError:
    """By the words of the message alone, in lower case."""

    def says(words: tuple[str, ...]) -> bool:
        return any(word in text for word in words)

    if "got error:" in text or (says(NETWORK_WORDS) and "certificate" not in text):  # yt-dlp keeps no cause
        return DownloadError(
            f"{known}; check the network", "timed out" if "timed out" in text else "no connection"
        )
    if "timed out" in text:
        return DownloadError(f"{known}; check the network", "timed out")
    if status := re.search(r"http error (4(?!00|16)\d\d|5\d\d)", text):  # its text alone came through
        return _explained_status(int(status[1]), "", known)
    if says(CUT_WORDS):
        return DownloadError(known, "cut off")
    if says(RATE_WORDS):
        return DownloadError(
            f"{known}; fetch fewer a minute, or later", "too many requests", retry_after=RATE_LIMIT_SECONDS
        )
    if says(BOT_WORDS):
        return DownloadError(
            f"{known}; wait some hours, or give a cookies file of a logged-in browser, or a proxy",
            "bot check",
        )
    if says(LIVE_WORDS):
        return DownloadError(f"{known}; give a recording", "live")
    if says(COUNTRY_WORDS):
        return DownloadError(f"{known}; use a proxy", "blocked in this country")
    if says(LOGIN_WORDS):
        return DownloadError(f"{known}; give a cookies file of a logged-in browser", "needs cookies")
    if says(PASSING_WORDS):
        return DownloadError(known, "server error")
    if says(NO_AUDIO_WORDS):
        return DownloadError(f"{known}{_of_formats() if says(FORMAT_WORDS) else ''}", "no audio")
    return DownloadError(known, "not found" if says(GONE_WORDS) else "failed")


def _of_formats() -> str:
    """What to do where yt-dlp finds no format: most often YouTube's JavaScript could not be run."""
    if shutil.which("deno"):
        return "; update yt-dlp: YouTube's pages may have changed"
    return "; install deno (https://deno.com) on this machine: without it yt-dlp cannot open most of YouTube's formats"


def _explained_status(status: int, retry_after: str | None, known: str) -> DownloadError:
    """By an HTTP status, and what the server says of when to come again."""
    wait = _retry_after(retry_after)
    if status == 429:
        asked = f"; it asks to wait {wait:.0f} s" if wait else ""
        return DownloadError(
            f"{known}{asked}; fetch fewer a minute, or later", "too many requests", retry_after=wait
        )
    if status in (404, 410):
        return DownloadError(f"{known}; check the address", "not found")
    if status == 403:
        return DownloadError(f"{known}; give a cookies file of a logged-in browser, or a proxy", "forbidden")
    if status in (401, 407):
        return DownloadError(
            f"{known}; give a cookies file of a logged-in browser, or a proxy", "needs cookies"
        )
    if status == 451:
        return DownloadError(f"{known}; use a proxy", "blocked in this country")
    if status == 408 or status >= 500:
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
