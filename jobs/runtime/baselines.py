"""Vocals into the tracks of a system with Ray Data, for `evaluate.py`: one actor holds one system.

A track is written as FLAC under its name, and an empty file beside tells of which vocals and prompt it was made:
what is there is not made again. A track that fails is told, and tried again by the next run.
"""

import dataclasses
import hashlib
import io
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console

from jobs.runtime.actor_pool import DIED, pool
from jobs.runtime.progress import show_progress
from jobs.runtime.worker_pool import WorkerPool
from samuel import audio
from samuel.errors import in_words
from samuel.evaluation.efficiency import Timing, measure
from samuel.evaluation.generators import PROMPT, Task, load_system, weights_of
from samuel.evaluation.record import load
from samuel.evaluation.samples import Folder, Sample, folder_version, read_folder
from samuel.storage import absolute, delete, join, list_files, write_atomic

import ray

MADE = ".made"
"""In a system's folder: the keys (`made_of`) of the tracks that are there."""


def produce(
    name: str,
    system: str,
    out: str,
    vocals: dict[str, Sample],
    prompts: dict[str, str],
    workers: WorkerPool,
    max_seconds: float,
    console: Console,
    notice: Callable[[str], None],
) -> tuple[Folder, Timing | None]:
    """A system's tracks, and what it needs for 47.55 s; what goes wrong is told by `notice` and stops nothing."""
    place = folder_of(out, name, system)
    missing = unmade(place, vocals, prompts)
    try:
        with show_progress(f"{name} makes", len(missing), console) as count:
            for row in generate(system, place, missing, workers, max_seconds):
                count()
                if row["error"]:
                    notice(f"{name} made nothing of {row['track']}: {row['error']}")
    except ValueError as error:
        notice(f"{name} makes nothing: {error}")
    lacking = {row["track"] for row in unmade(place, vocals, prompts)}
    tracks = [track for track in vocals if track not in lacking]
    if not tracks:
        return Folder({}), None
    samples = read_folder(name, place).samples
    folder = Folder({track: samples[track] for track in tracks})
    try:
        with console.status(f"timing {name}"):
            timing = time_system(system, vocals[tracks[0]].source, workers.device, max_seconds)
    except ValueError as error:
        notice(str(error))
        return folder, None
    word = system.partition("@")[0]
    return folder, dataclasses.replace(timing, system=name if name == word else f"{name} ({word})")


def folder_of(out: str, name: str, system: str) -> str:
    """Where a system's tracks are kept: another system or other weights under the same name go elsewhere."""
    made_by = (system, folder_version(weights_of(system)))
    return f"{absolute(out)}/samples/{name}-{hashlib.sha256(repr(made_by).encode()).hexdigest()[:8]}"


def made_of(vocals: Sample, prompt: str) -> str:
    """A name for all that decides a track of a given system."""
    return hashlib.sha256(f"{vocals.key}\n{prompt}".encode()).hexdigest()[:24]


class Generate:
    """What a worker of the pool does: a row with vocals in, its error or nothing but a file out."""

    def __init__(
        self, system: str, device: str, folder: str, max_seconds: float, threads: int | None
    ) -> None:
        import torch

        if threads:
            torch.set_num_threads(threads)
        self.folder, self.max_seconds = folder, max_seconds
        self.system = load_system(system, device)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        path = join(self.folder, f"{row['track']}.flac")
        try:
            task = Task(load(row["source"], self.max_seconds), row["prompt"])
            encoded = io.BytesIO()
            audio.write(encoded, self.system.generate(task), "flac")
        except Exception as error:  # one bad track never stops a run
            delete(path)  # of earlier vocals
            return {"error": in_words(error)}
        write_atomic(path, encoded.getvalue())
        write_atomic(join(self.folder, f"{MADE}/{row['made_of']}"), b"")
        return {}


def unmade(folder: str, vocals: dict[str, Sample], prompts: dict[str, str]) -> list[dict[str, str]]:
    """What `folder` lacks: rows for `generate`."""
    present = {file.name for file in list_files(f"{folder}/{MADE}").files}
    rows = []
    for track, sample in vocals.items():
        prompt = prompts.get(track, PROMPT)
        if (key := made_of(sample, prompt)) not in present:
            rows.append({"track": track, "source": sample.source, "prompt": prompt, "made_of": key})
    return rows


def generate(
    system: str, folder: str, rows: list[dict[str, str]], workers: WorkerPool, max_seconds: float
) -> Iterator[dict[str, Any]]:
    """Make the tracks that `unmade` names; yields a row for each. Raises ValueError where the system cannot be had."""
    arguments = (system, workers.device, folder, max_seconds, workers.threads)
    return pool(rows, Generate, arguments, workers, key="track")


def time_system(system: str, vocals: str, device: str, max_seconds: float) -> Timing:
    """What a system needs on a machine of the cluster that has the device. Raises ValueError."""

    def task() -> Timing:
        return measure(system, load(vocals, max_seconds), device, None if device == "cuda" else 1)

    remote = ray.remote(num_cpus=1, num_gpus=1 if device == "cuda" else 0, max_retries=0)(task)
    try:
        return ray.get(remote.remote())
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, ValueError):
            raise ValueError(str(error.cause)) from error
        raise
    except ray.exceptions.RayError as error:  # its process died, and took no other with it
        raise ValueError(f"{system} could not be timed: {DIED}") from error
