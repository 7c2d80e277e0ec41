"""`ray job submit` of each job against a running head that answers only who has its token."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from samuel import audio
from samuel.catalogue.songs import DEMO_SONGS, read_catalogue
from tests.jobs.clusters import Cluster
from tests.jobs.songs import write_song

pytestmark = [pytest.mark.drill, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage root that the cluster's nodes were started with."""
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def cluster(storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    environment = {"SAMUEL_STORAGE": str(storage)}
    with Cluster(folder, token=secrets.token_hex(32), environment=environment) as running:
        yield running


@pytest.fixture(scope="module")
def popdb(cluster: Cluster, storage: Path) -> Path:
    """The demo songs, built by a submitted job where the cluster says."""
    output = cluster.run("python", "jobs/build_popdb.py", "--separator", "spleeter")
    assert f"{storage}/popdb" in output
    return storage / "popdb"


@pytest.fixture(scope="module")
def run(cluster: Cluster, storage: Path, popdb: Path) -> Path:
    """A few steps of training on it."""
    out = storage / "run"
    arguments = ["--data", str(popdb), "--out", str(out), "--preset", "tiny", "--batch-size", "2"]
    output = cluster.run("python", "jobs/train.py", *arguments, "--steps", "4", "--validate-every", "2")
    assert "stopped at step 4" in output
    return out


def test_build(popdb: Path) -> None:
    built = set(pq.read_table(popdb / "data").column("title").to_pylist())
    assert built == {song.title for song in read_catalogue(str(DEMO_SONGS)).songs}


def test_train(run: Path) -> None:
    assert len(list((run / "checkpoints").iterdir())) > 1
    assert (run / "curves.csv").read_text().count("\n") > 2


@pytest.fixture(scope="module")
def vocals(storage: Path) -> Path:
    write_song(storage / "vocals" / "voice.flac", 12.0)
    return storage / "vocals"


@pytest.fixture(scope="module")
def bands(cluster: Cluster, storage: Path, run: Path, vocals: Path) -> Path:
    """What that training generates for a recording."""
    arguments = ["--vocals", str(vocals), "--out", str(storage / "bands"), "--checkpoint", str(run)]
    output = cluster.run("python", "jobs/generate.py", *arguments, "--quality", "draft", "--workers", "1")
    assert "Machines while this ran: " in output
    return storage / "bands"


def test_generate(bands: Path) -> None:
    (band,) = bands.glob("voice*.flac")
    assert audio.probe(band).seconds == pytest.approx(12.0, abs=0.1)


def test_evaluate(cluster: Cluster, storage: Path, bands: Path, vocals: Path) -> None:
    arguments = ["--samples", f"samuel={bands}", "--vocals", str(vocals), "--out", str(storage / "report")]
    output = cluster.run("python", "jobs/evaluate.py", *arguments, "--aesthetics", "none", "--workers", "1")
    assert "Machines while this ran: " in output
    assert any((storage / "report").glob("*.html"))


def test_a_job_that_fails_says_so_with_its_exit_code(cluster: Cluster, storage: Path) -> None:
    job = cluster.submit(
        "python", "jobs/train.py", "--data", str(storage / "nothing"), "--out", str(storage / "x")
    )
    output, _ = job.communicate()
    assert job.returncode != 0
    assert "no POPDB at" in output


def test_who_has_no_token_can_submit_nothing(cluster: Cluster) -> None:
    job = cluster.submit("true", environment={"RAY_AUTH_TOKEN": secrets.token_hex(32)})
    output, _ = job.communicate()
    assert job.returncode != 0
    assert "submitted successfully" not in output
    assert "uthenticat" in output or "401" in output
