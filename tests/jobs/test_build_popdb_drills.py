"""Kill what can be killed and cut what can be cut; every good song's pairs must be there once, the same bits.

`pytest -m drill` runs these; they take minutes.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

from samuel.catalogue.songs import Song, read_catalogue
from samuel.popdb import Store
from samuel.popdb.song_builder import PairBuilder, SongReport
from samuel.storage.lease import Lease
from tests.jobs.drilled import SONGS, identity_of_defaults, pairs, songs_done
from tests.s3 import S3Location, S3Server

pytestmark = [pytest.mark.drill, pytest.mark.timeout(900)]

SCRIPT = Path(__file__).parents[2] / "jobs" / "build_popdb.py"


class Running:
    """The job as a child process in a session of its own, its output in a file."""

    def __init__(self, arguments: list[str], log: Path, environment: dict[str, str]) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(SCRIPT), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"RAY_AUTH_MODE": "disabled"} | environment,
                start_new_session=True,
            )

    def wait_for_success(self) -> str:
        code = self.process.wait(timeout=600)
        text = self.log.read_text()
        assert code == 0, text
        return text

    def workers(self, name: str = "Build") -> list[psutil.Process]:
        """The workers of this run whose command line has `name`: those of the models, or others."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if name in " ".join(child.cmdline()):
                    found.append(child)
            except psutil.Error:
                continue
        return found

    def kill_all(self) -> None:
        """SIGKILL to the driver and to its Ray, as when the machine's power fails."""
        family = [
            psutil.Process(self.process.pid),
            *psutil.Process(self.process.pid).children(recursive=True),
        ]
        for process in family:
            try:
                process.kill()
            except psutil.Error:
                continue
        self.process.wait()


def build(songs: object, out: object, **environment: str) -> Running:
    log = Path(f"{out}.log") if not str(out).startswith("s3://") else Path(environment.pop("log"))
    return Running(["--songs", str(songs), "--out", str(out)], log, environment)


def wait_until(running: Running, true: Callable[[], object], seconds: float = 500) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert running.process.poll() is None, running.log.read_text()
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def test_a_killed_worker_costs_nothing(songs: Path, undisturbed: pa.Table, tmp_path: Path) -> None:
    out = tmp_path / "out"
    running = build(songs, out)
    wait_until(running, lambda: songs_done(out) >= 1 and running.workers())
    running.workers()[0].kill()
    running.wait_for_success()
    assert pairs(out).equals(undisturbed)


def test_a_killed_driver_goes_on_where_it_was(songs: Path, undisturbed: pa.Table, tmp_path: Path) -> None:
    out = tmp_path / "out"
    running = build(songs, out)
    wait_until(running, lambda: songs_done(out) >= 2)
    running.kill_all()
    assert 2 <= songs_done(out) < SONGS
    text = build(songs, out).wait_for_success()
    assert pairs(out).equals(undisturbed)
    assert "7 songs" in text


def test_two_kills_and_a_second_run_at_the_same_time(
    songs: Path, undisturbed: pa.Table, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    running = build(songs, out)
    wait_until(running, lambda: (out / "lease.json").exists())
    second = Running(["--songs", str(songs), "--out", str(out)], tmp_path / "second.log", {})
    assert second.process.wait(timeout=300) == 2
    assert "another run" in second.log.read_text()
    running.kill_all()
    build(songs, out).wait_for_success()
    assert pairs(out).equals(undisturbed)


class DeadlyBuilder:
    """The real builder, but one song kills its process, as a crash in a decoder would."""

    def __init__(self, **arguments: object) -> None:
        self.builder = PairBuilder(**arguments)

    def __call__(self, song: Song, audio: str | None, attempts: int) -> SongReport:
        if song.title == "song 3":
            os.kill(os.getpid(), signal.SIGKILL)
        return self.builder(song, audio, attempts)


def test_a_song_that_kills_its_worker_is_a_failure_and_costs_no_other(
    local_ray: None, songs: Path, undisturbed: pa.Table, tmp_path: Path
) -> None:
    from jobs.runtime.popdb_pipeline import build as build_songs
    from jobs.runtime.worker_pool import WorkerPool

    store = Store.at(tmp_path / "out")
    identity = identity_of_defaults()
    make = partial(
        DeadlyBuilder, store=store, codec="mini", separator="spleeter", identity=identity, threads=1
    )
    catalogue = read_catalogue(str(songs))
    with Lease(store.root) as lease:
        tally = build_songs(list(catalogue.songs), store, lease, identity, make, WorkerPool(2, "cpu", 1))
    assert {title: stage for title, stage, _ in tally.failures.values()} == {
        "song 3": "worker",
        "bad": "decode",
    }
    others = undisturbed.filter(pa.compute.not_equal(undisturbed.column("title"), "song 3"))
    assert pairs(store.root).equals(others)
    assert pq.read_table(f"{store.root}/failures.parquet").num_rows == 2


def test_songs_beside_each_other_in_a_worker_give_the_same_bits(
    local_ray: None, songs: Path, undisturbed: pa.Table, tmp_path: Path
) -> None:
    from jobs.runtime.popdb_pipeline import build as build_songs
    from jobs.runtime.worker_pool import WorkerPool

    store, identity = Store.at(tmp_path / "out"), identity_of_defaults()
    make = partial(PairBuilder, store, codec="mini", separator="spleeter", identity=identity, threads=1)
    at_once = WorkerPool(1, "cpu", 1, songs_at_once=3)
    with Lease(store.root) as lease:
        build_songs(list(read_catalogue(str(songs)).songs), store, lease, identity, make, at_once)
    assert pairs(store.root).equals(undisturbed)


@pytest.fixture
def own_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Location]:
    server = S3Server(tmp_path / "s3")
    server.start()
    with S3Location.on(server, monkeypatch) as location:
        yield location
    server.stop()


def test_storage_that_is_cut_off_for_a_while_costs_nothing(
    songs: Path, undisturbed: pa.Table, tmp_path: Path, own_s3: S3Location
) -> None:
    files = s3fs.S3FileSystem()
    files.put(f"{songs}/", f"{own_s3.url}/songs/", recursive=True)
    out = f"{own_s3.url}/popdb"
    running = build(f"{own_s3.url}/songs", out, log=str(tmp_path / "log"), **own_s3.server.environment)

    def done() -> int:
        try:
            return len(
                s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True).ls(f"{out}/songs")
            )
        except FileNotFoundError:
            return 0

    wait_until(running, lambda: done() >= 1)
    own_s3.server.stop(kill=True)
    restart = threading.Timer(12, own_s3.server.start)
    restart.start()
    restart.join()
    running.wait_for_success()
    files.get(f"{out}/data/", str(tmp_path / "fetched" / "data") + "/", recursive=True)
    assert pairs(tmp_path / "fetched").equals(undisturbed)


def guided(out: Path) -> pa.Table:
    """What the shards hold beside the latents; a row a pair."""
    columns = ["song_id", "chunk", "lead_sheet", "features", "arrangement"]
    table = pq.read_table(f"{out}/data", columns=columns)
    return table.sort_by([("song_id", "ascending"), ("chunk", "ascending")]).replace_schema_metadata()


def test_killed_while_lead_sheets_are_estimated_nothing_is_lost_or_doubled(
    songs: Path, undisturbed: pa.Table, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    build(songs, whole).wait_for_success()
    assert guided(whole).column("lead_sheet").null_count == 0

    out = tmp_path / "out"
    running = build(songs, out)
    wait_until(running, lambda: guides_waiting(out) >= 1 and running.workers("GuideWorker"))
    running.workers("GuideWorker")[0].kill()
    wait_until(running, lambda: guides_waiting(out) >= 2)
    running.kill_all()
    build(songs, out).wait_for_success()
    assert pairs(out).equals(undisturbed)
    assert guided(out).equals(guided(whole))
    assert guides_waiting(out) == 0


def guides_waiting(out: Path) -> int:
    return len(list((out / "guides").glob("*.parquet"))) if (out / "guides").is_dir() else 0
