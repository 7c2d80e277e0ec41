"""samuel.storage on a local folder and on a real S3 server, in good times and bad."""

import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from samuel import storage
from tests.s3 import S3Location, S3Server

NAMES = [
    "plain.txt",
    "a b/日本語 العربية.mp3",
    "deep/er/x#y?z%20&+.ogg",
    "colons::in/a::b.mp3",
    ".hidden/.file",
]


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty folder, once on the disk and once on S3."""
    if request.param == "local":
        return str(tmp_path / "store")
    s3: S3Location = request.getfixturevalue("s3")
    return s3.url


def test_what_is_written_is_listed_and_read_back(root: str) -> None:
    for number, name in enumerate(NAMES):
        storage.write_atomic(storage.join(root, name), bytes(number))
    listing = storage.list_files(root)
    expected = sorted((name, number) for number, name in enumerate(NAMES))
    assert [(file.name, file.size) for file in listing.files] == expected
    assert listing.unreadable == ()
    for number, name in enumerate(NAMES):
        again = storage.absolute(storage.join(root, name))  # a string travels between processes
        assert storage.read_bytes(again) == bytes(number)
        assert storage.size_of(again) == number


def test_writing_replaces_and_deleting_is_repeatable(root: str) -> None:
    path = storage.as_path(root) / "x"
    storage.write_atomic(path, b"first and longer")
    storage.write_atomic(path, b"second")
    assert storage.read_bytes(path) == b"second"
    storage.delete(path)
    storage.delete(path)
    assert not storage.exists(path)
    with pytest.raises(FileNotFoundError):
        storage.read_bytes(path)


def test_a_big_local_file_is_stored_whole(root: str, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 12  # above S3's part size of 5 MB
    (tmp_path / "big").write_bytes(content)
    storage.store_file(tmp_path / "big", storage.as_path(root) / "kept" / "big")
    assert storage.read_bytes(storage.as_path(root) / "kept" / "big") == content
    assert [file.name for file in storage.list_files(root).files] == ["kept/big"]


def test_kinds_and_an_empty_folder(root: str) -> None:
    storage.write_atomic(storage.as_path(root) / "folder" / "file", b"1")
    assert storage.kind_of(storage.as_path(root) / "folder") == "directory"
    assert storage.kind_of(storage.as_path(root) / "folder" / "file") == "file"
    assert storage.kind_of(storage.as_path(root) / "fold") == "missing"
    assert storage.list_files(storage.as_path(root) / "fold").files == ()
    storage.check_writable(root)
    assert [file.name for file in storage.list_files(root).files] == ["folder/file"]


def test_files_by_the_beginning_of_their_name(root: str) -> None:
    assert storage.find_prefixed(root, "ab.") == []
    for name in ["ab.mp3", "ab.ogg", "abc.mp3", "ab.d/x", "z/ab.mp3"]:
        storage.write_atomic(storage.join(root, name), b"1")
    found = [path for path in storage.find_prefixed(root, "ab.") if storage.kind_of(path) == "file"]
    assert [path.name for path in found] == ["ab.mp3", "ab.ogg"]
    assert storage.read_bytes(found[0]) == b"1"


def test_listing_sees_what_another_process_wrote(root: str) -> None:
    storage.write_atomic(storage.as_path(root) / "one", b"1")
    assert len(storage.list_files(root).files) == 1
    script = "import sys; from samuel import storage; storage.write_atomic(sys.argv[1], b'22')"
    subprocess.run([sys.executable, "-c", script, storage.absolute(root) + "/two"], check=True)
    assert [(file.name, file.size) for file in storage.list_files(root).files] == [("one", 1), ("two", 2)]


def test_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert storage.absolute("a/../b") == str(tmp_path / "b")
    assert storage.absolute(f"file://{tmp_path}/b/") == str(tmp_path / "b")
    assert storage.absolute("~") == os.path.expanduser("~")
    assert storage.absolute("s3a://bucket/a/b/") == "s3://bucket/a/b"
    assert storage.absolute("s3://bucket") == storage.absolute("s3://bucket/") == "s3://bucket"
    for wrong in ["", "s3://", "gs://bucket/x", "https://host/x"]:
        with pytest.raises(storage.StorageError, match="expected"):
            storage.as_path(wrong)


# Local trouble


def test_a_failed_write_leaves_the_earlier_file_and_no_rubbish(tmp_path: Path) -> None:
    storage.write_atomic(tmp_path / "x", b"good")
    with pytest.raises(TypeError):
        storage.write_atomic(tmp_path / "x", "no bytes")  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"good"


def test_new_files_have_the_rights_of_the_umask(tmp_path: Path) -> None:
    storage.write_atomic(tmp_path / "x", b"")
    (tmp_path / "y").touch()
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "y").stat().st_mode


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(storage.StorageError, match="choose another folder"):
        storage.check_writable(tmp_path / "file" / "popdb")


def test_a_folder_without_rights() -> None:
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root may write everywhere: be nobody for a while
    try:
        folder = Path(tempfile.mkdtemp())
        (folder / "locked" / "sub").mkdir(parents=True)
        (folder / "locked" / "sub").chmod(0o000)
        (folder / "locked").chmod(0o555)
        with pytest.raises(storage.StorageError, match=r"permission denied.*change its rights"):
            storage.check_writable(folder / "locked")
        assert storage.list_files(folder).unreadable == (str(folder / "locked" / "sub"),)
    finally:
        if root:
            os.seteuid(0)
    (folder / "locked").chmod(0o755)
    (folder / "locked" / "sub").chmod(0o755)
    shutil.rmtree(folder)


def test_a_full_disk(tmp_path: Path) -> None:
    """In a file system of 64 kB that only the child process sees."""
    script = f"""
import subprocess, sys, os
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", {str(tmp_path)!r}], check=True)
from samuel import storage
try:
    storage.write_atomic({str(tmp_path / "x")!r}, bytes(1 << 20))
except storage.StorageError as error:
    print(error, os.listdir({str(tmp_path)!r}))
"""
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode != 0:
        pytest.skip("this kernel lets no user mount a file system of its own")
    done = subprocess.run(["unshare", "-Urm", sys.executable, "-c", script], capture_output=True, text=True)
    assert "the disk is full; free some space" in done.stdout, done.stderr
    assert "[]" in done.stdout  # no partial file is left behind


def test_links_and_pipes_in_a_listing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "song.mp3").write_bytes(b"123")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "broken.mp3").symlink_to(tmp_path / "nowhere.mp3")
    (tmp_path / "self.mp3").symlink_to(tmp_path / "self.mp3")
    os.mkfifo(tmp_path / "pipe.mp3")
    found = [(file.name, file.size) for file in storage.list_files(tmp_path).files]
    assert found == [("a/song.mp3", 3), ("broken.mp3", 0), ("self.mp3", 0)]


# S3 trouble


def told_to_wait(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What `samuel.storage` logs before it tries again."""
    return [one.getMessage() for one in caplog.records if one.name == "samuel.storage.files"]


def test_wrong_credentials_are_told_apart(
    s3: S3Location, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for variable, value in [("AWS_SECRET_ACCESS_KEY", "wrong"), ("AWS_ACCESS_KEY_ID", "nobody")]:
        with monkeypatch.context() as changed:
            changed.setenv(variable, value)
            s3.forget_sessions()
            for call in _every_call(s3.url):
                with pytest.raises(storage.StorageError, match="AWS_SECRET_ACCESS_KEY"):
                    call()
    assert not told_to_wait(caplog)
    s3.forget_sessions()
    storage.check_writable(s3.url)  # the right ones do work


def test_no_credentials_at_all(s3: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3.forget_sessions()
    with pytest.raises(storage.StorageError, match="no credentials; set AWS_ACCESS_KEY_ID"):
        storage.list_files(s3.url)


def test_a_missing_bucket(s3: S3Location, caplog: pytest.LogCaptureFixture) -> None:
    for call in _every_call("s3://no-such-bucket/popdb"):
        with pytest.raises(storage.StorageError, match="no such bucket; make it first"):
            call()
    assert not told_to_wait(caplog)


def test_an_outage_that_ends_is_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = S3Server(tmp_path / "s3")
    server.start()
    try:
        with S3Location.on(server, monkeypatch) as s3:
            path = storage.as_path(s3.url) / "kept"
            storage.write_atomic(path, b"before")
            server.stop(kill=True)
            threading.Timer(2, server.start).start()
            begun = time.monotonic()
            storage.write_atomic(path, b"after")
            assert time.monotonic() - begun > 1.5  # it really was away
            assert told_to_wait(caplog)
            assert storage.read_bytes(path) == b"after"
            server.stop()
            threading.Timer(1, server.start).start()
            assert [file.name for file in storage.list_files(s3.url).files] == ["kept"]
    finally:
        server.stop()


def test_an_outage_that_lasts_is_an_error_in_time(s3: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv(storage.PATIENCE_VARIABLE, "2")
    s3.forget_sessions()
    begun = time.monotonic()
    with pytest.raises(storage.StorageError, match=r"no good answer for 2 s .* run again"):
        storage.write_atomic(s3.url + "/x", b"")
    assert time.monotonic() - begun > 0.2
    monkeypatch.setenv(storage.PATIENCE_VARIABLE, "soon")
    with pytest.raises(storage.StorageError, match="must be a number of seconds"):
        storage.write_atomic(s3.url + "/x", b"")


@pytest.mark.parametrize(
    ("status", "code", "times"),
    [(503, "SlowDown", 11), (500, "InternalError", 4), (429, "TooManyRequests", 3)],
)
def test_a_busy_server_is_asked_again(
    status: int, code: str, times: int, s3: S3Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that answers `status` more often than botocore and s3fs try alone, then takes the file."""
    answers = [status] * times + [200]

    class Busy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # botocore sends "Expect: 100-continue"

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = answers.pop(0)
            body = (
                b""
                if answer == 200
                else f"<Error><Code>{code}</Code><Message>busy</Message></Error>".encode()
            )
            self.send_response(answer)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        s3.forget_sessions()
        storage.write_atomic("s3://bucket/x", b"song")
        assert answers == []
    finally:
        server.shutdown()
        server.server_close()


def _every_call(url: str) -> list:
    return [
        lambda: storage.list_files(url),
        lambda: storage.read_bytes(url + "/x"),
        lambda: storage.write_atomic(url + "/x", b"1"),
        lambda: storage.check_writable(url),
        lambda: storage.exists(url + "/x"),
        lambda: storage.delete(url + "/x"),
    ]
