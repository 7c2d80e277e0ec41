"""The service without Ray, in this process: the real sampler and coder in threads, behind a real HTTP server."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import torch
import uvicorn
from torch import Tensor

from jobs.serving.api import build_api
from jobs.serving.job import State
from jobs.serving.job_manager import JobManager
from jobs.serving.job_store import JobStore
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
from samuel.codec import load_codec
from samuel.config import LATENT_CHANNELS
from samuel.generation import Mixdown, WindowTask
from samuel.model import SamuelUNet
from samuel.training import Statistics
from samuel.training.checkpoint import Checkpoint, RunConfig, save
from samuel.training.config import Student
from samuel.training.presets import preset_named


def write_tiny_checkpoint(folder: Path, student: Student | None = None) -> str:
    """A checkpoint of the preset tiny with random weights: its bands are noise."""
    preset = preset_named("tiny")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = SamuelUNet(preset.model).state_dict()  # with zeros where training begins
        weights = {
            name: one + 0.05 * torch.randn(one.shape) if one.is_floating_point() else one
            for name, one in weights.items()
        }
    moments = torch.stack((torch.zeros(LATENT_CHANNELS), torch.ones(LATENT_CHANNELS)))
    config = RunConfig(
        "tiny", preset.model, preset.training, load_codec("mini").identity, "none", student=student
    )
    statistics = Statistics(moments, moments.clone())
    save(folder, Checkpoint(config, weights, weights, statistics, {}, {"step": 0}), best=True)
    return str(folder)


class LocalWorkers:
    def __init__(self, settings: Settings):
        self.work, self.sampler = AudioWorker(settings, "cpu"), DenoisingWorker(settings, "cpu")
        self.thread = OneThread(settings, "cpu")

    async def sample(self, task: WindowTask) -> AsyncIterator[float | Tensor]:
        yield 0.0
        (made,) = await self._do(self.sampler, [task])
        yield made

    async def read(self, recording: bytes) -> bytes:
        return await self._do(self.work.read, recording)

    async def prepare(
        self, recording: bytes, separate: bool, seeds: tuple[int, ...], options: SheetOptions
    ) -> PreparedVocals:
        return await self._do(self.work.prepare, recording, separate, seeds, options)

    async def coder(self, what: str, *arguments: Any) -> Any:
        return await self._do(getattr(self.work, what), *arguments)

    async def decode(self, latents: Tensor, pieces: list[Piece]) -> list[bytes]:
        return await self._do(self.work.decode, latents, pieces)

    async def concatenate(self, pieces: list[bytes], samples: int, file_format: str) -> bytes:
        return await self._do(self.work.concatenate, pieces, samples, file_format)

    async def transcode(self, stem: bytes, file_format: str) -> bytes:
        return await self._do(self.work.transcode, stem, file_format)

    async def mix(
        self, vocals: bytes, pieces: list[bytes], samples: int, mixdown: Mixdown, file_format: str
    ) -> MixedFile:
        return await self._do(self.work.mix, vocals, pieces, samples, mixdown, file_format)

    async def _do(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await self.thread(work, *arguments)

    async def card(self) -> ModelCard:
        return self.sampler.card()

    async def ready(self) -> bool:
        return True


class HalfWayWorkers(LocalWorkers):
    """Real, but a song's second window waits for `gate`, and fails where `broken`."""

    gate = threading.Event()
    broken = False

    async def sample(self, task: WindowTask) -> AsyncIterator[float | Tensor]:
        while task.window.start > 0 and not self.gate.is_set():
            yield 0.0
            await asyncio.sleep(0.05)
        if task.window.start > 0 and self.broken:
            raise ValueError("this window cannot be made")
        async for made in super().sample(task):
            yield made


class RememberedMetrics:
    """ServiceMetrics that remember."""

    def __init__(self) -> None:
        self.taken = 0
        self.ends: list[tuple[State, float | None]] = []
        self.stages: list[str] = []
        self.sounds: list[str] = []

    def slots(self, taken: int) -> None:
        self.taken = taken

    def stage(self, name: str, seconds: float) -> None:
        self.stages.append(name)

    def sound(self, kind: str) -> None:
        self.sounds.append(kind)

    def ended(self, state: State, speed: float | None) -> None:
        self.ends.append((state, speed))


@contextlib.contextmanager
def running(
    settings: Settings, spool: Path | JobStore, workers: Callable[[Settings], Any] = LocalWorkers
) -> Iterator["Service"]:
    """The service, on an event loop of its own in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))

    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    started: Future[tuple[Service, uvicorn.Server]] = Future()

    async def work() -> None:
        torch.set_num_threads(1)
        metrics = RememberedMetrics()
        manager = JobManager(
            workers(settings), spool if isinstance(spool, JobStore) else JobStore(spool), settings, metrics
        )
        await manager.open()
        sweeping = asyncio.create_task(manager.sweep())
        server = uvicorn.Server(
            uvicorn.Config(
                build_api(manager, settings), log_level="warning", lifespan="off", access_log=False
            )
        )
        started.set_result((Service(address, manager, metrics), server))
        await server.serve([listener])
        sweeping.cancel()

    thread = threading.Thread(target=asyncio.run, args=(work(),), daemon=True)
    thread.start()
    service, server = started.result(120)
    try:
        yield service
    finally:
        server.should_exit = True
        thread.join(30)


@dataclass(frozen=True)
class Service:
    address: str
    manager: JobManager
    """Of another event loop: to look at only."""
    metrics: RememberedMetrics

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=120, headers=headers)
