"""Songs by title: yt-dlp's own code with a search and a video site of the test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yt_dlp
from yt_dlp.extractor.common import InfoExtractor, SearchInfoExtractor

from samuel import download as downloading
from samuel import storage
from samuel.download import DownloadOptions, download
from samuel.songs import query_song
from tests.download.site import QUICK, SONG, Site, at_first, file, refused, status


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


def test_a_video_that_asks_to_sign_in(store: str, search: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    from yt_dlp.utils import ExtractorError

    def bots(*_: object) -> None:
        raise ExtractorError("Sign in to confirm you're not a bot", expected=True)

    search({"a": {}})
    monkeypatch.setattr(_TestVideo, "_real_extract", bots)
    error = refused(query_song("Some Song"), store)
    assert error.reason == "needs cookies"
    assert "cookies file" in str(error)


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
