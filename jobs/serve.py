"""The service on Ray Serve: HTTP, jobs and page in `Studio`; denoising in `Windows`; reading and decoding in `Audio`.

    serve run jobs.serve:app
    serve run jobs.serve:app checkpoint=s3://bucket/runs/first device=cuda
    serve run --app-dir . cluster/serve.yaml

The arguments, each with its environment variable, are those of `jobs/serving/settings.py`.
"""

import asyncio
import logging
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from jobs.serving.api import build_api
from jobs.serving.desk import Desk, WorkerLost
from jobs.serving.job import State
from jobs.serving.settings import Settings
from jobs.serving.spool import Spool
from jobs.serving.workers import Coder, Heard, ModelCard, OneThread, Sampler
from samuel.generation import PRETRAINED, WindowTask
from samuel.generation.recordings import Mixdown
from samuel.storage import is_s3
from samuel.training.checkpoint import best_of

import ray
from ray import serve
from ray.exceptions import ObjectLostError, RayActorError, RayTaskError
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle
from ray.util.metrics import Counter, Gauge, Histogram

log = logging.getLogger(__name__)
Result = TypeVar("Result")

TRIES = 4
"""Of a call whose worker died."""

TELL_SECONDS = 0.25
"""Between two words on the progress of a batch."""

LEFT_SECONDS = 600.0
"""A spool that nobody touched for so long is nobody's."""

LOST = (RayActorError, ObjectLostError, DeploymentUnavailableError)


@dataclass(frozen=True, eq=False)  # eq: Serve compares what is streamed, and tensors have no truth value
class Made:
    latents: Tensor


batched: Any = serve.batch(max_batch_size=1, batch_wait_timeout_s=0)


class Windows:
    """Denoises windows, of whichever requests, in batches."""

    def __init__(self, settings: Settings, device: str):
        self.thread = OneThread(settings, device)
        self.sampler = self.thread.waited_for(Sampler, settings, device)

    def reconfigure(self, config: dict[str, Any]) -> None:
        """`user_config`: how many windows to a batch, and how long to wait for one to fill."""
        self.denoise.set_max_batch_size(config["batch_size"])
        self.denoise.set_batch_wait_timeout_s(config["batch_wait_seconds"])

    @batched
    async def denoise(self, tasks: list[WindowTask]) -> AsyncIterator[list[float] | list[Made]]:
        """To each task, shares done, then its latents."""
        share = 0.0

        def progress(done: float) -> None:
            nonlocal share
            share = done

        work = asyncio.ensure_future(self.thread(self.sampler, tasks, progress))
        while not (await asyncio.wait({work}, timeout=TELL_SECONDS))[0]:
            yield [share] * len(tasks)
        yield [Made(latents) for latents in work.result()]

    async def sample(self, task: WindowTask) -> AsyncIterator[float | Made]:
        """Shares of the window done, then its latents."""
        async for said in self.denoise(task):
            yield said

    async def card(self) -> ModelCard:
        return self.sampler.card()


class Audio:
    """Reads recordings, decodes latents, mixes and converts."""

    def __init__(self, settings: Settings, device: str):
        self.thread = OneThread(settings, device)
        self.coder = self.thread.waited_for(Coder, settings, device)

    async def ready(self) -> bool:
        return True

    async def do(self, what: str, *arguments: Any) -> Any:
        """A method of `Coder`."""
        return await self.thread(getattr(self.coder, what), *arguments)


class RemoteWorkers:
    """`desk.Workers` on Ray: a call whose replica dies is made again, by another one."""

    def __init__(self, windows: DeploymentHandle, audio: DeploymentHandle):
        self.windows, self.audio = windows, audio
        self.known: ModelCard | None = None

    async def hear(self, recording: bytes, separate: bool) -> Heard:
        return await self._do("hear", recording, separate)

    async def play(self, latents: Tensor, start: int, stop: int) -> bytes:
        return await self._do("play", latents, start, stop)

    async def join(self, pieces: list[bytes], samples: int, file_format: str) -> bytes:
        return await self._do("join", pieces, samples, file_format)

    async def convert(self, stem: bytes, file_format: str) -> bytes:
        return stem if file_format == "flac" else await self._do("convert", stem, file_format)

    async def mix(
        self, vocals: bytes, pieces: list[bytes], samples: int, mixdown: Mixdown, file_format: str
    ) -> bytes:
        return await self._do("mix", vocals, pieces, samples, mixdown, file_format)

    async def card(self) -> ModelCard:
        if self.known:
            return self.known
        card: ModelCard = await self._again(lambda: self.windows.card.remote())
        self.known = card
        return card

    async def ready(self) -> bool:
        """Whether both kinds have answered once; later, busy or dead and replaced, they are waited for."""
        try:
            async with asyncio.timeout(2):
                if not self.known:
                    await self.audio.ready.remote()
                await self.card()
        except (TimeoutError, WorkerLost, *LOST):
            return False
        return True

    async def sample(self, task: WindowTask) -> AsyncIterator[float | Tensor]:
        for left in reversed(range(TRIES)):
            stream: Any = self.windows.options(stream=True).sample.remote(task)
            try:
                async for said in stream:
                    yield said.latents if isinstance(said, Made) else said
                return
            except LOST as error:
                await lost(error, left)
            except RayTaskError as error:
                raise error.cause from None
            except (asyncio.CancelledError, GeneratorExit):
                stream.cancel()
                raise

    async def _do(self, what: str, *arguments: Any) -> Any:
        return await self._again(lambda: self.audio.do.remote(what, *arguments))

    async def _again(self, call: Callable[[], Awaitable[Result]]) -> Result:
        for left in reversed(range(TRIES)):
            try:
                return await call()
            except LOST as error:
                await lost(error, left)
            except RayTaskError as error:  # its own text is a traceback
                raise error.cause from None
        raise AssertionError("`lost` raises at the last try")


async def lost(error: Exception, left: int) -> None:
    """Wait a little before another try; raise where none is left."""
    log.warning("a worker died, %d tries left: %s", left, type(error).__name__)
    if not left:
        raise WorkerLost(f"the worker died {TRIES} times at this; try again later") from error
    await asyncio.sleep(0.5)


class RayMeters:
    """`desk.Meters` in Prometheus form, at the metrics port of each Ray node."""

    def __init__(self) -> None:
        self.taken = Gauge("samuel_places_taken", "Accompaniments accepted and not yet made.")
        self.seconds = Histogram(
            "samuel_stage_seconds",
            "Of a stage of one accompaniment.",
            boundaries=[0.1, 0.3, 1, 3, 10, 30, 100, 300],
            tag_keys=("stage",),
        )
        self.count = Counter("samuel_accompaniments", "That came to an end.", tag_keys=("state",))
        self.speed = Histogram(
            "samuel_times_real_time",
            "Seconds of vocals for a second of waiting.",
            boundaries=[0.1, 0.3, 1, 3, 10, 30, 100],
        )

    def places(self, taken: int) -> None:
        self.taken.set(taken)

    def stage(self, name: str, seconds: float) -> None:
        self.seconds.observe(seconds, {"stage": name})

    def ended(self, state: State, speed: float | None) -> None:
        self.count.inc(1, {"state": state})
        if speed:
            self.speed.observe(speed)


@serve.ingress(None)
class Studio:
    """The one desk: all HTTP and all jobs. Killed, it begins again with the jobs that lie in the spool."""

    async def __init__(self, settings: Settings, windows: DeploymentHandle, audio: DeploymentHandle) -> None:  # type: ignore[misc]
        # `async` is Serve's: no request comes before the jobs of an earlier desk are there
        self.settings = settings
        self.own_spool = None if settings.spool else default_spool()
        spool = Spool(settings.spool or str(self.own_spool))
        self.desk = Desk(RemoteWorkers(windows, audio), spool, settings, RayMeters())
        await self.desk.open()
        self.sweeping = asyncio.create_task(self.desk.sweep())

    def __serve_build_asgi_app__(self) -> Any:
        return build_api(self.desk, self.settings)

    def check_health(self) -> None:
        """Serve asks every few seconds: so whoever finds the folder knows that it is in use."""
        if self.own_spool:
            with suppress(FileNotFoundError):
                os.utime(self.own_spool)

    def __del__(self) -> None:
        """When the app is stopped (Ctrl-C, `serve shutdown`), not when it is killed: nobody's voice stays behind."""
        if self.own_spool:
            shutil.rmtree(self.own_spool, ignore_errors=True)


def default_spool() -> Path:
    """Below the system's temporary folder; the same for a replica that takes a dead one's place.

    Those that an app left which was killed with all of its Ray are deleted.
    """
    temporary = Path(tempfile.gettempdir())
    for other in temporary.glob("samuel-session_*"):
        with suppress(OSError):  # another user's, or gone
            if time.time() - other.stat().st_mtime > LEFT_SECONDS:
                shutil.rmtree(other)
    session = ray.get_runtime_context().get_session_name()
    folder = temporary / f"samuel-{session}-{serve.get_replica_context().app_name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def app(arguments: dict[str, Any]) -> serve.Application:
    """What `serve run jobs.serve:app name=value ...` starts."""
    settings = Settings(**arguments)
    checkpoint = settings.checkpoint or str(PRETRAINED)
    if not is_s3(checkpoint):
        best_of(checkpoint)  # what is missing is said here, not in the log of a replica
    device = settings.device
    if device == "auto":
        if not ray.is_initialized():  # `serve run` calls this first, then uses the Ray that it finds
            ray.init(namespace="serve")
        device = "cuda" if ray.cluster_resources().get("GPU") else "cpu"
    # One GPU holds both; on a CPU both use all cores, in turn.
    kind, other = ("num_gpus", {"num_cpus": 0}) if device == "cuda" else ("num_cpus", {})
    batch = settings.batch_size or (16 if device == "cuda" else 1)
    windows = deployment(
        Windows,
        ray_actor_options={kind: 0.6} | other,
        max_ongoing_requests=max(64, 4 * batch),
        user_config={"batch_size": batch, "batch_wait_seconds": 0.02 if batch > 1 else 0.0},
        autoscaling_config=scaling(settings.samplers, 2 * batch),
    ).bind(settings, device)
    audio = deployment(
        Audio,
        ray_actor_options={kind: 0.4} | other,
        max_ongoing_requests=64,  # beyond, requests ask the replica again and again, at the cost of its core
        autoscaling_config=scaling(settings.coders, 2),
    ).bind(settings, device)
    studio = deployment(Studio, ray_actor_options={"num_cpus": 0}, max_ongoing_requests=1000, num_replicas=1)
    return studio.bind(settings, windows, audio)


def deployment(work: type, **options: Any) -> serve.Deployment:
    """A deployment named like its class; a dead replica is noticed within seconds."""
    made: Any = serve.deployment(
        name=work.__name__, health_check_period_s=5, graceful_shutdown_timeout_s=20, **options
    )
    return made(work)


def scaling(most: int, each: int) -> dict[str, Any]:
    """From one replica to `most`, so that each has about so many calls under way."""
    return {
        "min_replicas": 1,
        "initial_replicas": 1,
        "max_replicas": most,
        "target_ongoing_requests": each,
        "upscale_delay_s": 10,
        "downscale_delay_s": 300,
    }
