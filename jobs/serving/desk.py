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
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from jobs.serving.job import Job, Order, State, region_frames
from jobs.serving.problems import ProblemError
from jobs.serving.settings import Settings
from jobs.serving.spool import RECORDING, VOCALS, Spool, piece_file
from jobs.serving.workers import Heard, ModelCard
from samuel.audio import AudioError
from samuel.config import SAMPLE_RATE
from samuel.generation import Recipe, WindowTask, plan_windows
from samuel.generation.recordings import Mixdown

log = logging.getLogger(__name__)
Result = TypeVar("Result")

HEARD = 0.05
"""Share of the work that is done when the vocals are heard."""

SAMPLING = 0.6
"""Share of the sampler in the rest; the other is the decoder's."""

MOST_STARTS = 3
"""A job that was in the works at so many crashes of the desk may be their cause."""


class Workers(Protocol):
    """Who does the work: processes elsewhere. Each call may take long; a cancelled one should stop."""

    async def hear(self, recording: bytes, separate: bool) -> Heard: ...

    def sample(self, task: WindowTask) -> AsyncIterator[float | Tensor]:
        """Shares done, then the window's latents."""
        ...

    async def play(self, latents: Tensor, start: int, stop: int) -> bytes: ...

    async def join(self, pieces: list[bytes], samples: int, file_format: str) -> bytes: ...

    async def convert(self, stem: bytes, file_format: str) -> bytes: ...

    async def mix(
        self, vocals: bytes, pieces: list[bytes], samples: int, mixdown: Mixdown, file_format: str
    ) -> bytes: ...

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


@dataclass
class Take:
    """One variation in the making."""

    number: int
    recipe: Recipe
    vocals: Tensor
    band: Tensor
    """Latents (64, frames), as far as they are made."""
    region: tuple[int, int] | None
    """Frames to make anew; None: all."""
    reach: int
    """How many frames away a latent still changes the sound."""
    done: float = 0.0

    def touches(self, start: int, stop: int) -> bool:
        """Whether what is made is heard in frames `start` to `stop`."""
        first, last = self.region or (0, self.band.shape[-1])
        return start - self.reach <= last and first < stop + self.reach


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

    async def listen(self, job: Job, variation: int) -> AsyncIterator[bytes]:
        """A variation's pieces, each as soon as it is made. Raises the problem of a job that has ended, or ends, before them."""
        if variation >= len(job.order.recipes):
            raise ProblemError(404, f"there is no variation {variation}")
        if job.over:
            require_success(job)
        heard = 0

        def made() -> int:
            return job.made[variation] if job.made else 0

        while True:
            async with self.changed:
                await self.changed.wait_for(lambda heard=heard: job.over or made() > heard)  # type: ignore[misc]
            if made() == heard:
                break
            yield await self._file(job, piece_file(variation, heard))
            heard += 1
        require_success(job)

    async def read(self, job: Job, name: str) -> bytes:
        """A file of a job that has ended well, or the voice once it is heard. Raises a 409 for any other."""
        heard = name == VOCALS and job.state == "running" and job.made
        if job.state != "succeeded" and not heard:
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
            for stage, seconds in job.stage_seconds.items():
                self.meters.stage(stage, seconds)
        job.ended = time.time()
        self.meters.ended(state, job.seconds / took if job.seconds and state == "succeeded" else None)
        if state != "cancelled":
            await whole(self.spool.write_state, job.id, job.to_json() | {"state": state})
            await whole(self.spool.delete_file, job.id, RECORDING)
        await self._tell(
            job, state=state, stage="done", progress=1.0 if state == "succeeded" else job.progress
        )

    async def _make(self, job: Job) -> None:
        vocals, bands = await self._prepare(job)
        reach = (await self.workers.card()).decoder_reach
        region = region_frames(job.order.remake, job.samples) if job.order.remake else None
        takes = [
            Take(number, recipe, vocals, band, region, reach)
            for number, (recipe, band) in enumerate(zip(job.order.recipes, bands, strict=True))
        ]
        job.made = [0] * len(takes)
        await self._tell(job, state="running", stage="sample", progress=HEARD)
        await together(self._make_take(job, take) for take in takes)
        made = {f"band-{take.number}": take.band for take in takes}
        await whole(self.spool.write_latents, job.id, {"vocals": vocals} | made)

    async def _prepare(self, job: Job) -> tuple[Tensor, list[Tensor]]:
        """Latents of the vocals, and what each variation begins with."""
        remake = job.order.remake
        if remake:
            earlier = self.find(remake.job, job.order.owner)
            try:
                latents = await whole(self.spool.read_latents, earlier.id)
            except FileNotFoundError:
                raise ProblemError(404, "the accompaniment to change was deleted meanwhile") from None
            vocals, band = latents["vocals"], latents[f"band-{remake.variation}"]
        if remake and remake.stop is not None:
            await whole(self.spool.write, job.id, VOCALS, await self.read(earlier, VOCALS))
            job.seconds = earlier.seconds
            return vocals, [band.clone() for _ in job.order.recipes]
        stage = "separate" if job.order.separate else "encode"
        await self._tell(job, state="running", stage=stage)
        recording = await whole(self.spool.read, job.id, RECORDING)
        async with self._timed(job, stage):
            heard = await self.workers.hear(recording, job.order.separate)
        await whole(self.spool.write, job.id, VOCALS, heard.vocals)
        job.seconds = heard.samples / SAMPLE_RATE
        bands = [torch.zeros_like(heard.latents) for _ in job.order.recipes]
        if remake:
            first, _ = region_frames(remake, heard.samples)
            for longer in bands:
                longer[:, :first] = band[:, :first]
        return heard.latents, bands

    async def _make_take(self, job: Job, take: Take) -> None:
        """Its windows, one after the other; and each piece as soon as nothing in it can change."""
        windows = plan_windows(take.vocals.shape[-1], take.region)
        for number, window in enumerate(windows, 1):
            place = slice(window.start, window.stop)
            task = WindowTask(take.vocals[:, place].clone(), take.band[:, place].clone(), window, take.recipe)
            async with self._timed(job, "sample"):
                async for made in self.workers.sample(task):
                    if isinstance(made, Tensor):
                        take.band[:, place] = made
                    else:
                        await self._tell_share(job, take, (number - 1 + made) / len(windows))
            last = number == len(windows)
            final = take.band.shape[-1] + take.reach if last else window.stop - window.held_after
            async with self._timed(job, "decode"):
                while job.made[take.number] < job.pieces:
                    start, stop = job.frames_of(job.made[take.number])
                    if stop + take.reach > final:
                        break
                    await self._make_piece(job, take, start, stop)
                    job.made[take.number] += 1
                    await self._tell_share(job, take, number / len(windows))

    async def _make_piece(self, job: Job, take: Take, start: int, stop: int) -> None:
        """Frames `start` to `stop` into the spool: decoded, or as they were before where none is new."""
        name = piece_file(take.number, job.made[take.number])
        remake = job.order.remake
        piece = None
        if remake and not take.touches(start, stop):
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                earlier = piece_file(remake.variation, job.made[take.number])
                piece = await whole(self.spool.read, remake.job, earlier)
        await whole(self.spool.write, job.id, name, piece or await self.workers.play(take.band, start, stop))

    async def _tell_share(self, job: Job, take: Take, sampled: float) -> None:
        """Tell how far a job is, of which one take has this share of its windows."""
        done = SAMPLING * sampled + (1 - SAMPLING) * job.made[take.number] / job.pieces
        share = (1 - HEARD) * (done - take.done) / len(job.order.recipes)
        take.done = done
        await self._tell(job, progress=min(0.99, job.progress + share))

    @contextlib.asynccontextmanager
    async def _timed(self, job: Job, stage: str) -> AsyncIterator[None]:
        began = time.monotonic()
        yield
        job.stage_seconds[stage] = round(job.stage_seconds.get(stage, 0.0) + time.monotonic() - began, 3)

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


def require_success(job: Job) -> None:
    """Raises the problem of a job that has not ended well."""
    if job.problem:
        raise ProblemError(job.problem["status"], job.problem["detail"])
    if job.state != "succeeded":
        raise ProblemError(409, f"the accompaniment is {job.state}")
