"""Songs by title: yt-dlp's own code with a search and a video site of the test's own."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yt_dlp
from yt_dlp.extractor.common import InfoExtractor, SearchInfoExtractor

from samuel import storage
from samuel.catalogue import download as downloading
from samuel.catalogue import download_errors
from samuel.catalogue.download import DownloadOptions, download
from samuel.catalogue.download_errors import DownloadError, explained
from samuel.catalogue.songs import query_song
from samuel.storage import StorageError
from tests.catalogue.download.site import QUICK, SONG, Site, at_first, file, refused, status


class _TestSearch(SearchInfoExtractor):
    """What YouTube's search is to yt-dlp: addresses with some of what is known, in order, a page at a time."""

    _SEARCH_KEY = "testsearch"
    asked: ClassVar[list[str]]
    results: ClassVar[list[dict[str, Any]]]
    given = 0

    def _real_extract(self, query: str) -> dict[str, Any]:
        self.asked.append(query)
        return super()._real_extract(query)

    def _search_results(self, query: str) -> Iterator[dict[str, Any]]:
        for result in self.results:
            type(self).given += 1
            yield self.url_result(result["url"], **{key: result[key] for key in result if key != "url"})


class _TestVideo(InfoExtractor):
    """A video page: /video/<name> says what the video is, the file is at /<name>.wav."""

    _VALID_URL = r"testvideo:(?P<address>.+)/video/(?P<id>\w+)"
    known: ClassVar[dict[str, dict[str, Any]]]

    def _real_extract(self, url: str) -> dict[str, Any]:
        address, name = self._match_valid_url(url).group("address", "id")
        self._download_webpage(f"{address}/video/{name}", name)
        audio = {
            "format_id": "audio",
            "url": f"{address}/{name}.wav",
            "ext": "wav",
            "vcodec": "none",
            "acodec": "pcm",
        }
        video = {
            "format_id": "video",
            "url": f"{address}/{name}.mp4",
            "ext": "mp4",
            "vcodec": "h264",
            "acodec": "aac",
        }
        return {"id": name, "title": name, "formats": [audio, video], **self.known.get(name, {})}


@pytest.fixture
def search(site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[..., type[_TestSearch]]:
    """Give yt-dlp the search `testsearch` with these videos in it: {name: what its page says}."""
    plain = downloading._client

    def prepare(
        videos: dict[str, dict[str, Any]], shown: dict[str, dict[str, Any]] | None = None
    ) -> type[_TestSearch]:
        class Search(_TestSearch):
            asked: ClassVar[list[str]] = []
            results: ClassVar[list[dict[str, Any]]] = [
                {"url": f"testvideo:{site.url}/video/{name}", **(shown or {}).get(name, {})}
                for name in videos
            ]

        class Video(_TestVideo):
            known = videos

        def client(folder: Path, options: DownloadOptions) -> yt_dlp.YoutubeDL:
            made = plain(folder, options)
            generic = made._ies.pop("Generic")
            for extractor in (Search(), Video(), generic):  # the generic one must stay last
                made.add_info_extractor(extractor)
            return made

        for name in videos:
            site.pages.setdefault(f"/video/{name}", file(b"<html></html>", "text/html"))
            site.pages.setdefault(f"/{name}.wav", file(SONG))
        monkeypatch.setattr(downloading, "_client", client)
        return Search

    return prepare


def test_a_query_takes_the_first_candidate_that_passes(site: Site, store: str, search: Callable) -> None:
    videos: dict[str, dict[str, Any]] = {
        "long_shown": {},
        "long": {"duration": 3600},
        "live": {"live_status": "is_live"},
        "gone": {},
        "good": {"duration": 2},
        "better": {"duration": 2},
    }
    found = search(videos, shown={"long_shown": {"duration": 999}})
    site.pages["/video/gone"] = status(404)
    song = query_song('Ça "va"?  :: 日本', "AC/DC")
    fetched = download(song, store, QUICK)
    assert found.asked == ['testsearch5:AC/DC - Ça "va"? :: 日本']
    assert fetched.path.name == f"{song.song_id}.wav"
    assert storage.read_bytes(fetched.path) == SONG
    assert site.asked == {
        "/video/long": 1,
        "/video/live": 1,
        "/video/gone": 1,
        "/video/good": 1,
        "/good.wav": 1,
    }
    assert found.given == 5  # no further pages of results than candidates


def test_no_candidate_passes(store: str, search: Callable) -> None:
    search({"a": {"duration": 3600}, "b": {"is_live": True}})
    error = refused(query_song("Some Song"), store)
    assert (error.reason, error.tries) == ("too long", 1)
    assert "none of 2 candidates" in str(error)


def test_nothing_is_found(store: str, search: Callable) -> None:
    search({})
    assert refused(query_song("Some Song"), store).reason == "not found"


def test_429_in_a_candidate_is_waited_out_not_skipped(site: Site, store: str, search: Callable) -> None:
    site.pages["/video/a"] = at_first(1, status(429), file(b"<html></html>", "text/html"))
    search({"a": {}, "b": {}})
    assert download(query_song("Some Song"), store, QUICK).tries == 2
    assert site.asked["/b.wav"] == 0


@pytest.fixture
def says(search: Callable, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Counter[str]]:
    """Candidates whose pages answer so; how often each was looked at. "": it can be had."""

    def prepare(**answers: str) -> Counter[str]:
        from yt_dlp.utils import ExtractorError

        plain, looked = _TestVideo._real_extract, Counter[str]()

        def answering(self: _TestVideo, url: str) -> dict[str, Any]:
            name = url.rsplit("/", 1)[1]
            looked[name] += 1
            if answers[name]:
                raise ExtractorError(answers[name], expected=True)
            return plain(self, url)

        search({name: {} for name in answers})
        monkeypatch.setattr(_TestVideo, "_real_extract", answering)
        return looked

    return prepare


RATE_LIMITED = (
    "Video unavailable. This content isn't available, try again later. The current session has been rate-limited by "
    "YouTube for up to an hour. It is recommended to use `-t sleep` to add a delay between video requests"
)


def test_a_rate_limit_is_waited_out_and_asks_for_no_other_candidate(
    store: str, says: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_errors, "RATE_LIMIT_SECONDS", 0.3)
    looked = says(a=RATE_LIMITED, b="")
    held: list[float] = []
    with pytest.raises(DownloadError) as caught:
        download(query_song("Some Song"), store, QUICK, hold=held.append)
    assert (caught.value.reason, caught.value.tries) == ("too many requests", 3)
    assert looked == {"a": 3}
    assert len(held) == 2
    assert min(held) >= 0.3


def test_a_bot_check_is_asked_nothing_more(store: str, says: Callable) -> None:
    looked = says(a="Sign in to confirm you’re not a bot. Use --cookies-from-browser", b="")
    error = refused(query_song("Some Song"), store)
    assert (error.reason, error.tries, looked) == ("bot check", 1, {"a": 1})
    assert "wait some hours" in str(error)


def test_what_concerns_one_candidate_leads_to_the_next(store: str, says: Callable) -> None:
    looked = says(
        a="Sign in to confirm your age. This video may be inappropriate for some users.",
        b="Premieres in 2 hours",
        c="Join this channel to get access to members-only content",
        d="",
    )
    assert download(query_song("Some Song"), store, QUICK).tries == 1
    assert looked == dict.fromkeys("abcd", 1)


def test_a_candidate_that_is_forbidden_twice_is_left(site: Site, store: str, search: Callable) -> None:
    search({"a": {}, "b": {}})
    site.pages["/video/a"] = status(403)
    assert download(query_song("Some Song"), store, QUICK).tries == 2
    assert (site.asked["/video/a"], site.asked["/b.wav"]) == (2, 1)


@pytest.mark.parametrize(
    ("message", "reason", "hint"),
    [
        (RATE_LIMITED, "too many requests", "fewer a minute"),
        ("Video unavailable. YouTube is requiring a captcha challenge before playback", "bot check", "wait"),
        ("Premieres in 2 hours", "live", "recording"),
        ("This live event will begin in 3 days.", "live", "recording"),
        ("Premiere will begin shortly", "live", "recording"),
        ("Requested format is not available. Use --list-formats", "no audio", "deno"),
        ("Only images are available for download", "no audio", "deno"),
        ("This video is DRM protected", "no audio", "DRM"),
        ("The page needs to be reloaded.", "server error", ""),
        ("Failed to extract any player response", "server error", ""),
        ("Video unavailable", "not found", ""),
        ("This video is no longer available because the account has been terminated", "not found", ""),
        (
            "Private video. Sign in if you've been granted access to this video",
            "needs cookies",
            "cookies file",
        ),
        ("This video is only available to Music Premium members", "needs cookies", "cookies file"),
        (
            "The uploader has not made this video available in your country",
            "blocked in this country",
            "proxy",
        ),
        ("Sign in to confirm your age", "needs cookies", "cookies file"),
        ("Content Warning. This video may contain content that is inappropriate", "needs cookies", "cookies file"),
        ("Video not available in this country", "blocked in this country", "proxy"),
        ("This live stream recording is not available.", "live", "recording"),
        ("unable to download video data: HTTP Error 403: Forbidden", "forbidden", "cookies file"),
        ("HTTP Error 503: Service Unavailable", "server error", ""),
        ("HTTP Error 429: Too Many Requests", "too many requests", "fewer a minute"),
        ("Unable to download API page: HTTP Error 400: Bad Request", "server error", ""),
        ("Please wait a few minutes before you try again", "too many requests", "fewer a minute"),
        ("Unable to download webpage: [Errno 104] Connection reset by peer", "no connection", "network"),
        ("Failed to resolve 'www.youtube.com' ([Errno -2] Name or service not known)", "no connection", "network"),
        ("The read operation timed out", "timed out", "network"),
        ("HTTP Error 416: Requested range not satisfiable", "cut off", ""),
        ("n challenge solving failed: Some formats may be missing", "no audio", "deno"),
        ("SSL: CERTIFICATE_VERIFY_FAILED certificate verify failed", "failed", ""),
    ],
)  # fmt: skip
def test_what_youtube_says(message: str, reason: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from yt_dlp.utils import ExtractorError

    monkeypatch.setattr(shutil, "which", lambda _: None)
    error = explained(ExtractorError(message, expected=True), "Song")
    assert error.reason == reason
    assert hint in str(error)


def test_a_preview_is_no_song(site: Site, store: str, search: Callable) -> None:
    search({"a": {"duration": 50}})
    error = refused(query_song("Some Song"), store)
    assert (error.reason, error.tries) == ("cut off", 3)
    assert "gave 2 s of the 50 s that its page says" in str(error)


# Politeness


def test_every_batch_of_requests_waits_for_its_turn(site: Site, store: str, search: Callable) -> None:
    site.pages["/b.wav"] = at_first(1, status(429), file(SONG))
    search({"a": {"duration": 3600}, "b": {}})
    turns: list[int] = []
    download(query_song("Some Song"), store, QUICK, wait_turn=lambda: turns.append(site.asked.total()))
    # search, candidate a, candidate b, its file (429); and all again
    assert turns == [0, 0, 1, 2, 3, 3, 4, 5]
    turns.clear()
    download(query_song("Some Song"), store, QUICK, wait_turn=lambda: turns.append(0))
    assert turns == []  # what is there asks nobody


def test_a_full_disk_is_no_fault_of_the_song(store: str, says: Callable) -> None:
    says(a="unable to write data: [Errno 28] No space left on device")
    with pytest.raises(StorageError, match="no space left on device; make room"):
        download(query_song("Some Song"), store, QUICK)
