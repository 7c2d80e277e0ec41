"""`ray job submit` against a running head, without further arguments, as on a cluster."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from samuel.songs import DEMO_SONGS, read_catalogue
from tests.s3 import free_ports

pytestmark = [pytest.mark.drill, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
RAY = str(Path(sys.executable).parent / "ray")


@pytest.fixture
def head(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A Ray head in processes of its own; gives its job address and the storage root it was started with."""
    port, dashboard, client = free_ports(3)
    storage = tmp_path / "storage"
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as short:  # sockets' names have a limit
        environment = os.environ | {"RAY_AUTH_MODE": "disabled", "SAMUEL_STORAGE": str(storage)}
        command = [RAY, "start", "--head", "--block", f"--port={port}", f"--temp-dir={short}", "--num-cpus=2"]
        command += [
            f"--dashboard-port={dashboard}",
            f"--ray-client-server-port={client}",
            "--disable-usage-stats",
        ]
        with (tmp_path / "head.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        address = f"http://127.0.0.1:{dashboard}"
        try:
            wait_for(address, process)
            yield address, storage
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/api/jobs/", timeout=5).read()
            return
        except (TimeoutError, urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    raise RuntimeError("the Ray head did not come up")


def test_a_submitted_job_builds_the_demo_songs_where_the_cluster_says(head: tuple[str, Path]) -> None:
    address, storage = head
    command = [RAY, "job", "submit", f"--address={address}", "--working-dir", str(ROOT)]
    done = subprocess.run(
        [*command, "--", "python", "jobs/build_popdb.py", "--separator", "spleeter"],
        env=os.environ | {"RAY_AUTH_MODE": "disabled", "PATH": f"{Path(RAY).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{storage}/popdb" in done.stdout
    built = set(pq.read_table(f"{storage}/popdb/data").column("title").to_pylist())
    assert built == {song.title for song in read_catalogue(str(DEMO_SONGS)).songs}
