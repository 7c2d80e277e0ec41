"""Fetch a song's compressed audio with yt-dlp, as it is: no re-encoding, no ffmpeg.

A "query" is searched for and the first candidate that passes the filters is taken; a "url" is fetched directly.
The result lies in the audio store, the folder `<popdb>/audio`, as `<song_id>.<extension>`: what is there is never
fetched again. Work goes on in a temporary local folder, so a partial file is never visible in the store, and a
try that follows a broken one resumes its part.

Passing faults (429, 5xx, time-outs, broken connections, files that are cut off) are tried again with growing pauses,
never sooner than the server's Retry-After; a 403 is tried once more; all else fails at once. `wait_turn` is called before each batch of requests (a search, the
look-up of one candidate, the fetching of one file): a job shares one
`samuel.catalogue.rate_limit.RateLimiter` over a cluster through it. `hold` is called with the seconds that a site asks not to be
asked for, so that other songs wait, too.
YouTube needs a JavaScript runtime (deno) on the machine for some formats; yt-dlp's documentation says how.
"""

import io
import itertools
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tenacity
from upath import UPath

from samuel import storage
from samuel.audio import AudioError, missing_part, probe
from samuel.catalogue.download_errors import (
    MOST_TRIES,
    PASSING,
    REFUSING,
    DownloadError,
    Reason,
    disk_fault,
    explained,
)
from samuel.catalogue.songs import Song

if TYPE_CHECKING:
    import yt_dlp

log = logging.getLogger(__name__)

BYTES_PER_SECOND = 1_536_000  # stereo at 192 kHz in 32 bit: more bytes than this are more time than allowed
LONGEST_PAUSE_SECONDS = 600.0
Number = int | float
REDIRECTIONS = 5
LEAST_SHARE = 0.9  # of the length that a song's page says: less is cut off, or a preview
LEAST_MISSING_SECONDS = 5.0


@dataclass(frozen=True)
class DownloadOptions:
    """How to search, what to refuse, how patient to be.

    `search` is yt-dlp's prefix of a search; `candidates` of its results are looked at. `playlists` takes the first
    entry of a playlist that passes instead of refusing it. `tries` counts the first one; pauses between them grow
    from `first_pause_seconds`. A connection silent for `silence_seconds` is given up, a try after `try_seconds`.
    `cookies` is the path or s3:// URL of a Netscape cookies file, which is never written to.
    """

    search: str = "ytsearch"
    candidates: int = 5
    longest_seconds: Number = 15 * 60
    playlists: bool = False
    tries: int = 5
    first_pause_seconds: Number = 5.0
    silence_seconds: Number = 20.0
    try_seconds: Number = 600.0
    cookies: str | None = None
    proxy: str | None = None


@dataclass(frozen=True)
class Fetched:
    """Where a song's audio lies, and how many tries that took (0: it was there already)."""

    path: UPath
    tries: int


def download(
    song: Song,
    store: storage.Location,
    options: DownloadOptions | None = None,
    wait_turn: Callable[[], None] = lambda: None,
    hold: Callable[[float], None] = lambda _: None,
) -> Fetched:
    """Fetch a song of kind "query" or "url" into the store, unless it is there.

    Raises DownloadError for what concerns this song, StorageError for the store or the cookies file.
    """
    if song.kind not in ("query", "url"):
        raise ValueError(
            f'expected a song of kind "query" or "url", got {song.kind!r}: its audio is at {song.source}'
        )
    if there := stored(song, store):
        return Fetched(there, 0)
    options = options or DownloadOptions()
    forbidden: set[str] = set()
    told = tenacity.before_sleep_log(log, logging.INFO)

    def before_sleep(state: tenacity.RetryCallState) -> None:
        told(state)
        if _error(state).reason == "too many requests":
            hold(state.next_action.sleep if state.next_action else 0.0)

    tries = tenacity.Retrying(
        retry=_is_tried_again,
        wait=_Pauses(options.first_pause_seconds),
        stop=tenacity.stop_any(_AskedForTooMuch(), tenacity.stop_after_attempt(options.tries)),
        before_sleep=before_sleep,
        reraise=True,
    )
    with tempfile.TemporaryDirectory(prefix="samuel-download-") as folder:
        try:
            file = tries(_fetch, song, Path(folder), options, wait_turn, forbidden)
        except DownloadError as error:
            made = int(tries.statistics["attempt_number"])
            raise DownloadError(str(error.args[0]), error.reason, made, error.retry_after) from error
        target = storage.join(store, song.song_id + file.suffix)
        storage.store_file(file, target)
    return Fetched(target, int(tries.statistics["attempt_number"]))


def stored(song: Song, store: storage.Location) -> UPath | None:
    """Where the song's audio lies in the store, or None."""
    return next(iter(storage.find_prefixed(store, f"{song.song_id}.")), None)


class _Pauses:
    """Growing pauses with some chance in them, never shorter than the server asked for."""

    def __init__(self, first: Number):
        self._growing = tenacity.wait_random_exponential(
            multiplier=first, max=LONGEST_PAUSE_SECONDS, min=first
        )

    def __call__(self, state: tenacity.RetryCallState) -> float:
        return max(self._growing(state), _asked(state))


def _error(state: tenacity.RetryCallState) -> DownloadError:
    """Why a try failed; a nameless error where it did for no reason of a download."""
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, DownloadError) else DownloadError("")


def _is_tried_again(state: tenacity.RetryCallState) -> bool:
    reason = _error(state).reason
    return (reason in PASSING or reason in MOST_TRIES) and state.attempt_number < MOST_TRIES.get(
        reason, 1 << 30
    )


def _asked(state: tenacity.RetryCallState) -> float:
    return _error(state).retry_after


class _AskedForTooMuch(tenacity.stop.stop_base):
    """Give up when the server asks for a longer pause than anyone should wait for a song."""

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        return _asked(state) > LONGEST_PAUSE_SECONDS


def _fetch(
    song: Song,
    folder: Path,
    options: DownloadOptions,
    wait_turn: Callable[[], None],
    forbidden: set[str],
) -> Path:
    """One try: the fetched file in `folder`. `forbidden`: addresses that were refused by an earlier try."""
    from yt_dlp.utils import YoutubeDLError

    for file in _fetched(folder):  # of an earlier try, cut off; a part is resumed
        file.unlink()
    try:
        with _client(folder, options) as client:
            info = _found(client, song, options, wait_turn, forbidden)
            wait_turn()
            client.process_ie_result(info, download=True)
    except YoutubeDLError as error:
        if full := disk_fault(error):
            raise storage.StorageError(f"cannot write a download to {folder}: {full}; make room") from error
        raise explained(error, song.source) from error
    files = _fetched(folder)
    if len(files) != 1 or files[0].stat().st_size == 0:
        raise DownloadError(f"{song.source} gave no file, or one too big for {_minutes(options)}", "no audio")
    _check(files[0], song.source, info.get("duration"), options)
    return files[0]


def _fetched(folder: Path) -> list[Path]:
    return [file for file in folder.glob("audio.*") if file.suffix not in (".part", ".ytdl")]


def _check(file: Path, source: str, page_seconds: Any, options: DownloadOptions) -> None:
    """Raise DownloadError for a file that is no audio, is cut off, or lasts too long."""
    try:
        seconds = probe(file).seconds
        missing = missing_part(file)
    except AudioError as error:
        reason: Reason = "cut off" if str(error).startswith("cut off") else "no audio"
        raise DownloadError(f"what {source} gave is no audio: {error}", reason) from error
    if missing:
        raise DownloadError(f"what {source} gave is not whole: {missing}", "cut off")
    if seconds is None:
        return
    if seconds > options.longest_seconds:
        raise DownloadError(
            f"{source} lasts {seconds / 60:.0f} minutes, longer than {_minutes(options)}", "too long"
        )
    if page_seconds and seconds < LEAST_SHARE * page_seconds - LEAST_MISSING_SECONDS:
        raise DownloadError(
            f"{source} gave {seconds:.0f} s of the {page_seconds:.0f} s that its page says: cut off, or a preview",
            "cut off",
        )


def _client(folder: Path, options: DownloadOptions) -> "yt_dlp.YoutubeDL":
    """yt-dlp, quiet, without files of its own outside `folder`, leaving the retries to us."""
    import yt_dlp

    end = time.monotonic() + options.try_seconds
    most = options.longest_seconds * BYTES_PER_SECOND

    def watch(progress: dict[str, Any]) -> None:
        if time.monotonic() > end:
            raise DownloadError(f"no end after {options.try_seconds:.0f} s of fetching", "timed out")
        if progress.get("downloaded_bytes", 0) > most:
            raise DownloadError(f"more bytes than {_minutes(options)} of audio can have", "too long")

    parameters = {
        "format": "bestaudio/best",
        "paths": {"home": str(folder)},
        "outtmpl": {"default": "audio.%(ext)s"},
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "logger": _Log(),
        "noplaylist": True,
        "fixup": "never",
        "updatetime": False,
        "max_filesize": most,
        "socket_timeout": options.silence_seconds,
        "retries": 0,
        "extractor_retries": 0,
        "fragment_retries": 3,
        "skip_unavailable_fragments": False,
        "retry_sleep_functions": {"fragment": lambda n: min(options.first_pause_seconds * 2**n, 30)},
        "progress_hooks": [watch],
        "proxy": options.proxy,
        "cookiefile": io.StringIO(storage.read_bytes(options.cookies).decode()) if options.cookies else None,
    }
    return yt_dlp.YoutubeDL(parameters)


def _found(
    client: "yt_dlp.YoutubeDL",
    song: Song,
    options: DownloadOptions,
    wait_turn: Callable[[], None],
    forbidden: set[str],
) -> dict[str, Any]:
    """The look-up of the song's recording: for a query, of the first candidate that passes the filters.

    A site that refuses one candidate would refuse the next: that is no reason to ask for it.
    """
    from yt_dlp.utils import YoutubeDLError

    if song.kind == "url":
        wait_turn()
        info = _followed(client, {"_type": "url", "url": song.source})
        if info.get("_type", "video") == "video":
            return _passed(client, info, options)
        if not options.playlists:
            raise DownloadError(f"{song.source} is a playlist; give the addresses of its songs", "playlist")
    else:
        wait_turn()
        query = " ".join(song.source.split())
        info = client.extract_info(
            f"{options.search}{options.candidates}:{query}", download=False, process=False
        )
    refused: list[DownloadError] = []
    for entry in itertools.islice(info.get("entries") or [], options.candidates):
        try:
            _filter(entry, options)
            wait_turn()
            return _passed(client, _followed(client, entry), options)
        except DownloadError as error:
            refused.append(error)
        except YoutubeDLError as error:
            if disk_fault(error):
                raise
            refusal = explained(error, song.source)
            seen = str(entry.get("url") or entry.get("id")) in forbidden
            if refusal.reason in PASSING or (refusal.reason in REFUSING and not seen):
                forbidden.add(str(entry.get("url") or entry.get("id")))
                raise refusal from error
            refused.append(refusal)
    if refused:
        first = refused[0]
        raise DownloadError(
            f"none of {len(refused)} candidates for {song.source!r} passes; the first: {first.args[0]}",
            first.reason,
        )
    raise DownloadError(f"nothing found for {song.source!r}; check the spelling", "not found")


def _followed(client: "yt_dlp.YoutubeDL", info: dict[str, Any]) -> dict[str, Any]:
    """The look-up behind a chain of addresses, without looking into the entries of a playlist."""
    for _ in range(REDIRECTIONS + 1):
        if info.get("_type", "video") not in ("url", "url_transparent"):
            return info
        found = client.extract_info(info["url"], download=False, ie_key=info.get("ie_key"), process=False)
        if found is None:
            break
        info = found
    raise DownloadError(f"{info['url']} leads on and on, or nowhere", "not found")


def _passed(client: "yt_dlp.YoutubeDL", info: dict[str, Any], options: DownloadOptions) -> dict[str, Any]:
    """The look-up with its formats, when it passes the filters."""
    if info.get("_type", "video") != "video":
        raise DownloadError(f"{info.get('webpage_url') or info.get('url')} is a playlist", "playlist")
    _filter(info, options)
    return client.process_ie_result(info, download=False)


def _filter(info: dict[str, Any], options: DownloadOptions) -> None:
    """Raise DownloadError for what is known to be live or too long; the length may be unknown until it is fetched."""
    name = info.get("webpage_url") or info.get("url") or info.get("title") or "it"
    if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming", "post_live"):
        raise DownloadError(f"{name} is a live stream; give a recording", "live")
    seconds = info.get("duration")
    if seconds and seconds > options.longest_seconds:
        raise DownloadError(
            f"{name} lasts {seconds / 60:.0f} minutes, longer than {_minutes(options)}", "too long"
        )


def _minutes(options: DownloadOptions) -> str:
    return f"the {options.longest_seconds / 60:g} minutes allowed"


class _Log:
    """yt-dlp's messages go to our log, as details: what matters is in the exceptions."""

    def debug(self, message: str) -> None:
        log.debug("%s", message)

    info = warning = error = debug
