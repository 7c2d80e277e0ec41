"""The files of jobs: what a killed desk finds again.

<spool>/<job id>/
    job.json               the order and its state; written when the job is accepted and when it ends
    recording              the upload, until it was read
    vocals.flac            the voice that was heard
    latents.safetensors    `vocals`, and `band-0`, `band-1`, ... of the variations
    band-0-000.flac, ...   the accompaniments, each in pieces that follow on each other

The folder is local or on S3. A job's id is a random name from us: no part of a path comes from a user.
"""

import json
from typing import Any

from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from samuel.storage import Location, as_path, delete, is_s3, list_files, read_bytes, write_atomic

STATE = "job.json"
RECORDING = "recording"
VOCALS = "vocals.flac"
LATENTS = "latents.safetensors"


def piece_file(variation: int, number: int) -> str:
    return f"band-{variation}-{number:03}.flac"


class Spool:
    """Blocking; call it in a thread."""

    def __init__(self, root: Location):
        self.root = as_path(root)

    def write(self, job: str, name: str, content: bytes) -> None:
        write_atomic(self.root / job / name, content)

    def read(self, job: str, name: str) -> bytes:
        return read_bytes(self.root / job / name)

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
        return states

    def delete_file(self, job: str, name: str) -> None:
        delete(self.root / job / name)

    def delete(self, job: str) -> None:
        """All of a job; its state first: without it there is no job."""
        folder = self.root / job
        delete(folder / STATE)
        for file in list_files(folder).files:
            delete(folder / file.name)
        if not is_s3(folder) and folder.exists():
            folder.rmdir()
