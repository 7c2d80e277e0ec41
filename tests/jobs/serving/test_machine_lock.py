"""One process at a time computes with all cores."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.serving.machine_lock import machine_lock

WAIT = "from jobs.serving.machine_lock import machine_lock\nprint('asks', flush=True)\nwith machine_lock(): print('has', flush=True); input()"


@contextmanager
def asking(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that asks for the turn, says so, says when it has it, and keeps it until it dies."""
    environment = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(
        [sys.executable, "-c", WAIT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "asks\n"
        yield process
        process.kill()


def test_the_turn_is_waited_for_and_comes_back_from_the_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with machine_lock(), asking(tmp_path) as other:
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
        other.kill()
        assert other.stdout
        assert other.stdout.read() == ""  # it never had it
    with asking(tmp_path) as other:
        assert other.stdout
        assert other.stdout.readline() == "has\n"
        other.kill()
        with machine_lock():
            pass
