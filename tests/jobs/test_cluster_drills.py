"""A cluster that breathes and breaks under `build_popdb.py`: every song's pairs must be there once, the same bits.

`pytest -m drill -k NAME` runs one of these; they take minutes.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tests.jobs.clusters import Cluster, kill
from tests.jobs.drilled import SONGS, pairs, songs_done
from tests.jobs.fake_gpus import GATE

pytestmark = [pytest.mark.drill, pytest.mark.timeout(900)]


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Once this file is there, workers make more than one song each."""
    return tmp_path / "gate"


@pytest.fixture
def cluster(tmp_path: Path, gate: Path) -> Iterator[Cluster]:
    """A head that does no work, as in cluster/aws.yaml, and two nodes with a GPU each when they are asked for."""
    with Cluster(tmp_path, cpus=0, gpu_nodes=2, environment={GATE: str(gate)}) as running:
        yield running


def arguments(songs: Path, out: Path) -> list[str]:
    return ["--songs", str(songs), "--out", str(out), "--separator", "spleeter"]


def on_gpus(songs: Path, out: Path) -> list[str]:
    """The command of a job that asks for two GPUs which are not there yet."""
    return [
        "python",
        "-m",
        "tests.jobs.fake_gpus",
        *arguments(songs, out),
        "--device",
        "cuda",
        "--workers",
        "2",
    ]


def test_gpu_nodes_come_for_a_job_one_is_lost_at_work_and_all_go(
    cluster: Cluster, gate: Path, songs: Path, undisturbed: pa.Table, tmp_path: Path
) -> None:
    assert not cluster.nodes()
    job = cluster.submit(*on_gpus(songs, tmp_path / "popdb"))
    cluster.wait_until(lambda: songs_done(tmp_path / "popdb") == 2, 400, job)  # a song from each
    kill(cluster.nodes()[0])
    gate.touch()
    output, _ = job.communicate()
    assert job.returncode == 0, output
    assert "Machines while this ran: gpu " in output
    assert pairs(tmp_path / "popdb").equals(undisturbed)
    cluster.wait_until(lambda: not cluster.nodes(), 120)


def test_a_job_whose_driver_is_killed_is_submitted_again(
    cluster: Cluster, gate: Path, songs: Path, undisturbed: pa.Table, tmp_path: Path
) -> None:
    job = cluster.submit(*on_gpus(songs, tmp_path / "popdb"))
    cluster.wait_until(lambda: songs_done(tmp_path / "popdb") >= 1, 400, job)
    (driver,) = cluster.drivers("tests.jobs.fake_gpus")
    kill(driver)
    output, _ = job.communicate()
    assert job.returncode != 0, output
    done = songs_done(tmp_path / "popdb")
    assert 1 <= done < SONGS
    gate.touch()
    cluster.run(*on_gpus(songs, tmp_path / "popdb"))
    assert pairs(tmp_path / "popdb").equals(undisturbed)
