"""Kill a worker, kill the driver: the curve must be that of a run which was left alone.

`pytest -m drill` runs these; they take minutes.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from samuel.training import checkpoint
from tests.training.popdbs import make_popdb

pytestmark = [pytest.mark.drill, pytest.mark.timeout(900)]

SCRIPT = Path(__file__).parents[2] / "jobs" / "train.py"
ARGUMENTS = (
    "--preset",
    "tiny",
    "--device",
    "cpu",
    "--batch-size",
    "2",
    "--validate-every",
    "10",
)


class Running:
    """The job as a child process in a session of its own, its output in a file."""

    def __init__(self, data: str, run: Path, log: Path, *, epochs: int = 30) -> None:
        """Of three songs of two pairs: 90 steps, unless more `epochs` are asked for."""
        self.run, self.log = run, log
        options = [*ARGUMENTS, "--epochs", str(epochs)]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(SCRIPT), "--data", data, "--out", str(run), *options],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "local"},
                start_new_session=True,
            )

    def wait(self, condition: Callable[[], object], seconds: float = 300) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def wait_for_a_checkpoint(self) -> None:
        self.wait(lambda: checkpoint.latest(self.run))

    def worker(self) -> int:
        """The process that trains."""
        return int(re.findall(r"in process (\d+)", self.log.read_text())[-1])

    def kill(self) -> None:
        """As a machine that fails takes driver and workers at once; Ray's own would soon notice that it is gone."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def succeed(self) -> "Running":
        assert self.process.wait(600) == 0, self.log.read_text()[-3000:]
        assert "finished at step 90 of 90" in self.log.read_text()
        return self


@pytest.fixture(scope="module")
def popdb(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_popdb(tmp_path_factory.mktemp("popdb"))


@pytest.fixture(scope="module")
def undisturbed(popdb: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("undisturbed")
    Running(popdb, folder / "run", folder / "log").succeed()
    return (folder / "run" / "curves.csv").read_text()


def test_a_killed_worker_is_replaced(popdb: str, undisturbed: str, tmp_path: Path) -> None:
    job = Running(popdb, tmp_path / "run", tmp_path / "log")
    job.wait_for_a_checkpoint()
    os.kill(job.worker(), signal.SIGKILL)
    job.succeed()
    assert "again after a worker died" in job.log.read_text()
    assert (tmp_path / "run" / "curves.csv").read_text() == undisturbed


def test_a_killed_driver_is_called_again(popdb: str, undisturbed: str, tmp_path: Path) -> None:
    job = Running(popdb, tmp_path / "run", tmp_path / "log")
    job.wait_for_a_checkpoint()
    job.kill()
    again = Running(popdb, tmp_path / "run", tmp_path / "log again").succeed()
    assert "training on 6 pairs" in again.log.read_text()
    assert (tmp_path / "run" / "curves.csv").read_text() == undisturbed


def test_two_drivers_do_not_train_one_run(popdb: str, tmp_path: Path) -> None:
    endless = 100_000  # or a first that is quick would be done when the second looks
    first = Running(popdb, tmp_path / "run", tmp_path / "log", epochs=endless)
    first.wait_for_a_checkpoint()
    second = Running(popdb, tmp_path / "run", tmp_path / "log of the second", epochs=endless)
    try:
        assert second.process.wait(300) == 2
        assert "another run" in second.log.read_text()
        newest = checkpoint.latest(first.run)
        first.wait(lambda: checkpoint.latest(first.run) != newest)
    finally:
        first.kill()
