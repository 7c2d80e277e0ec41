"""Folders of ours below the system's temporary folder, where others may write, too.

Another user may have made what has our name before us, to read what we write there, or to keep us from it. So a
name has a random end, and what is found is used only if it is a folder of this user that no other may enter.
"""

import fcntl
import glob
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LEFT_SECONDS = 600.0
"""A folder that nobody used for so long is nobody's."""

LOCK = ".lock"
AWAITED = ".awaited"


def private_folder(prefix: str) -> Path:
    """Ours of this prefix, the same for all processes that ask; made where there is none."""
    if not _ours(f"{prefix}-"):
        tempfile.mkdtemp(prefix=f"{prefix}-")  # mode 0700
    return _ours(f"{prefix}-")[0]


def _ours(beginning: str) -> list[Path]:
    pattern = f"{glob.escape(os.path.join(tempfile.gettempdir(), beginning))}*"
    return [Path(path) for path in sorted(glob.glob(pattern)) if is_private(path)]


def is_private(path: str | Path) -> bool:
    """Whether it is a folder, no link, of this user, that no other may read or change."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


class HeldFolder:
    """A folder that one process uses at a time; the next waits until it is given up, or its holder has died."""

    def __init__(self, folder: Path, lock: int):
        self.folder, self.lock = folder, lock

    @classmethod
    def hold(cls, find: Callable[[], Path]) -> "HeldFolder":
        """Waits for the lock. `find` says which folder; asked again where it was deleted meanwhile."""
        while True:
            folder = find()
            try:
                (folder / AWAITED).touch()
                lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
            except FileNotFoundError:
                continue
            fcntl.flock(lock, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock), os.stat(folder / LOCK)):
                    (folder / AWAITED).unlink(missing_ok=True)
                    return cls(folder, lock)
            os.close(lock)  # of a folder that is deleted

    def touch(self) -> None:
        """Say that it is in use."""
        with suppress(FileNotFoundError):
            os.utime(self.folder)

    def give_up(self, delete: bool) -> None:
        """For the next, if one waits; else, where `delete`, it goes with all that is in it."""
        if delete and not (self.folder / AWAITED).exists():
            shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            os.close(self.lock)


def delete_left(beginning: str) -> None:
    """Delete folders of ours whose name begins so, that nobody has used for `LEFT_SECONDS`, and nobody holds."""
    for folder in _ours(beginning):
        with suppress(OSError):  # gone meanwhile
            if time.time() - folder.stat().st_mtime < LEFT_SECONDS:
                continue
            lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)
