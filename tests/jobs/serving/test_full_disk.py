"""A spool that is full, away, or not ours: nobody hangs, nobody's voice stays, and all is well again afterwards."""

import asyncio
import errno
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from jobs.serving.job import GenerationRequest, Job
from jobs.serving.job_manager import JobManager
from jobs.serving.job_store import RECORDING, STATE, JobStore
from jobs.serving.problems import ProblemError
from samuel.generation import GenerationConfig
from samuel.storage import StorageError
from tests.jobs.local_service import LocalWorkers, RememberedMetrics, running
from tests.jobs.serving.asking import ASYNC, finished, order, problem, settings_of, sound, sung


class SmallStore(JobStore):
    """On a disk that has room for so many bytes; where `stuck`, nothing can be deleted."""

    def __init__(self, root: Path, room: float = float("inf")):
        super().__init__(root)
        self.folder, self.room, self.stuck = root, room, False

    def used(self) -> int:
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())

    def write(self, job: str, name: str, content: bytes) -> None:
        if self.used() + len(content) > self.room:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise StorageError(f"cannot write {self.folder / job / name}: the disk is full") from full
        super().write(job, name, content)

    def delete(self, job: str) -> None:
        if self.stuck:
            raise StorageError(f"cannot delete {self.folder / job}: permission denied")
        super().delete(job)


def until(true: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_disk_that_fills_while_a_job_runs_is_told_and_all_is_well_when_there_is_room(
    checkpoint: str, tmp_path: Path
) -> None:
    voice = sung(2.0)
    spool = SmallStore(tmp_path, room=len(voice) + 50_000)
    with running(settings_of(checkpoint), spool) as service, service.client() as client:
        refused = order(client, voice)
        said = problem(refused, 507)
        assert int(refused.headers["retry-after"]) >= 10
        assert str(tmp_path) not in said
        job = finished(client, order(client, voice, ASYNC).json())
        assert (job["state"], job["error"]["status"]) == ("failed", 507)
        assert str(tmp_path) not in json.dumps(job)
        assert [file.name for file in (tmp_path / job["id"]).iterdir()] == [STATE]  # its room is for others
        spool.room = 1000
        assert str(tmp_path) not in problem(order(client, voice, ASYNC), 507)
        spool.room = float("inf")
        assert sound(order(client, voice)).shape[-1] == 2 * 44_100
        assert service.manager.taken == 0


def test_what_has_expired_makes_room(checkpoint: str, tmp_path: Path) -> None:
    spool = SmallStore(tmp_path)
    with running(settings_of(checkpoint), spool) as service, service.client() as client:
        job = finished(client, order(client, sung(1.0), ASYNC).json())
        spool.room = spool.used() + len(sung(1.0)) + 20_000
        problem(order(client, sung(1.0)), 507)
        (known,) = [one for one in service.manager.jobs.values() if one.id == job["id"]]
        known.ended = time.time() - 2 * 3600
        sound(order(client, sung(1.0)))
        problem(client.get(job["links"]["self"]), 404)


def test_nobody_hangs_when_the_end_of_a_job_cannot_be_written(checkpoint: str, tmp_path: Path) -> None:
    class EndlessStore(JobStore):
        def write_state(self, job: str, state: dict[str, Any]) -> None:
            if state["ended"]:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().write_state(job, state)

    with running(settings_of(checkpoint), EndlessStore(tmp_path)) as service, service.client() as client:
        sound(order(client, sung(1.0)))
        assert "silent" in problem(order(client, silence()), 422)
        until(lambda: service.manager.taken == 0)
        assert [state for state, _ in service.metrics.ends] == ["succeeded", "failed"]


def silence() -> bytes:
    import torch

    from jobs.serving.workers import encode_audio

    return encode_audio(torch.zeros(2, 44_100), "flac")


def test_a_fault_of_the_storage_does_not_end_the_deleting(checkpoint: str, tmp_path: Path) -> None:
    spool = SmallStore(tmp_path)
    settings = settings_of(checkpoint, keep_minutes=0.01)
    with running(settings, spool) as service, service.client() as client:
        spool.stuck = True
        first = order(client, sung(1.0), ASYNC).json()
        problem(client.delete(first["links"]["self"]), 503)  # not deleted, so it is not said to be
        order(client, sung(1.0), ASYNC)
        until(lambda: not service.manager.jobs)
        time.sleep(0.5)  # the sweeper has failed some times
        assert len(list(tmp_path.iterdir())) == 2
        spool.stuck = False
        until(lambda: not list(tmp_path.iterdir()))


def test_states_that_cannot_be_read_do_not_keep_the_service_from_starting(
    checkpoint: str, tmp_path: Path
) -> None:
    spool = JobStore(tmp_path)
    spool.write("broken", STATE, b"{")
    spool.write("broken", RECORDING, b"a voice")
    spool.write_state("older", {"id": "older", "order": {"recipes": [], "remake": None}, "words": 3})
    spool.write("never accepted", RECORDING, b"a voice")
    kept = Job("kept", GenerationRequest((GenerationConfig(),)), state="failed", ended=time.time())
    spool.write_state("kept", kept.to_json())

    async def work() -> None:
        manager = JobManager(LocalWorkers(settings), spool, settings, RememberedMetrics())
        await manager.open()
        assert set(manager.jobs) == {"kept"}

    settings = settings_of(checkpoint)
    asyncio.run(work())
    assert [folder.name for folder in tmp_path.iterdir()] == ["kept"]


def test_who_waits_for_a_job_that_is_deleted_before_it_begins_does_not_hang(
    checkpoint: str, tmp_path: Path
) -> None:
    settings = settings_of(checkpoint)

    async def work() -> None:
        manager = JobManager(LocalWorkers(settings), JobStore(tmp_path), settings, RememberedMetrics())
        job = await manager.submit(GenerationRequest((GenerationConfig("draft"),)), sung(1.0))
        async with asyncio.timeout(20):
            await asyncio.gather(manager.forget(job), manager.finished(job))
        assert job.state == "cancelled"
        assert manager.taken == 0
        with pytest.raises(ProblemError, match="never was"):
            manager.find(job.id)

    asyncio.run(work())
    assert not list(tmp_path.iterdir())
