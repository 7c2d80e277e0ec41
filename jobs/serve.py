"""The service on Ray Serve: HTTP, jobs and page in `Api`; denoising in `Denoiser`; reading and decoding in `AudioCodec`.

    serve run jobs.serve:app
    serve run jobs.serve:app checkpoint=s3://bucket/runs/first device=cuda
    serve run --app-dir . cluster/serve.yaml

The arguments, each with its environment variable, are those of `jobs/serving/settings.py`.
"""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from jobs.runtime.cluster import start
from jobs.runtime.patience import REPLICA_HEALTH_SECONDS, wait_for_proxies
from jobs.serving.api import build_api
from jobs.serving.job import State
from jobs.serving.job_manager import JobManager
from jobs.serving.job_runner import WorkerLost
from jobs.serving.job_store import JobStore
from jobs.serving.private import HeldFolder, delete_left, private_folder
from jobs.serving.settings import Settings
from jobs.serving.sheet_options import SheetOptions
from jobs.serving.workers import (
    AudioWorker,
    DenoisingWorker,
    MixedFile,
    ModelCard,
    OneThread,
    Piece,
    PreparedVocals,
)
from samuel.generation import PRETRAINED, Mixdown, WindowTask
from samuel.storage import as_path, is_s3
from samuel.training.checkpoint import best_of

import ray
from ray import serve
from ray.exceptions import ObjectLostError, RayActorError, RayTaskError
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ApplicationStatus
from ray.util.metrics import Counter, Gauge, Histogram

log = logging.getLogger(__name__)
Result = TypeVar("Result")

TRIES = 4
"""Of a call whose worker died."""

TELL_SECONDS = 0.25
"""Between two words on the progress of a batch."""

LOST = (RayActorError, ObjectLostError, DeploymentUnavailableError)


@dataclass(frozen=True, eq=False)  # eq: Serve compares what is streamed, and tensors have no truth value
class WindowLatents:
    latents: Tensor


batched: Any = serve.batch(max_batch_size=1, batch_wait_timeout_s=0)


class Denoiser:
    """Denoises windows, of whichever requests, in batches."""

    def __init__(self, settings: Settings, device: str):
        self.thread = OneThread(settings, device)
        self.sampler = self.thread.waited_for(DenoisingWorker, settings, device)

    def reconfigure(self, config: dict[str, Any]) -> None:
        """`user_config`: how many windows to a batch, and how long to wait for one to fill."""
        self.denoise.set_max_batch_size(config["batch_size"])
        self.denoise.set_batch_wait_timeout_s(config["batch_wait_seconds"])

    @batched
    async def denoise(self, tasks: list[WindowTask]) -> AsyncIterator[list[float] | list[WindowLatents]]:
        """To each task, shares done, then its latents."""
        share = 0.0

        def progress(done: float) -> None:
            nonlocal share
            share = done

        work = asyncio.ensure_future(self.thread(self.sampler, tasks, progress))
        while not (await asyncio.wait({work}, timeout=TELL_SECONDS))[0]:
            yield [share] * len(tasks)
        yield [WindowLatents(latents) for latents in work.result()]

    async def sample(self, task: WindowTask) -> AsyncIterator[float | WindowLatents]:
        """Shares of the window done, then its latents."""
        async for said in self.denoise(task):
            yield said

    async def card(self) -> ModelCard:
        return self.sampler.card()


class AudioCodec:
    """Reads recordings, decodes latents, mixes and converts."""

    def __init__(self, settings: Settings, device: str):
        self.thread = OneThread(settings, device)
        self.coder = self.thread.waited_for(AudioWorker, settings, device)

    async def ready(self) -> bool:
        return True

    async def do(self, what: str, *arguments: Any) -> Any:
        """A method of `AudioWorker`."""
        return await self.thread(getattr(self.coder, what), *arguments)


class RemoteWorkers:
    """`job_runner.Workers` on Ray: a call whose replica dies is made again, by another one."""

    def __init__(self, denoiser: DeploymentHandle, codec: DeploymentHandle):
        self.denoiser, self.codec = denoiser, codec
        self.known: ModelCard | None = None

    async def read(self, recording: bytes) -> bytes:
        return await self._do("read", recording)

    async def prepare(
        self, recording: bytes, separate: bool, seeds: tuple[int, ...], given: SheetOptions
    ) -> PreparedVocals:
        return await self._do("prepare", recording, separate, seeds, given)

    async def coder(self, what: str, *arguments: Any) -> Any:
        return await self._do(what, *arguments)

    async def decode(self, latents: Tensor, pieces: list[Piece]) -> list[bytes]:
        return await self._do("decode", latents, pieces)

    async def concatenate(self, pieces: list[bytes], samples: int, file_format: str) -> bytes:
        return await self._do("concatenate", pieces, samples, file_format)

    async def transcode(self, stem: bytes, file_format: str) -> bytes:
        return await self._do("transcode", stem, file_format)

    async def mix(
        self, vocals: bytes, pieces: list[bytes], samples: int, mixdown: Mixdown, file_format: str
    ) -> MixedFile:
        return await self._do("mix", vocals, pieces, samples, mixdown, file_format)

    async def card(self) -> ModelCard:
        if self.known:
            return self.known
        card: ModelCard = await self._again(lambda: self.denoiser.card.remote())
        self.known = card
        return card

    async def ready(self) -> bool:
        """Whether both kinds have answered once; later, busy or dead and replaced, they are waited for."""
        try:
            async with asyncio.timeout(2):
                if not self.known:
                    await self.codec.ready.remote()
                await self.card()
        except (TimeoutError, WorkerLost, *LOST):
            return False
        return True

    async def sample(self, task: WindowTask) -> AsyncIterator[float | Tensor]:
        for left in reversed(range(TRIES)):
            stream: Any = self.denoiser.options(stream=True).sample.remote(task)
            try:
                async for said in stream:
                    yield said.latents if isinstance(said, WindowLatents) else said
                return
            except LOST as error:
                await backoff_or_raise(error, left)
            except RayTaskError as error:
                raise error.cause from None
            except (asyncio.CancelledError, GeneratorExit):
                stream.cancel()
                raise

    async def _do(self, what: str, *arguments: Any) -> Any:
        return await self._again(lambda: self.codec.do.remote(what, *arguments))

    async def _again(self, call: Callable[[], Awaitable[Result]]) -> Result:
        for left in reversed(range(TRIES)):
            try:
                return await call()
            except LOST as error:
                await backoff_or_raise(error, left)
            except RayTaskError as error:  # its own text is a traceback
                raise error.cause from None
        raise AssertionError("`backoff_or_raise` raises at the last try")


async def backoff_or_raise(error: Exception, left: int) -> None:
    """Wait a little before another try; raise where none is left."""
    log.warning("a worker died, %d tries left: %s", left, type(error).__name__)
    if not left:
        raise WorkerLost(f"the worker died {TRIES} times at this; try again later") from error
    await asyncio.sleep(0.5)


class PrometheusMetrics:
    """`job_manager.ServiceMetrics` in Prometheus form, at the metrics port of each Ray node."""

    def __init__(self) -> None:
        self.taken = Gauge("samuel_places_taken", "Accompaniments accepted and not yet made.")
        self.seconds = Histogram(
            "samuel_stage_seconds",
            "Of a stage of one accompaniment.",
            boundaries=[0.1, 0.3, 1, 3, 10, 30, 100, 300],
            tag_keys=("stage",),
        )
        self.count = Counter("samuel_accompaniments", "That came to an end.", tag_keys=("state",))
        self.fetched = Counter("samuel_sounds", "That clients asked for.", tag_keys=("kind",))
        self.speed = Histogram(
            "samuel_times_real_time",
            "Seconds of vocals for a second of waiting.",
            boundaries=[0.1, 0.3, 1, 3, 10, 30, 100],
        )

    def slots(self, taken: int) -> None:
        self.taken.set(taken)

    def stage(self, name: str, seconds: float) -> None:
        self.seconds.observe(seconds, {"stage": name})

    def sound(self, kind: str) -> None:
        self.fetched.inc(1, {"kind": kind})

    def ended(self, state: State, speed: float | None) -> None:
        self.count.inc(1, {"state": state})
        if speed:
            self.speed.observe(speed)


@serve.ingress(None)
class Api:
    """All HTTP and all jobs, in one replica. Killed, it begins again with the jobs that lie in the store."""

    async def __init__(self, settings: Settings, denoiser: DeploymentHandle, codec: DeploymentHandle) -> None:  # type: ignore[misc]
        # `async` is Serve's: no request comes before the jobs of an earlier replica are there
        self.settings = settings
        self.held: HeldFolder | None = None
        if not is_s3(settings.spool or ""):
            self.held = await asyncio.to_thread(HeldFolder.hold, spool_folder(settings))
        store = JobStore(str(self.held.folder) if self.held else settings.spool or "")
        self.manager = JobManager(RemoteWorkers(denoiser, codec), store, settings, PrometheusMetrics())
        await self.manager.open()
        self.sweeping = asyncio.create_task(self.manager.sweep())

    def __serve_build_asgi_app__(self) -> Any:
        return build_api(self.manager, self.settings)

    def check_health(self) -> None:
        """Serve asks every few seconds: so whoever finds the folder knows that it is in use."""
        if self.held:
            self.held.touch()

    def __del__(self) -> None:
        """When the app is stopped (Ctrl-C, `serve shutdown`), not when it is killed: nobody's voice stays behind.

        Not when a replica of another version takes this one's place: it goes on with the jobs that lie there.
        """
        if held := getattr(self, "held", None):
            self.manager.store.closed = True
            held.give_up(delete=not self.settings.spool and is_stopped())


def spool_folder(settings: Settings) -> Callable[[], Path]:
    """Finds a local spool: by default below the temporary folder, the same for a replica that takes a dead one's place.

    Those that an app left which was killed with all of its Ray are deleted.
    """
    delete_left("samuel-session_")
    session = ray.get_runtime_context().get_session_name()
    prefix = f"samuel-{session}-{serve.get_replica_context().app_name}"

    def find() -> Path:
        if not settings.spool:
            return private_folder(prefix)
        folder = Path(str(as_path(settings.spool)))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    return find


def is_stopped() -> bool:
    """Whether the app of this replica is being stopped; it is taken for stopped where Serve does not say."""
    found: list[bool] = []

    def ask() -> None:
        known = serve.status().applications.get(serve.get_replica_context().app_name)
        found.append(known is None or known.status == ApplicationStatus.DELETING)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(5)
    return found != [False]


def app(arguments: dict[str, Any]) -> serve.Application:
    """What `serve run jobs.serve:app name=value ...` starts."""
    # Of the Ray that this starts. At Ray's 15 any other busy process goes before a replica, and where two threads share
    # a sum, both wait for the one beside it: somebody waits for what is made here, unlike for a job's.
    os.environ.setdefault("RAY_worker_niceness", "0")
    settings = Settings(**arguments)
    checkpoint = settings.checkpoint or str(PRETRAINED)
    if not is_s3(checkpoint):
        best_of(checkpoint)  # what is missing is said here, not in the log of a replica
    device = settings.device
    wait_for_proxies()
    if device == "auto":
        if not ray.is_initialized():  # `serve run` calls this first, then uses the Ray that it finds
            start(logging.INFO, namespace="serve", include_dashboard=False)
        device = "cuda" if ray.cluster_resources().get("GPU") else "cpu"
    # One GPU holds both; on a CPU both use all cores, in turn.
    kind, other = ("num_gpus", {"num_cpus": 0}) if device == "cuda" else ("num_cpus", {})
    batch = settings.batch_size or (16 if device == "cuda" else 1)
    denoiser = deployment(
        Denoiser,
        ray_actor_options={kind: 0.6} | other,
        max_ongoing_requests=max(64, 4 * batch),
        user_config={"batch_size": batch, "batch_wait_seconds": 0.02 if batch > 1 else 0.0},
        autoscaling_config=scaling(settings.denoiser_replicas, 2 * batch),
    ).bind(settings, device)
    codec = deployment(
        AudioCodec,
        ray_actor_options={kind: 0.4} | other,
        max_ongoing_requests=64,  # beyond, requests ask the replica again and again, at the cost of its core
        autoscaling_config=scaling(settings.codec_replicas, 2),
    ).bind(settings, device)
    api = deployment(Api, ray_actor_options={"num_cpus": 0}, max_ongoing_requests=1000, num_replicas=1)
    return api.bind(settings, denoiser, codec)


def deployment(work: type, **options: Any) -> serve.Deployment:
    """A deployment named like its class; a dead replica is noticed within seconds."""
    made: Any = serve.deployment(
        name=work.__name__,
        health_check_period_s=5,
        health_check_timeout_s=REPLICA_HEALTH_SECONDS,
        graceful_shutdown_timeout_s=20,
        **options,
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
