"""The files of jobs: what a killed service finds again.

<spool>/<job id>/
    job.json               the request and its state; written when the job is accepted and when it ends
    recording              the upload, until it was read
    vocals.wav             the voice that was heard
    latents.safetensors    `vocals`, and `band-0`, `band-1`, ... of the variations
    band-0-000.wav, ...    the accompaniments, each in pieces that follow on each other

The folder is local or on S3. A job's id is a random name from us: no part of a path comes from a user.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from jobs.serving.problems import ProblemError, is_full
from samuel.storage import (
    Location,
    StorageError,
    as_path,
    delete,
    is_s3,
    list_files,
    read_bytes,
    write_atomic,
)

log = logging.getLogger(__name__)
Result = TypeVar("Result")

STATE = "job.json"
RECORDING = "recording"
VOCALS = "vocals.wav"
LATENTS = "latents.safetensors"


def arranged_file(variation: int, number: int) -> str:
    """A piece of the arrangement's own sound."""
    return piece_file(variation, number).replace("band", "arrangement")


def piece_file(variation: int, number: int) -> str:
    return f"band-{variation}-{number:03}.wav"


class JobStore:
    """Blocking; call it in a thread."""

    def __init__(self, root: Location):
        self.root = as_path(root)
        self.closed = False

    def write(self, job: str, name: str, content: bytes) -> None:
        if self.closed:  # what is written now would stay for ever
            raise StorageError("the service is stopping")
        write_atomic(self.root / job / name, content)

    def read(self, job: str, name: str) -> bytes:
        path = self.root / job / name
        try:
            return read_bytes(path)
        except FileNotFoundError:  # stems of before were in WavPack
            if path.suffix != ".wav":
                raise
            return read_bytes(path.with_suffix(".wv"))

    def write_state(self, job: str, state: dict[str, Any]) -> None:
        self.write(job, STATE, json.dumps(state).encode())

    def write_latents(self, job: str, latents: dict[str, Tensor]) -> None:
        self.write(job, LATENTS, to_safetensors({name: one.contiguous() for name, one in latents.items()}))

    def read_latents(self, job: str) -> dict[str, Tensor]:
        return from_safetensors(self.read(job, LATENTS))

    def states(self) -> dict[str, dict[str, Any]]:
        """By id, of the jobs that were accepted. What a crash left of others is deleted."""
        states: dict[str, dict[str, Any]] = {}
        jobs = {file.name.split("/")[0] for file in list_files(self.root).files if "/" in file.name}
        for job in jobs:
            try:
                states[job] = json.loads(self.read(job, STATE))
            except FileNotFoundError:
                self.delete(job)
            except ValueError as error:
                if isinstance(error, StorageError):
                    raise
                log.error("the state of job %s is not JSON; its files are deleted: %s", job, error)
                self.delete(job)
        return states

    def delete_file(self, job: str, name: str) -> None:
        delete(self.root / job / name)

    def clear(self, job: str) -> None:
        """All of a job but its state."""
        folder = self.root / job
        for file in list_files(folder).files:
            if file.name != STATE:
                delete(folder / file.name)

    def delete(self, job: str) -> None:
        """All of a job; its state first: without it there is no job."""
        folder = self.root / job
        delete(folder / STATE)
        self.clear(job)
        if not is_s3(folder) and folder.exists():
            folder.rmdir()


class StoreCalls:
    """Calls of a store for coroutines: in a thread, and what goes wrong is a problem fit to be told.

    `make_room` is asked once where the disk is full, says whether it deleted anything, and the call is made again.
    """

    def __init__(self, store: JobStore, make_room: Callable[[], Awaitable[bool]], wait: Callable[[], int]):
        self.store, self.make_room = store, make_room
        self.wait = wait
        """After how many seconds a client may try again when the disk is full."""

    async def __call__(self, call: Callable[..., Result], *arguments: Any) -> Result:
        """Raises FileNotFoundError; a 507 of a full disk, a 503 of any other fault: never with a path."""
        try:
            try:
                return await run_in_thread(call, *arguments)
            except (StorageError, OSError) as error:
                if not (is_full(error) and await self.make_room()):
                    raise
                return await run_in_thread(call, *arguments)
        except FileNotFoundError:
            raise
        except (StorageError, OSError) as error:
            log.error("the job store: %s", error)
            raise (full_disk(self.wait()) if is_full(error) else away()) from error


def full_disk(wait: int) -> ProblemError:
    return ProblemError(
        507,
        f"the service has no room left; it makes room as results expire: try again in {wait} s",
        {"Retry-After": str(wait)},
    )


def away() -> ProblemError:
    return ProblemError(
        503, "the service cannot reach its files at the moment; try again in 10 s", {"Retry-After": "10"}
    )


async def run_in_thread(call: Callable[..., Result], *arguments: Any) -> Result:
    """A call in a thread. Cancelled, it is waited for first: nothing is written after a job was deleted."""
    work = asyncio.get_running_loop().run_in_executor(None, call, *arguments)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
