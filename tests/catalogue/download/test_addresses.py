"""Songs by address, with yt-dlp's own code against a local HTTP server: good files, and everything that goes wrong."""

import http.server
import itertools
import pickle
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from samuel import storage
from samuel.catalogue import download as downloading
from samuel.catalogue.download import download
from samuel.catalogue.songs import Song, url_song
from tests.catalogue.download.site import QUICK, SONG, Site, at_first, file, refused, status, wav
from tests.s3 import S3Location


def test_a_file_is_stored_as_it_is_and_never_fetched_again(site: Site, store: str) -> None:
    song = site.song("/a/Artist%20-%20Title.wav", file(SONG))
    fetched = download(song, store, QUICK)
    assert str(fetched.path) == f"{store}/{song.song_id}.wav"
    assert fetched.tries == 1
    assert storage.read_bytes(fetched.path) == SONG
    asked = site.asked.total()
    again = download(song, store, QUICK)
    assert (again.path, again.tries, site.asked.total()) == (fetched.path, 0, asked)
    assert [found.name for found in storage.list_files(store).files] == [f"{song.song_id}.wav"]


def test_a_store_on_s3(site: Site, s3: S3Location) -> None:
    song = site.song("/a.wav", file(SONG))
    fetched = download(song, s3.url + "/audio", QUICK)
    assert str(fetched.path) == f"{s3.url}/audio/{song.song_id}.wav"
    assert storage.read_bytes(fetched.path) == SONG
    assert download(song, s3.url + "/audio", QUICK).tries == 0


def test_a_redirect_is_followed(site: Site, store: str) -> None:
    site.pages["/new.wav"] = file(SONG)
    song = site.song("/old", status(302, Location="/new.wav"))
    assert storage.read_bytes(download(song, store, QUICK).path) == SONG


def test_redirects_in_a_circle_end(site: Site, store: str) -> None:
    assert refused(site.song("/round", status(302, Location="/round")), store).tries <= QUICK.tries


def test_a_page_with_one_song(site: Site, store: str) -> None:
    site.pages["/x.wav"] = file(SONG)
    song = site.song("/page", file(b'<html><body><audio src="/x.wav"></audio></body></html>', "text/html"))
    assert storage.read_bytes(download(song, store, QUICK).path) == SONG


@pytest.mark.parametrize(
    ("code", "reason"),
    [(404, "not found"), (410, "not found"), (401, "needs cookies"), (451, "blocked in this country")],
)
def test_what_does_not_pass_is_not_tried_again(site: Site, store: str, code: int, reason: str) -> None:
    error = refused(site.song("/x.wav", status(code)), store)
    assert (error.reason, error.tries, site.asked.total()) == (reason, 1, 1)
    assert site.url in str(error)


def test_a_403_has_a_second_try(site: Site, store: str) -> None:
    """YouTube's addresses of files expire, and a page that is asked for again gives new ones."""
    assert download(site.song("/x.wav", at_first(1, status(403), file(SONG))), store, QUICK).tries == 2
    error = refused(site.song("/y.wav", status(403)), store + "2")
    assert (error.reason, error.tries, site.asked["/y.wav"]) == ("forbidden", 2, 2)
    assert "cookies file" in str(error)


def test_a_file_that_is_cut_off_is_fetched_again(site: Site, store: str) -> None:
    """The server breaks off and says that this was all."""
    whole = wav(20)
    fetched = download(site.song("/x.wav", at_first(2, file(whole[:100_000]), file(whole))), store, QUICK)
    assert fetched.tries == 2  # a look at the page and one at the file are two answers
    assert storage.read_bytes(fetched.path) == whole
    error = refused(site.song("/y.wav", file(whole[:100_000])), store + "2")
    assert (error.reason, error.tries) == ("cut off", 3)
    assert "its header says 320044 bytes, 100000 are there" in str(error)


def test_429_that_recovers_after_the_time_it_names(site: Site, store: str) -> None:
    song = site.song("/x.wav", at_first(1, status(429, Retry_After="2"), file(SONG)))
    begun = time.monotonic()
    held: list[float] = []
    fetched = download(song, store, QUICK, hold=held.append)
    assert time.monotonic() - begun >= 2
    assert fetched.tries == 2
    assert len(held) == 1  # so that other songs wait, too
    assert held[0] >= 2
    assert storage.read_bytes(fetched.path) == SONG


def test_429_of_the_file_itself_recovers(site: Site, store: str) -> None:
    """The look-up succeeds, then the transfer is refused once: both requests go to the same address."""
    answers = [file(SONG), status(429), file(SONG), file(SONG)]
    song = site.song("/x.wav", lambda request, before: answers[before](request, before))
    assert download(song, store, QUICK).tries == 2


def test_429_that_never_ends(site: Site, store: str) -> None:
    error = refused(site.song("/x.wav", status(429)), store)
    assert (error.reason, error.tries, site.asked.total()) == ("too many requests", 3, 3)
    assert "fetch fewer a minute" in str(error)
    assert "(3 tries)" in str(error)


def test_429_for_an_hour_is_not_waited_for(site: Site, store: str) -> None:
    error = refused(site.song("/x.wav", status(429, Retry_After="3600")), store)
    assert (error.reason, error.tries) == ("too many requests", 1)
    assert "wait 3600 s" in str(error)


def test_a_server_error_passes(site: Site, store: str) -> None:
    assert download(site.song("/x.wav", at_first(2, status(503), file(SONG))), store, QUICK).tries == 3
    assert refused(site.song("/y.wav", status(500)), store + "2").reason == "server error"


def test_a_playlist_is_refused_or_its_first_song_taken(site: Site, store: str) -> None:
    tracks = "".join(f"<track><location>{site.url}/{n}.wav</location></track>" for n in (1, 2))
    xspf = f'<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList>{tracks}</trackList></playlist>'
    feed = "".join(f'<item><title>{n}</title><enclosure url="{site.url}/{n}.wav"/></item>' for n in (1, 2))
    page = '<html><body><audio src="/1.wav"></audio><audio src="/2.wav"></audio></body></html>'
    site.pages["/1.wav"] = file(wav(90))
    site.pages["/2.wav"] = file(SONG)
    lists = {
        "/list.xspf": file(xspf.encode(), "application/xspf+xml"),
        "/feed.rss": file(
            f'<rss version="2.0"><channel><title>x</title>{feed}</channel></rss>'.encode(), "text/xml"
        ),
        "/album": file(page.encode(), "text/html"),
    }
    for path, answer in lists.items():
        song = site.song(path, answer)
        assert refused(song, store).reason == "playlist"
    assert site.asked["/1.wav"] == site.asked["/2.wav"] == 0  # nothing of it was fetched
    allowed = replace(QUICK, playlists=True, longest_seconds=120)
    assert storage.read_bytes(download(song, store, allowed).path) == wav(90)


def test_a_file_that_lasts_too_long(site: Site, store: str) -> None:
    song = site.song("/long.wav", file(wav(90)))
    error = refused(song, store)
    assert (error.reason, error.tries) == ("too long", 1)
    assert download(song, store, replace(QUICK, longest_seconds=120)).tries == 1


def test_an_endless_file_is_cut_off(site: Site, store: str) -> None:
    """Ten gigabytes announced, or nothing announced and no end: neither is fetched to its end."""
    sent = 0

    def endless(request: http.server.BaseHTTPRequestHandler, before: int) -> None:
        nonlocal sent
        request.send_response(200)
        request.send_header("Content-Type", "audio/wav")
        if request.path == "/announced.wav":
            request.send_header("Content-Length", str(10**10))
        request.end_headers()
        try:
            for _ in range(10_000):
                request.wfile.write(bytes(100_000))
                sent += 100_000
        except OSError:
            pass

    short = replace(QUICK, longest_seconds=2)
    assert refused(site.song("/announced.wav", endless), store, short).reason in ("no audio", "too long")
    assert refused(site.song("/unknown.wav", endless), store, short).reason == "too long"
    assert sent < 40_000_000


@pytest.mark.parametrize("where", ["before the answer", "in the file"])
def test_a_stalled_connection_is_given_up_and_recovers(site: Site, store: str, where: str) -> None:
    go_on = threading.Event()

    def stalled(request: http.server.BaseHTTPRequestHandler, _: int) -> None:
        if where == "in the file":
            request.send_response(200)
            request.send_header("Content-Type", "audio/wav")
            request.send_header("Content-Length", str(len(SONG)))
            request.end_headers()
            request.wfile.write(SONG[:5000])
            request.wfile.flush()
        go_on.wait(20)

    bad = 2 if where == "in the file" else 1  # the look-up of a stalled file succeeds on its first bytes
    assert download(site.song("/once.wav", at_first(bad, stalled, file(SONG))), store, QUICK).tries == 2
    error = refused(site.song("/always.wav", stalled), store + "2")
    go_on.set()
    assert (error.reason, error.tries) == ("timed out", 3)


def test_a_transfer_that_breaks_off_is_resumed(site: Site, store: str) -> None:
    ranges: list[str | None] = []

    def breaking(request: http.server.BaseHTTPRequestHandler, before: int) -> None:
        asked = request.headers.get("Range")
        ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        request.send_response(206 if asked else 200)
        request.send_header("Content-Type", "audio/wav")
        if asked:
            request.send_header("Content-Range", f"bytes {start}-{len(SONG) - 1}/{len(SONG)}")
        request.send_header("Content-Length", str(len(SONG) - start))
        request.end_headers()
        request.wfile.write(SONG[start : start + 20_000] if before < 2 else SONG[start:])

    fetched = download(site.song("/x.wav", breaking), store, QUICK)
    assert storage.read_bytes(fetched.path) == SONG
    assert fetched.tries == 2
    assert any(asked and asked != "bytes=0-" for asked in ranges)


def test_no_server_at_all(store: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = refused(url_song(f"http://127.0.0.1:{unused.getsockname()[1]}/x.wav"), store)
    assert (error.reason, error.tries) == ("no connection", 3)


@pytest.mark.parametrize("content", [b"", b"<html><p>no song here</p></html>", b"\x00\x01 no audio" * 1000])
def test_what_is_no_audio(site: Site, store: str, content: bytes) -> None:
    kind = "text/html" if content.startswith(b"<") else "audio/mpeg"
    assert refused(site.song("/x.mp3", file(content, kind)), store).reason == "no audio"


def test_cookies_are_sent_and_their_file_is_left_alone(site: Site, store: str, tmp_path: Path) -> None:
    cookies = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t2000000000\tsession\tsecret\n"
    (tmp_path / "cookies.txt").write_text(cookies)
    song = site.song("/x.wav", file(SONG, **{"Set-Cookie": "session=changed"}))
    download(song, store, replace(QUICK, cookies=str(tmp_path / "cookies.txt")))
    assert "session=secret" in site.seen[0]["Cookie"]
    assert (tmp_path / "cookies.txt").read_text() == cookies
    with pytest.raises(FileNotFoundError):
        download(song, store + "2", replace(QUICK, cookies=str(tmp_path / "none.txt")))


def test_a_proxy_is_used(site: Site, store: str) -> None:
    site.pages["http://nowhere.invalid/x.wav"] = file(SONG)  # a proxy is asked for whole addresses
    fetched = download(url_song("http://nowhere.invalid/x.wav"), store, replace(QUICK, proxy=site.url))
    assert storage.read_bytes(fetched.path) == SONG


def test_a_file_on_this_machine_cannot_be_asked_for(tmp_path: Path, store: str) -> None:
    (tmp_path / "x.wav").write_bytes(SONG)
    song = Song("0" * 16, "", "", f"file://{tmp_path}/x.wav", "url")
    assert "file://" in str(refused(song, store))


def test_errors_survive_the_way_between_processes(site: Site, store: str) -> None:
    error = refused(site.song("/x.wav", status(429, Retry_After="0")), store)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.reason, copy.tries) == (str(error), error.reason, error.tries)


def test_songs_that_are_files_already(store: str) -> None:
    for kind in ("audio", "stems"):
        with pytest.raises(ValueError, match="its audio is at"):
            download(Song("0" * 16, "", "", "/music/x.mp3", kind), store)  # type: ignore[arg-type]


def test_many_at_once(site: Site, store: str) -> None:
    songs = [site.song(f"/{n}.wav", file(wav(1 + n / 10))) for n in range(8)]
    threads = [threading.Thread(target=download, args=(song, store, QUICK)) for song in songs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sizes = [storage.size_of(downloading.stored(song, store) or "") for song in songs]
    assert sizes == [len(wav(1 + n / 10)) for n in range(8)]
    assert all(a < b for a, b in itertools.pairwise(sizes))
