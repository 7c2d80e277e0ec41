"""Files on a local folder or on S3, the same calls for both.

A path is a `UPath` made by `as_path`: a local absolute path, or `s3://bucket/key`. On S3 the endpoint and the
credentials are those that botocore finds (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, ...): they are
never part of a path. A file appears under its name whole or not at all: locally it is written under a hidden
temporary name beside and renamed; on S3 an upload becomes visible when it is complete.

Passing faults of S3 (no connection, time-outs, 429, 5xx, SlowDown) are tried again for `patience()` seconds.
What cannot pass by itself (credentials, a missing bucket, permissions, a full disk) is a `StorageError` at once.
Between processes send the string of `absolute`, not a path: an open S3 session does not survive a fork.
"""

import errno
import logging
import os
import re
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import tenacity
from upath import UPath

log = logging.getLogger(__name__)
Result = TypeVar("Result")
Location = str | os.PathLike[str] | UPath

PATIENCE_VARIABLE = "SAMUEL_S3_PATIENCE_SECONDS"
DEFAULT_PATIENCE_SECONDS = 300.0
S3_SCHEMES = ("s3://", "s3a://", "s3n://")
DENIED_CODES = ("AccessDenied", "AllAccessDisabled", "AccountProblem", "403", "Forbidden")
CREDENTIAL_CODES = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
)
PASSING_CODES = ("SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests", "429")


class StorageError(ValueError):
    """A place that cannot be read or written until the user changes something; the message says what."""

    may_pass: bool = False
    """Whether it was a passing fault that took longer than `patience()`: another machine may have more luck."""


@dataclass(frozen=True)
class StoredFile:
    """A file of a listing: its name relative to the listed folder (with /), and its size in bytes."""

    name: str
    size: int
    version: str = ""
    """Changes when the file does: the time when it was written, or S3's ETag."""


@dataclass(frozen=True)
class Listing:
    """All files below a folder, sorted by name, and the subfolders that could not be opened."""

    files: tuple[StoredFile, ...]
    unreadable: tuple[str, ...] = ()


def patience() -> float:
    """Seconds for which a passing fault of S3 is tried again: SAMUEL_S3_PATIENCE_SECONDS, or 300."""
    value = os.environ.get(PATIENCE_VARIABLE, "")
    try:
        seconds = float(value) if value else DEFAULT_PATIENCE_SECONDS
    except ValueError:
        raise StorageError(f"{PATIENCE_VARIABLE} must be a number of seconds, got {value!r}") from None
    if not seconds >= 0:
        raise StorageError(f"{PATIENCE_VARIABLE} must be a number of seconds from 0 up, got {value!r}")
    return seconds


def is_s3(path: Location) -> bool:
    """Whether the path lies on S3."""
    return str(path).startswith(S3_SCHEMES)


def as_path(path: Location) -> UPath:
    """The absolute path of a folder or file; `~` and `file://` are understood.

    Raises StorageError for an unknown kind of URL or an S3 URL without a bucket.
    """
    text = os.fspath(path) if not isinstance(path, UPath) else str(path)
    if not text:
        raise StorageError("expected a folder or s3://bucket/prefix, got an empty path")
    if is_s3(text):
        bucket, _, key = text.split("://", 1)[1].strip("/").partition("/")
        if not bucket:
            raise StorageError(f"expected s3://bucket/prefix, got {text!r}: name the bucket")
        # Retries have one home, `patiently`; a cached listing would hide what other workers wrote.
        retries = {"retries": {"mode": "standard", "max_attempts": 2}}
        root = UPath(f"s3://{bucket}", use_listings_cache=False, config_kwargs=retries)
        return root / key if key else root  # a whole URL with "::" would be a chain of systems
    text = text.removeprefix("file://")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise StorageError(f"expected a folder or s3://bucket/prefix, got {text!r}")
    return UPath(os.path.abspath(os.path.expanduser(text)))


def absolute(path: Location) -> str:
    """The absolute path or URL as a string without a trailing slash: what to print and to send to workers."""
    located = as_path(path)
    return str(located).rstrip("/") or "/"


def join(folder: Location, name: str) -> UPath:
    """The file `name` (as in a listing, with any number of /) below a folder.

    Unlike `folder / name` it takes names such as "a::b.mp3", where UPath sees a chain of file systems.
    """
    return as_path(f"{absolute(folder).rstrip('/')}/{name}")


def read_bytes(path: Location) -> bytes:
    """A file's whole content. FileNotFoundError when it is not there."""
    located = as_path(path)
    return patiently(lambda: bytes(located.fs.cat_file(located.path)), located, "read")


def write_atomic(path: Location, data: bytes) -> None:
    """Write a file whole or not at all, over any earlier one; missing local folders are made."""
    located = as_path(path)
    if is_s3(located):
        patiently(lambda: located.fs.pipe_file(located.path, data), located, "write")
    else:
        _write_beside(located, lambda file: file.write(data))


def store_file(local: str | os.PathLike[str], path: Location) -> None:
    """Copy a local file of any size to `path`, whole or not at all."""
    located = as_path(path)
    if is_s3(located):
        patiently(lambda: located.fs.put_file(os.fspath(local), located.path), located, "write")
        return
    with open(local, "rb") as source:
        _write_beside(located, lambda file: shutil.copyfileobj(source, file, 1 << 20))


def delete(path: Location) -> None:
    """Delete a file; nothing happens when it is not there."""
    located = as_path(path)
    with suppress(FileNotFoundError):
        patiently(lambda: located.fs.rm_file(located.path), located, "delete")


def kind_of(path: Location) -> str:
    """What lies there: "file", "directory" (on S3: any key below the prefix) or "missing"."""
    located = as_path(path)
    try:
        return str(patiently(lambda: located.fs.info(located.path), located, "read")["type"])
    except (FileNotFoundError, NotADirectoryError):
        return "missing"


def exists(path: Location) -> bool:
    """Whether a file or folder is there. Wrong credentials or a missing bucket raise, they are not "no"."""
    return kind_of(path) != "missing"


def size_of(path: Location) -> int:
    """A file's size in bytes. FileNotFoundError when it is not there."""
    located = as_path(path)
    return int(patiently(lambda: located.fs.info(located.path), located, "read")["size"])


def list_files(folder: Location) -> Listing:
    """Every file below a folder or prefix, at any depth, hidden ones too; empty when nothing is there.

    Locally, links to folders are followed once, a file whose size cannot be had (a broken link) is listed with
    size 0, and what is no file (a pipe, a device, which could block its reader) is left out.
    """
    located = as_path(folder)
    if not is_s3(located):
        return _list_local(Path(str(located)))
    prefix = located.path.rstrip("/") + "/"
    found = patiently(lambda: located.fs.find(located.path.rstrip("/"), detail=True), located, "list")
    files = [
        StoredFile(name.removeprefix(prefix), int(info["size"]), str(info.get("ETag", "")))
        for name, info in found.items()
        if name.startswith(prefix) and not name.endswith("/")
    ]
    return Listing(tuple(sorted(files, key=lambda file: file.name)))


def find_prefixed(folder: Location, prefix: str) -> list[UPath]:
    """The files directly in a folder whose names begin with `prefix`; one small request on S3."""
    located = as_path(folder)
    if not is_s3(located):
        with _explained(Path(str(located)), "list"):
            names = sorted(os.listdir(str(located))) if located.is_dir() else []
        return [join(located, name) for name in names if name.startswith(prefix)]
    parent = located.path.rstrip("/")
    found = patiently(lambda: located.fs.find(parent, prefix=prefix), located, "list")
    names = sorted(name.removeprefix(parent + "/") for name in found if name.startswith(f"{parent}/{prefix}"))
    return [join(located, name) for name in names if "/" not in name]


def check_writable(folder: Location) -> None:
    """Write and delete a small file, so that a run that could not keep its result fails before it starts."""
    probe = as_path(folder) / f".writable-{uuid.uuid4().hex}"
    write_atomic(probe, b"written to see whether this folder can be written\n")
    delete(probe)


def patiently(call: Callable[[], Result], path: Location, doing: str) -> Result:
    """Return call(), calling again while S3 has passing faults, for at most `patience()` seconds.

    `path` and `doing` ("read", "write", "list", "delete") are for the messages. Raises StorageError for what the
    user must change, FileNotFoundError for a missing file, and any other error as it is.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: is_s3(path) and _may_pass(error)),
        wait=tenacity.wait_exponential_jitter(initial=0.25, max=15, jitter=0.25),
        stop=tenacity.stop_before_delay(patience()),
        before_sleep=tenacity.before_sleep_log(log, logging.WARNING),
        reraise=True,
    )
    try:
        return retrying(call)
    except Exception as error:
        message = _explain(error, str(path), doing)
        if message is None:
            raise
        told = StorageError(message)
        told.may_pass = is_s3(path) and _may_pass(error)
        raise told from error


def _write_beside(path: UPath, fill: Callable[[IO[bytes]], object]) -> None:
    """Fill a hidden file in the same folder, then rename it to `path` (mode as the umask says)."""
    target = Path(str(path))
    partial = target.parent / f".{uuid.uuid4().hex}.partial"
    with _explained(target, "write"):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(partial, "xb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def _list_local(folder: Path) -> Listing:
    files: list[StoredFile] = []
    unreadable: list[str] = []
    seen: set[tuple[int, int]] = set()

    def walk(current: Path) -> None:
        try:
            status = current.stat()
            if (status.st_dev, status.st_ino) in seen:
                return
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError as error:
            if current != folder or not isinstance(error, FileNotFoundError | NotADirectoryError):
                unreadable.append(str(current))
            return
        for entry in entries:
            name = os.path.relpath(entry.path, folder)
            try:
                found = entry.stat()
            except OSError:  # a broken link, or one that leads to itself
                files.append(StoredFile(name, 0))
                continue
            if stat.S_ISDIR(found.st_mode):
                walk(Path(entry.path))
            elif stat.S_ISREG(found.st_mode):
                files.append(StoredFile(name, found.st_size, str(found.st_mtime_ns)))

    walk(folder)
    return Listing(tuple(sorted(files, key=lambda file: file.name)), tuple(unreadable))


@contextmanager
def _explained(path: Path, doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = _explain(error, str(path), doing)
        if message is None:
            raise
        raise StorageError(message) from error


def _answer(error: BaseException | None) -> tuple[str, int] | None:
    """S3's (error code, HTTP status) where the error, or one that it was raised from, is an answer of S3."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict) and "Error" in response:
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return str(response["Error"].get("Code", "")), int(status)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def _may_pass(error: BaseException) -> bool:
    """Whether a fault of S3 may be gone on the next try."""
    import aiohttp
    import botocore.exceptions as boto
    from botocore.parsers import ResponseParserError

    answer = _answer(error)
    if answer is not None:
        code, status = answer
        return code in PASSING_CODES or status == 429 or (status >= 500 and status != 501)
    passing = (
        boto.ConnectionError,
        boto.HTTPClientError,
        boto.IncompleteReadError,
        boto.ResponseStreamingError,
    )
    others = (ResponseParserError, aiohttp.ClientError, TimeoutError, ConnectionError)
    return isinstance(error, passing + others)


def _explain(error: BaseException, path: str, doing: str) -> str | None:
    """What the user should do about an error, or None when there is nothing to say beyond the error itself."""
    if is_s3(path):
        return _explain_s3(error, path, doing)
    if isinstance(error, FileNotFoundError) and doing != "write":
        return None
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"cannot {doing} {path}: the disk is full; free some space or choose another folder"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"cannot {doing} {path}: permission denied; choose a folder that you may {doing}, or change its rights"
    if doing == "write" and number in (
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENOENT,
        errno.ENAMETOOLONG,
    ):
        return f"cannot write {path}: {os.strerror(number or 0)}; choose another folder"
    return None


def _explain_s3(error: BaseException, path: str, doing: str) -> str | None:
    import botocore.exceptions as boto

    server = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "AWS"
    where = f"cannot {doing} {path} on {server}"
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.TokenRetrievalError):
        return f"{where}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE ({error})"
    if isinstance(error, boto.ParamValidationError):
        return f"{where}: {error}; check the bucket's name"
    code, status = _answer(error) or ("", 0)
    if code in CREDENTIAL_CODES:
        return f"{where}: wrong or expired credentials ({code}); check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if code in DENIED_CODES or status == 403 or (isinstance(error, PermissionError) and not code):
        return (
            f"{where}: access denied ({code or error}); check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            f"and that they may {doing} in this bucket"
        )
    if code == "NoSuchBucket":
        return f"{where}: there is no such bucket; make it first, or check the name and AWS_ENDPOINT_URL"
    if code == "RequestTimeTooSkewed":
        return f"{where}: this machine's clock is wrong ({error})"
    if _may_pass(error):
        return (
            f"{where}: no good answer for {patience():.0f} s ({error}); check AWS_ENDPOINT_URL and the network, "
            f"then run again (what is done stays done). {PATIENCE_VARIABLE} sets how long to wait"
        )
    return None
