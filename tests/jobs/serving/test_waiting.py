"""Who waits, who goes away, what outlives a crash."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from jobs.serving.job import GenerationRequest
from jobs.serving.job_manager import JobManager
from jobs.serving.job_runner import WorkerLost
from jobs.serving.job_store import RECORDING, JobStore
from samuel.generation import GenerationConfig, WindowTask
from tests.jobs.local_service import LocalWorkers, RememberedMetrics, running
from tests.jobs.serving.asking import ASYNC, POST, finished, order, problem, settings_of, sung


class SlowWorkers(LocalWorkers):
    """Real, but each window waits for `gate`."""

    gate = threading.Event()

    async def sample(self, task: WindowTask) -> AsyncIterator[float | Tensor]:
        while not self.gate.is_set():
            yield 0.0
            await asyncio.sleep(0.05)
        async for made in super().sample(task):
            yield made


def test_a_full_desk_refuses_at_once_and_places_come_back(checkpoint: str, tmp_path: Path) -> None:
    SlowWorkers.gate.clear()
    with (
        running(settings_of(checkpoint, places=2), tmp_path, SlowWorkers) as service,
        service.client() as client,
    ):
        jobs = [order(client, sung(1.0), ASYNC).json() for _ in range(2)]
        long = sung(30.0)
        refused = order(client, long)
        assert "all 2 places" in problem(refused, 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert client.delete(jobs[0]["links"]["self"]).status_code == 204
        third = order(client, sung(1.0), ASYNC)
        assert third.status_code == 202
        SlowWorkers.gate.set()
        assert finished(client, third.json())["state"] == "succeeded"
        assert finished(client, jobs[1])["state"] == "succeeded"
        until = time.monotonic() + 10
        while service.manager.taken and time.monotonic() < until:
            time.sleep(0.02)
        assert service.manager.taken == 0
        assert sorted(state for state, _ in service.metrics.ends) == ["cancelled", "succeeded", "succeeded"]


def test_a_short_recording_does_not_wait_for_a_long_one(checkpoint: str, tmp_path: Path) -> None:
    class ListedWorkers(SlowWorkers):
        seeds: ClassVar[list[int]] = []

        async def sample(self, task: WindowTask) -> AsyncIterator[float | Tensor]:
            async for made in super().sample(task):
                if isinstance(made, Tensor):
                    self.seeds.append(task.config.seed)
                yield made

    SlowWorkers.gate.clear()
    with running(settings_of(checkpoint), tmp_path, ListedWorkers) as service, service.client() as client:
        jobs = [order(client, sung(length), ASYNC, seed=length).json() for length in (75, 1)]
        while not all(client.get(job["links"]["self"]).json()["stage"] == "sample" for job in jobs):
            time.sleep(0.05)
        SlowWorkers.gate.set()
        finished(client, jobs[1])
        assert 1 in ListedWorkers.seeds[:2]  # windows take turns
        client.delete(jobs[0]["links"]["self"])


def test_a_client_that_leaves_its_events_frees_its_place(checkpoint: str, tmp_path: Path) -> None:
    SlowWorkers.gate.clear()
    with running(settings_of(checkpoint), tmp_path, SlowWorkers) as service, service.client() as client:
        files = {"vocals": ("voice.flac", sung(1.0))}
        with client.stream("POST", POST, files=files, headers={"Accept": "text/event-stream"}) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "event: queued"
            assert service.manager.taken == 1
        until = time.monotonic() + 20
        while list(tmp_path.iterdir()) and time.monotonic() < until:
            time.sleep(0.05)
        assert not list(tmp_path.iterdir())
        assert service.manager.taken == 0
        assert not service.manager.jobs


def test_a_new_desk_takes_up_the_jobs_of_a_dead_one(checkpoint: str, tmp_path: Path) -> None:
    """As after kill -9: the store as the dead service left it, a new service on it."""
    settings = settings_of(checkpoint)

    async def first() -> dict[str, str]:
        SlowWorkers.gate.clear()
        manager = JobManager(SlowWorkers(settings), JobStore(tmp_path), settings, RememberedMetrics())
        kept = GenerationRequest((GenerationConfig("draft", 5),))
        jobs = {
            "polled": await manager.submit(kept, sung(2.0)),
            "waited for": await manager.submit(
                GenerationRequest((GenerationConfig("draft"),), kept=False), sung(2.0)
            ),
        }
        while any(job.stage != "sample" for job in jobs.values()):
            assert not any(job.over for job in jobs.values()), jobs
            await asyncio.sleep(0.02)
        return {name: job.id for name, job in jobs.items()}  # asyncio.run cancels the tasks; files stay

    ids = asyncio.run(first())
    assert (tmp_path / ids["polled"] / RECORDING).exists()

    async def second() -> bytes:
        manager = JobManager(LocalWorkers(settings), JobStore(tmp_path), settings, RememberedMetrics())
        await manager.open()
        assert set(manager.jobs) == {ids["polled"]}
        job = manager.find(ids["polled"])
        await manager.finished(job)
        assert job.state == "succeeded"
        assert job.starts == 2
        return await manager.workers.concatenate(await manager.pieces(job, 0), job.samples, "flac")

    band = asyncio.run(second())
    with running(settings, tmp_path / "other") as service, service.client() as client:
        assert order(client, sung(2.0), seed=5, format="flac").content == band
    assert {file.name for file in tmp_path.iterdir()} == {ids["polled"], "other"}
    assert not (tmp_path / ids["polled"] / RECORDING).exists()


def test_a_job_that_breaks_the_service_again_and_again_is_given_up(checkpoint: str, tmp_path: Path) -> None:
    class DyingWorkers(LocalWorkers):
        async def sample(self, task: WindowTask) -> AsyncIterator[float | Tensor]:
            raise WorkerLost("the worker died 4 times at this; try again later")
            yield

    with running(settings_of(checkpoint), tmp_path, DyingWorkers) as service, service.client() as client:
        assert "died 4 times" in problem(order(client, sung(1.0)), 503)
        job = finished(client, order(client, sung(1.0), ASYNC).json())
        assert (job["state"], job["error"]["status"]) == ("failed", 503)
        assert "failed" in problem(client.get(job["links"]["audio"][0]), 409)


def test_results_are_gone_when_their_time_is_over(checkpoint: str, tmp_path: Path) -> None:
    with running(settings_of(checkpoint, keep_minutes=0.01), tmp_path) as service, service.client() as client:
        job = finished(client, order(client, sung(1.0), ASYNC).json())
        until = time.monotonic() + 20
        while client.get(job["links"]["self"]).status_code == 200 and time.monotonic() < until:
            time.sleep(0.05)
        assert "its time is over" in problem(client.get(job["links"]["self"]), 404)
        time.sleep(0.3)
        assert not list(tmp_path.iterdir())
