"""Machine code that numba keeps in files: compiled once on each machine, by one process at a time.

numba compiles a package's gufuncs when they are imported and keeps the code beside them, in two files a function.
Where two processes compile at once, the two files may come from different processes, and from then on every process
that calls the function ends with SIGSEGV (github.com/numba/numba/issues/10128, github.com/librosa/librosa/issues/1998).

So the code is kept in a folder of its own below the system's temporary folder, of this machine and this user alone:
a lock is held while it is filled, a list of its files is written last, and nothing is added afterwards. Its name
stands for all that the code depends on. What lies beside the package is not used: files that are mixed do no harm.
"""

import hashlib
import os
import platform
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import filelock
import llvmlite.binding
import numba

COMPLETE = "complete"
"""The last file that is written: the names of all others."""


@contextmanager
def machine_cache(folder: Path) -> Iterator[None]:
    """numba's cached functions that are decorated within are read from `folder`, or compiled into it."""
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    try:
        if not is_complete(folder):
            with filelock.FileLock(f"{folder}.lock"):  # freed when its process ends, however it ends
                if not is_complete(folder):
                    shutil.rmtree(folder, ignore_errors=True)
                    folder.mkdir()
                    yield
                    names = [file.relative_to(folder).as_posix() for file in folder.rglob("*.nb?")]
                    (folder / "names").write_text("\n".join(names))
                    (folder / "names").rename(folder / COMPLETE)
                    return
        yield
    finally:
        numba.config.CACHE_DIR = before  # type: ignore[attr-defined]


def is_complete(folder: Path) -> bool:
    """Whether all is there that was compiled: cleaners of temporary folders take single files."""
    try:
        names = (folder / COMPLETE).read_text().splitlines()
    except OSError:
        return False
    return all((folder / name).exists() for name in names)


def folder_of(package: str) -> Path:
    """The cache of a package as it is installed now, for this interpreter, numba and processor."""
    found = find_spec(package)
    if not found or not found.origin:
        raise ModuleNotFoundError(f"there is no package {package}")
    sources = sorted(Path(found.origin).parent.rglob("*.py"))
    files = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in sources]
    processor = llvmlite.binding.get_host_cpu_name(), llvmlite.binding.get_host_cpu_features().flatten()
    about = platform.node(), sys.version, numba.__version__, processor, files
    return own_folder() / f"{package}-{hashlib.sha256(repr(about).encode()).hexdigest()[:16]}"


def own_folder() -> Path:
    """Below the temporary folder, of this user alone: numba runs what lies there."""
    folder = Path(tempfile.gettempdir()) / f"samuel-numba-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
    except OSError:  # a file of this name
        return Path(tempfile.mkdtemp(prefix="samuel-numba-"))
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
        return Path(tempfile.mkdtemp(prefix="samuel-numba-"))
    return folder
