"""Jobs: accepted within limits, watched, cancelled, deleted in time, and found again after a crash.

A job is an asyncio task, made by `JobRunner`. Whatever happens, also to the disk, becomes the job's state, and all who
wait for it are told.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol

from jobs.serving.job import GenerationRequest, Job, State
from jobs.serving.job_runner import JobRunner, WorkerLost, Workers
from jobs.serving.job_store import (
    RECORDING,
    VOCALS,
    JobStore,
    StoreCalls,
    away,
    full_disk,
    piece_file,
    run_in_thread,
)
from jobs.serving.problems import PASSING, ProblemError, is_full
from jobs.serving.settings import Settings
from samuel.audio import AudioError
from samuel.storage import StorageError

log = logging.getLogger(__name__)

MOST_STARTS = 3
"""A job that was in the works at so many crashes of the service may be their cause."""


class ServiceMetrics(Protocol):
    """Told what there is to measure."""

    def slots(self, taken: int) -> None: ...

    def stage(self, name: str, seconds: float) -> None: ...

    def sound(self, kind: str) -> None: ...

    def ended(self, state: State, speed: float | None) -> None: ...


class Slot:
    """One of the manager's limited slots; given back once."""

    def __init__(self, manager: "JobManager"):
        self.manager: JobManager | None = manager
        manager.taken += 1
        manager.metrics.slots(manager.taken)

    def give_back(self) -> None:
        if self.manager:
            self.manager.taken -= 1
            self.manager.metrics.slots(self.manager.taken)
        self.manager = None


class JobManager:
    """All jobs of the service. Not thread-safe: lives on one event loop."""

    def __init__(self, workers: Workers, store: JobStore, settings: Settings, metrics: ServiceMetrics):
        self.workers, self.store, self.settings, self.metrics = workers, store, settings, metrics
        self.call_store = StoreCalls(store, self.delete_expired, self._until_room)
        self.jobs: dict[str, Job] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.undeleted: set[str] = set()
        """Ids of jobs whose files are still to be deleted: it failed before."""
        self.leaving: set[asyncio.Task[Any]] = set()
        self.changed = asyncio.Condition()
        self.taken = 0
        self.usual_seconds = 10.0
        self.conversions = asyncio.Semaphore(settings.conversions)
        """For sounds that are fetched: they wait for each other, so that jobs need not wait for many of them."""

    async def open(self) -> None:
        """Take up the jobs that a killed service left."""
        for job_id, state in (await run_in_thread(self.store.states)).items():
            try:
                job = Job.from_json(state)
            except (TypeError, ValueError, KeyError) as error:
                log.error(
                    "job %s is of another version of the service; its files are deleted: %s", job_id, error
                )
                self.undeleted.add(job_id)
                continue
            if not (job.request.kept or job.over):
                self.undeleted.add(job_id)
                continue
            self.jobs[job_id] = job
            if not job.over:
                log.warning("taking up job %s again", job_id)
                self._start(job, Slot(self))
        await self.delete_expired()

    async def sweep(self) -> None:
        """Delete, for ever, what has been there for long enough."""
        while True:
            await asyncio.sleep(min(60.0, 15 * self.settings.keep_minutes))
            try:
                await self.delete_expired()
            except Exception:  # nothing may end the deleting
                log.exception("deleting what has expired failed; it is tried again")

    async def delete_expired(self) -> bool:
        """Delete the results whose time is over, and what could not be deleted before. Whether any was."""
        oldest = time.time() - 60 * self.settings.keep_minutes
        over = sorted((job for job in self.jobs.values() if job.ended), key=lambda job: job.ended or 0)
        surplus = len(over) - self.settings.keep_jobs
        for number, job in enumerate(over):
            if number < surplus or (job.ended or 0) < oldest:
                self.jobs.pop(job.id, None)
                self.undeleted.add(job.id)
        deleted = False
        for job_id in list(self.undeleted):
            deleted |= await self._delete(job_id)
        return deleted

    async def _delete(self, job_id: str) -> bool:
        """Delete a job's files; what fails is tried again by the sweeper."""
        self.undeleted.add(job_id)
        try:
            await run_in_thread(self.store.delete, job_id)
        except (StorageError, OSError) as error:
            log.error("the files of job %s could not be deleted; it is tried again: %s", job_id, error)
            return False
        self.undeleted.discard(job_id)
        return True

    def _until_room(self) -> int:
        """Seconds until the next result expires, at least 10 and at most 300."""
        first = min((job.ended for job in self.jobs.values() if job.ended), default=time.time())
        return round(max(10, min(300, first + 60 * self.settings.keep_minutes - time.time())))

    def take_slot(self) -> Slot:
        """A place for one more job. Raises the 429 of a full service."""
        self.require_slot()
        return Slot(self)

    def require_slot(self) -> None:
        """Raises the 429 of a full service."""
        if self.taken >= self.settings.places:
            wait = max(1, min(60, round(self.usual_seconds)))
            raise ProblemError(
                429,
                f"all {self.settings.places} places are taken; try again in {wait} s",
                {"Retry-After": str(wait)},
            )

    def find(self, job_id: str, owner: str = "") -> Job:
        """Raises a 404 for an id that is not there, or another's."""
        job = self.jobs.get(job_id)
        if job is None or job.request.owner != owner:
            raise ProblemError(
                404, f"no accompaniment {job_id!r}: it never was, was deleted, or its time is over"
            )
        return job

    async def submit(self, request: GenerationRequest, recording: bytes | None) -> Job:
        """Accept a job; it is written down before anybody is told of it. Raises a 429 or a 507 where all is full."""
        slot = self.take_slot()
        job = Job(secrets.token_hex(16), request)
        try:
            if recording is not None:
                await self.call_store(self.store.write, job.id, RECORDING, recording)
            await self.call_store(self.store.write_state, job.id, job.to_json())
        except BaseException:  # the client may be gone by now
            slot.give_back()
            await self._delete(job.id)
            raise
        self.jobs[job.id] = job
        self._start(job, slot)
        return job

    async def forget(self, job: Job) -> None:
        """Stop a job and delete all that there is of it. Raises a 503 where that must be tried again."""
        self.jobs.pop(job.id, None)
        self.undeleted.add(job.id)
        task = self.tasks.get(job.id)
        if task:
            task.cancel()
            await asyncio.wait([task])
        if not await self._delete(job.id):
            raise away()

    def abandon(self, job: Job) -> None:
        """Forget a job whose client went away; for those who may not wait."""

        async def forget() -> None:
            try:
                await self.forget(job)
            except ProblemError:
                log.warning("job %s, whose client went away, is deleted later", job.id)

        self._later(forget())

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.leaving.add(task)
        task.add_done_callback(self.leaving.discard)

    async def finished(self, job: Job) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: job.over)

    async def watch(self, job: Job, patience: float) -> AsyncIterator[Job | None]:
        """The job at each change, the last time when it is over; None after each `patience` seconds without one."""

        def now() -> tuple[Any, ...]:
            return job.state, job.stage, job.progress

        while True:
            seen = now()
            yield job
            if job.over:
                return
            while now() == seen:
                try:
                    async with asyncio.timeout(patience), self.changed:
                        await self.changed.wait_for(lambda seen=seen: now() != seen)  # type: ignore[misc]
                except TimeoutError:
                    yield None

    async def listen(self, job: Job, variation: int) -> AsyncIterator[bytes]:
        """A variation's pieces, each as soon as it is made. Raises the problem of a job that has ended, or ends, before them."""
        if variation >= len(job.request.configs):
            raise ProblemError(404, f"there is no variation {variation}")
        if job.over:
            require_success(job)
        sent = 0

        def made() -> int:
            return job.made[variation] if job.made else 0

        while True:
            async with self.changed:
                await self.changed.wait_for(lambda sent=sent: job.over or made() > sent)  # type: ignore[misc]
            if made() == sent:
                break
            yield await self._file(job, piece_file(variation, sent))
            sent += 1
        require_success(job)

    async def read(self, job: Job, name: str) -> bytes:
        """A file of a job that has ended well, or the voice once it is heard. Raises a 409 for any other."""
        readable = name == VOCALS and job.state == "running" and job.made
        if job.state != "succeeded" and not readable:
            raise ProblemError(
                409, f"the accompaniment is {job.state}; ask for its audio when it has succeeded"
            )
        return await self._file(job, name)

    async def pieces(self, job: Job, variation: int) -> list[bytes]:
        """A variation of a job that has ended well. Raises a 409 for any other, a 404 for one that is not there."""
        names = (piece_file(variation, number) for number in range(max(1, job.pieces)))
        return await asyncio.gather(*(self.read(job, name) for name in names))

    async def _file(self, job: Job, name: str) -> bytes:
        try:
            return await self.call_store(self.store.read, job.id, name)
        except FileNotFoundError:
            raise ProblemError(404, "this part of the result is not there") from None

    def _start(self, job: Job, slot: Slot) -> None:
        job.starts += 1
        task = asyncio.create_task(self._run(job))
        self.tasks[job.id] = task

        def end(ended: asyncio.Task[None]) -> None:
            slot.give_back()
            self.tasks.pop(job.id, None)
            if not ended.cancelled() and ended.exception():
                log.error("job %s ended as it never should", job.id, exc_info=ended.exception())
            if not job.over:  # cancelled before it began
                self._later(self._tell(job, state="cancelled", stage="done"))

        task.add_done_callback(end)

    async def _run(self, job: Job) -> None:
        """From request to result; whatever happens becomes the job's state."""
        began = time.monotonic()
        state: State = "failed"
        error: ProblemError | None = None
        try:
            if job.starts > MOST_STARTS:
                raise ProblemError(
                    500, "the service broke down several times during this job; it is not tried again"
                )
            await self.call_store(self.store.write_state, job.id, job.to_json())
            async with asyncio.timeout(self.settings.max_job_seconds):
                edit = job.request.edit
                earlier = self.find(edit.job, job.request.owner) if edit else None
                await JobRunner(job, self.workers, self.call_store, self._tell, earlier)()
            state = "succeeded"
        except asyncio.CancelledError:
            state = "cancelled"
        except Exception as fault:
            error = self._problem_of(fault, job)
        took = time.monotonic() - began
        job.problem = error.problem.model_dump() if error else None
        job.ended = time.time()
        try:
            if state != "cancelled":
                await self._write_end(job, state)
        except ProblemError as problem:
            log.error("the end of job %s could not be written: %s", job.id, problem.detail)
        finally:
            progress = 1.0 if state == "succeeded" else job.progress
            await self._tell(job, state=state, stage="done", progress=progress)
        if state == "succeeded":
            self.usual_seconds += 0.2 * (took - self.usual_seconds)
            for stage, seconds in job.stage_seconds.items():
                self.metrics.stage(stage, seconds)
        self.metrics.ended(state, job.seconds / took if job.seconds and state == "succeeded" else None)

    async def _write_end(self, job: Job, state: State) -> None:
        """Write how a job ended. Where that fails, this manager knows it all the same, until the result expires."""
        try:
            if state == "failed":  # nobody can fetch a part of it: its room is for others
                await self.call_store(self.store.clear, job.id)
        finally:
            await self.call_store(self.store.write_state, job.id, job.to_json() | {"state": state})
        if state == "succeeded":
            await self.call_store(self.store.delete_file, job.id, RECORDING)

    def _problem_of(self, error: Exception, job: Job) -> ProblemError:
        """What a client is told of an error: never where files lie."""
        if isinstance(error, ProblemError):
            return error
        if isinstance(error, TimeoutError):
            return ProblemError(
                504, f"not done within {self.settings.max_job_seconds:g} s; send less at once"
            )
        if isinstance(error, WorkerLost):
            return ProblemError(503, str(error), {"Retry-After": "10"})
        if isinstance(error, AudioError):
            return ProblemError(422, str(error))
        log.error("job %s failed", job.id, exc_info=error)
        if isinstance(error, StorageError | OSError):  # of a worker: a checkpoint, a separator
            return full_disk(self._until_room()) if is_full(error) else away()
        if isinstance(error, ValueError):
            return ProblemError(422, str(error))
        return ProblemError(500, "the server made a mistake; it is in its log")

    async def _tell(self, job: Job, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(job, name, value)
        async with self.changed:
            self.changed.notify_all()


def require_success(job: Job) -> None:
    """Raises the problem of a job that has not ended well."""
    if job.problem:
        status = job.problem["status"]
        raise ProblemError(status, job.problem["detail"], PASSING.get(status))
    if job.state != "succeeded":
        raise ProblemError(409, f"the accompaniment is {job.state}")
