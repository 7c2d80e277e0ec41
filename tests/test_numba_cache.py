"""The machine's own cache of compiled code, on a package with a gufunc as librosa's are: real numba, real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GUFUNC = """
import os, numba

if "OTHERS_FIRST" in os.environ:  # numba numbers what it compiles: the same function gets another name
    numba.njit("int64(int64)")(lambda x: x)


@numba.guvectorize(["void(float64[:], float64[:])"], "(n)->(n)", nopython=True, cache=True)
def double(x, doubled):
    for i in range(len(x)):
        doubled[i] = 2 * x[i]
"""
PLAIN = "import fast, numpy; print(fast.double(numpy.ones(3)))"
CACHED = """
from samuel.numba_cache import folder_of, machine_cache
with machine_cache(folder_of("fast")):
    import fast
import numpy
print(fast.double(numpy.ones(3)))
"""
SIGSEGV = -11


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "fast").mkdir()
    (tmp_path / "fast" / "__init__.py").write_text(GUFUNC)
    (tmp_path / "temporary").mkdir()
    path = f"{tmp_path}{os.pathsep}{Path(__file__).parents[1]}"
    return os.environ | {"PYTHONPATH": path, "TMPDIR": f"{tmp_path}/temporary"}


def start(code: str, environment: dict[str, str], **more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", code], env=environment | more, stdout=-1, text=True)


def outcome(process: "subprocess.Popen[str]") -> tuple[int, str]:
    output, _ = process.communicate(timeout=300)
    return process.returncode, output.strip()


@pytest.mark.drill
def test_mixed_files_beside_a_package_do_no_harm(environment: dict[str, str], tmp_path: Path) -> None:
    """As two processes that compile at once leave them: one function of two files, each from another process."""
    beside = tmp_path / "fast" / "__pycache__"
    outcome(start(PLAIN, environment, OTHERS_FIRST="1"))
    (kernel,) = beside.glob("__init__.double*.1.nbc")
    compiled = kernel.read_bytes()
    for file in beside.glob("*.nb?"):
        file.unlink()
    outcome(start(PLAIN, environment))
    kernel.write_bytes(compiled)
    assert outcome(start(PLAIN, environment))[0] == SIGSEGV
    assert outcome(start(CACHED, environment)) == (0, "[2. 2. 2.]")


def test_processes_that_start_at_once_compile_once(environment: dict[str, str], tmp_path: Path) -> None:
    started = [start(CACHED, environment, **more) for more in ({"OTHERS_FIRST": "1"}, {})]
    assert [outcome(one) for one in started] == [(0, "[2. 2. 2.]")] * 2
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "temporary").rglob("*.nb?")}
    assert len(files) == 4  # an index and the code, of the function and of its wrapper
    assert not list((tmp_path / "fast").rglob("*.nb?"))

    assert outcome(start(CACHED, environment)) == (0, "[2. 2. 2.]")
    assert {file: file.stat().st_mtime_ns for file in files} == files
    next(iter(files)).unlink()  # as a cleaner of temporary folders does
    assert outcome(start(CACHED, environment, OTHERS_FIRST="1")) == (0, "[2. 2. 2.]")
    assert all(file.stat().st_mtime_ns != written for file, written in files.items())
