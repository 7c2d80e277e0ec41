"""Jobs: accepted within limits, made window by window, watched, cancelled, and found again after a crash.

A job is an asyncio task. It owns no model: it asks `Workers`, and all it asks may be asked again, since the same
order gives the same result. Of each variation one window is in the works at a time, so that a song of many windows
does not stand before a short one.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from jobs.serving.job import Job, Order, State, region_frames
from jobs.serving.problems import ProblemError
from jobs.serving.settings import Settings
from jobs.serving.spool import RECORDING, VOCALS, Spool, band_file
from jobs.serving.workers import Heard, ModelCard
from samuel.audio import AudioError
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.generation import Recipe, WindowTask, plan_windows

log = logging.getLogger(__name__)
Result = TypeVar("Result")

HEARD, SAMPLED = 0.05, 0.75
"""Shares of the work that are done when the vocals are heard, and when all windows are made."""

PIECE_FRAMES = 512
"""Decoded at a time: 24 s, so that a short song does not wait for the decoding of a long one."""

MOST_STARTS = 3
"""A job that was in the works at so many crashes of the desk may be their cause."""


class Workers(Protocol):
    """Who does the work: processes elsewhere. Each call may take long; a cancelled one should stop."""

    async def hear(self, recording: bytes, separate: bool) -> Heard: ...

    def sample(self, task: WindowTask) -> AsyncIterator[float | Tensor]:
        """Shares done, then the window's latents."""
        ...

    async def play(self, latents: Tensor, start: int, stop: int) -> bytes: ...

    async def join(self, pieces: list[bytes], samples: int) -> bytes: ...

    async def convert(self, stem: bytes, file_format: str) -> bytes: ...

    async def mix(self, vocals: bytes, band: bytes, balance_db: float, file_format: str) -> bytes: ...

    async def card(self) -> ModelCard: ...

    async def ready(self) -> bool: ...


class Meters(Protocol):
    """Told what there is to measure."""

    def places(self, taken: int) -> None: ...

    def stage(self, name: str, seconds: float) -> None: ...

    def ended(self, state: State, speed: float | None) -> None: ...


class WorkerLost(Exception):
    """A worker died at this call, again and again."""


class Place:
    """One of the desk's limited places; given back once, by the job that took it or else by who asked for it."""

    def __init__(self, desk: "Desk"):
        self.desk: Desk | None = desk
        self.of_a_job = False
        desk.taken += 1
        desk.meters.places(desk.taken)

    def give_back(self) -> None:
        if self.desk:
            self.desk.taken -= 1
            self.desk.meters.places(self.desk.taken)
        self.desk = None


class Desk:
    """All jobs of the service. Not thread-safe: lives on one event loop."""

    def __init__(self, workers: Workers, spool: Spool, settings: Settings, meters: Meters):
        self.workers, self.spool, self.settings, self.meters = workers, spool, settings, meters
        self.jobs: dict[str, Job] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.leaving: set[asyncio.Task[None]] = set()
        self.changed = asyncio.Condition()
        self.taken = 0
        self.usual_seconds = 10.0

    async def open(self) -> None:
        """Take up the jobs that an earlier desk left."""
        for job_id, state in (await whole(self.spool.states)).items():
            job = Job.from_json(state)
            if not (job.order.kept or job.over):
                await whole(self.spool.delete, job_id)
                continue
            self.jobs[job_id] = job
            if not job.over:
                log.warning("taking up job %s again", job_id)
                self._start(job, Place(self))

    async def sweep(self) -> None:
        """Delete, for ever, what has been there for long enough."""
        while True:
            await asyncio.sleep(min(60.0, 15 * self.settings.keep_minutes))
            oldest = time.time() - 60 * self.settings.keep_minutes
            over = [job for job in self.jobs.values() if job.ended]
            surplus = len(over) - self.settings.keep_jobs
            for number, job in enumerate(sorted(over, key=lambda job: job.ended or 0)):
                if number < surplus or (job.ended or 0) < oldest:
                    await self.forget(job)

    def place(self) -> Place:
        """A place for one more job. Raises the 429 of a full desk."""
        if self.taken >= self.settings.places:
            wait = max(1, min(60, round(self.usual_seconds)))
            raise ProblemError(
                429,
                f"all {self.settings.places} places are taken; try again in {wait} s",
                {"Retry-After": str(wait)},
            )
        return Place(self)

    def find(self, job_id: str, owner: str = "") -> Job:
        """Raises a 404 for an id that is not there, or another's."""
        job = self.jobs.get(job_id)
        if job is None or job.order.owner != owner:
            raise ProblemError(
                404, f"no accompaniment {job_id!r}: it never was, was deleted, or its time is over"
            )
        return job

    async def submit(self, order: Order, recording: bytes | None, place: Place) -> Job:
        """Accept a job; it is written down before anybody is told of it."""
        job = Job(secrets.token_hex(16), order)
        try:
            if recording is not None:
                await whole(self.spool.write, job.id, RECORDING, recording)
            await whole(self.spool.write_state, job.id, job.to_json())
        except BaseException:  # the client may be gone by now
            await whole(self.spool.delete, job.id)
            raise
        self.jobs[job.id] = job
        self._start(job, place)
        return job

    async def forget(self, job: Job) -> None:
        """Stop a job and delete all that there is of it."""
        self.jobs.pop(job.id, None)
        task = self.tasks.get(job.id)
        if task:
            task.cancel()
            await asyncio.wait([task])
        await whole(self.spool.delete, job.id)

    def abandon(self, job: Job) -> None:
        """Forget a job whose client went away; for those who may not wait."""
        task = asyncio.create_task(self.forget(job))
        self.leaving.add(task)
        task.add_done_callback(self.leaving.discard)

    async def finished(self, job: Job) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: job.over)

    async def watch(self, job: Job) -> AsyncIterator[Job]:
        """The job at each change, the last time when it is over."""
        while True:
            seen = (job.state, job.stage, job.progress)
            yield job
            if job.over:
                return
            async with self.changed:
                await self.changed.wait_for(lambda seen=seen: (job.state, job.stage, job.progress) != seen)  # type: ignore[misc]

    async def read(self, job: Job, name: str) -> bytes:
        """A file of a job that has ended well. Raises a 409 for any other."""
        if job.state != "succeeded":
            raise ProblemError(
                409, f"the accompaniment is {job.state}; ask for its audio when it has succeeded"
            )
        try:
            return await whole(self.spool.read, job.id, name)
        except FileNotFoundError:
            raise ProblemError(404, "this part of the result is not there") from None

    def _start(self, job: Job, place: Place) -> None:
        job.starts += 1
        place.of_a_job = True
        task = asyncio.create_task(self._run(job))
        self.tasks[job.id] = task

        def end(_: object) -> None:
            place.give_back()
            self.tasks.pop(job.id, None)

        task.add_done_callback(end)

    async def _run(self, job: Job) -> None:
        """From order to result; whatever happens becomes the job's state."""
        began = time.monotonic()
        state: State = "failed"
        error: ProblemError | None = None
        try:
            if job.starts > MOST_STARTS:
                raise ProblemError(
                    500, "the service broke down several times during this job; it is not tried again"
                )
            await whole(self.spool.write_state, job.id, job.to_json())
            async with asyncio.timeout(self.settings.max_job_seconds):
                await self._make(job)
            state = "succeeded"
        except asyncio.CancelledError:
            state = "cancelled"
        except ProblemError as problem:
            error = problem
        except (AudioError, ValueError) as problem:
            error = ProblemError(422, str(problem))
        except TimeoutError:
            error = ProblemError(
                504, f"not done within {self.settings.max_job_seconds:g} s; send less at once"
            )
        except WorkerLost as problem:
            error = ProblemError(503, str(problem), {"Retry-After": "10"})
        except Exception:
            log.exception("job %s failed", job.id)
            error = ProblemError(500, "the server made a mistake; it is in its log")
        job.problem = error.problem.model_dump() if error else None
        took = time.monotonic() - began
        if state == "succeeded":
            self.usual_seconds += 0.2 * (took - self.usual_seconds)
        job.ended = time.time()
        self.meters.ended(state, job.seconds / took if job.seconds and state == "succeeded" else None)
        if state != "cancelled":
            await whole(self.spool.write_state, job.id, job.to_json() | {"state": state})
            await whole(self.spool.delete_file, job.id, RECORDING)
        await self._tell(
            job, state=state, stage="done", progress=1.0 if state == "succeeded" else job.progress
        )

    async def _make(self, job: Job) -> None:
        latents, samples, bands = await self._prepare(job)
        vocals = latents["vocals"]
        job.seconds = samples / SAMPLE_RATE
        region = None
        if job.order.remake:
            region = region_frames(job.order.remake, samples)
        shares = [0.0] * len(bands)

        async def tell(variation: int, share: float) -> None:
            shares[variation] = share
            done = HEARD + (SAMPLED - HEARD) * sum(shares) / len(shares)
            await self._tell(job, state="running", stage="sample", progress=done)

        await tell(0, 0.0)
        async with self._timed(job, "sample"):
            await together(
                self._fill(vocals, band, region, recipe, number, tell)
                for number, (band, recipe) in enumerate(zip(bands, job.order.recipes, strict=True))
            )
        await self._tell(job, stage="decode", progress=SAMPLED)
        async with self._timed(job, "decode"):
            await together(self._play(job, band, number, samples) for number, band in enumerate(bands))
        made = {f"band-{number}": band for number, band in enumerate(bands)}
        await whole(self.spool.write_latents, job.id, {"vocals": vocals} | made)

    async def _prepare(self, job: Job) -> tuple[dict[str, Tensor], int, list[Tensor]]:
        """Latents of the vocals, their length in samples, and what each variation begins with."""
        remake = job.order.remake
        if remake:
            earlier = self.find(remake.job, job.order.owner)
            stem = await self.read(earlier, VOCALS)
            latents = await whole(self.spool.read_latents, earlier.id)
            await whole(self.spool.write, job.id, VOCALS, stem)
            samples = round((earlier.seconds or 0) * SAMPLE_RATE)
            return latents, samples, [latents[f"band-{remake.variation}"].clone() for _ in job.order.recipes]
        await self._tell(job, stage="separate" if job.order.separate else "encode")
        recording = await whole(self.spool.read, job.id, RECORDING)
        async with self._timed(job, job.stage):
            heard = await self.workers.hear(recording, job.order.separate)
        await whole(self.spool.write, job.id, VOCALS, heard.vocals)
        bands = [torch.zeros_like(heard.latents) for _ in job.order.recipes]
        return {"vocals": heard.latents}, heard.samples, bands

    async def _fill(
        self,
        vocals: Tensor,
        band: Tensor,
        region: tuple[int, int] | None,
        recipe: Recipe,
        number: int,
        tell: Callable[[int, float], Awaitable[None]],
    ) -> None:
        """Make one variation's windows in `band`, one after the other."""
        windows = plan_windows(vocals.shape[-1], region)
        for done, window in enumerate(windows):
            place = slice(window.start, window.stop)
            task = WindowTask(vocals[:, place].clone(), band[:, place].clone(), window, recipe)
            async for made in self.workers.sample(task):
                if isinstance(made, Tensor):
                    band[:, place] = made
                else:
                    await tell(number, (done + made) / len(windows))

    async def _play(self, job: Job, band: Tensor, number: int, samples: int) -> None:
        """Decode one variation, piece by piece, and write it down."""
        frames = -(-samples // FRAME_SAMPLES)
        pieces = []
        for start in range(0, frames, PIECE_FRAMES):
            pieces.append(await self.workers.play(band, start, min(frames, start + PIECE_FRAMES)))
            share = (1 - SAMPLED) * PIECE_FRAMES / frames / len(job.order.recipes)
            await self._tell(job, progress=min(0.99, job.progress + share))
        stem = await self.workers.join(pieces, samples)
        await whole(self.spool.write, job.id, band_file(number), stem)

    @contextlib.asynccontextmanager
    async def _timed(self, job: Job, stage: str) -> AsyncIterator[None]:
        began = time.monotonic()
        yield
        job.stage_seconds[stage] = round(time.monotonic() - began, 3)
        self.meters.stage(stage, job.stage_seconds[stage])

    async def _tell(self, job: Job, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(job, name, value)
        async with self.changed:
            self.changed.notify_all()


async def whole(call: Callable[..., Result], *arguments: Any) -> Result:
    """A call in a thread. Cancelled, it is waited for first: nothing is written after a job was deleted."""
    work = asyncio.get_running_loop().run_in_executor(None, call, *arguments)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


async def together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all; the first that fails stops the others, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except* Exception as errors:
        raise errors.exceptions[0] from None
