"""The service without Ray, in this process: the real sampler and coder in threads, behind a real HTTP server."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import uvicorn
from torch import Tensor

from jobs.serving.api import build_api
from jobs.serving.desk import Desk, State
from jobs.serving.settings import Settings
from jobs.serving.spool import Spool
from jobs.serving.workers import Coder, Heard, ModelCard, Sampler, one_thread
from samuel.generation import WindowTask


class LocalWorkers:
    def __init__(self, settings: Settings):
        self.coder, self.sampler = Coder(settings, "cpu"), Sampler(settings, "cpu")
        self.thread = one_thread(settings, "cpu")

    async def sample(self, task: WindowTask) -> AsyncIterator[float | Tensor]:
        yield 0.0
        (made,) = await self._do(self.sampler, [task])
        yield made

    async def hear(self, recording: bytes, separate: bool) -> Heard:
        return await self._do(self.coder.hear, recording, separate)

    async def play(self, latents: Tensor, samples: int) -> bytes:
        return await self._do(self.coder.play, latents, samples)

    async def convert(self, stem: bytes, file_format: str) -> bytes:
        return await self._do(self.coder.convert, stem, file_format)

    async def mix(self, vocals: bytes, band: bytes, balance_db: float, file_format: str) -> bytes:
        return await self._do(self.coder.mix, vocals, band, balance_db, file_format)

    async def _do(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.thread, work, *arguments)

    async def card(self) -> ModelCard:
        return self.sampler.card()

    async def ready(self) -> bool:
        return True


class Counted:
    """Meters that remember."""

    def __init__(self) -> None:
        self.taken = 0
        self.ends: list[tuple[State, float | None]] = []
        self.stages: list[str] = []

    def places(self, taken: int) -> None:
        self.taken = taken

    def stage(self, name: str, seconds: float) -> None:
        self.stages.append(name)

    def ended(self, state: State, speed: float | None) -> None:
        self.ends.append((state, speed))


@contextlib.contextmanager
def running(settings: Settings, spool: Path, meters: Any = None) -> Iterator[str]:
    """The address of the service, on an own event loop in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))

    async def work() -> None:
        torch.set_num_threads(1)
        desk = Desk(LocalWorkers(settings), Spool(spool), settings, meters or Counted())
        await desk.open()
        sweeping = asyncio.create_task(desk.sweep())
        await server_of(build_api(desk, settings)).serve([listener])
        sweeping.cancel()

    servers: list[uvicorn.Server] = []

    def server_of(api: Any) -> uvicorn.Server:
        servers.append(uvicorn.Server(uvicorn.Config(api, log_level="warning", lifespan="off")))
        return servers[0]

    thread = threading.Thread(target=asyncio.run, args=(work(),), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    for server in servers:
        server.should_exit = True
    thread.join(30)
