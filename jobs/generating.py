"""Vocals into the tracks of a system with Ray Data, for `evaluate.py`: one actor holds one system.

A track is written once, as FLAC under its name; what is there is not made again. A track that fails is told, and
tried again by the next run.
"""

import hashlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

from jobs.connect import Cluster
from samuel import audio
from samuel.evaluation.generators import PROMPT, Task, load_system
from samuel.evaluation.record import load
from samuel.evaluation.samples import Sample
from samuel.storage import absolute, join, list_files, write_atomic

import ray
from ray.data import ActorPoolStrategy, DataContext


def folder_of(out: str, name: str, system: str, prompts: dict[str, str]) -> str:
    """Where a system's tracks are kept: another system or other prompts under the same name go elsewhere."""
    digest = hashlib.sha256(repr((system, sorted(prompts.items()))).encode()).hexdigest()[:8]
    return f"{absolute(out)}/samples/{name}-{digest}"


class Generate:
    """A worker as Ray Data runs it: a row with vocals in, a row with its error out."""

    def __init__(
        self, system: str, device: str, folder: str, max_seconds: float, threads: int | None
    ) -> None:
        import torch

        if threads:
            torch.set_num_threads(threads)
        self.folder, self.max_seconds, self.stop = folder, max_seconds, ""
        try:
            self.system = load_system(system, device)
        except ValueError as error:  # weights that cannot be had
            self.stop = str(error)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if self.stop:
            return row | {"stop": self.stop, "error": ""}
        try:
            task = Task(load(row["source"], self.max_seconds), row["prompt"])
            encoded = io.BytesIO()
            audio.write(encoded, self.system.generate(task), "flac")
            write_atomic(join(self.folder, f"{row['track']}.flac"), encoded.getvalue())
        except Exception as error:  # one bad track never stops a run
            return row | {"stop": "", "error": f"{type(error).__name__}: {error}"}
        return row | {"stop": "", "error": ""}


def generate(
    system: str,
    folder: str,
    vocals: dict[str, Sample],
    prompts: dict[str, str],
    cluster: Cluster,
    *,
    device: str,
    workers: int | None,
    max_seconds: float,
) -> Iterator[dict[str, Any]]:
    """Make the tracks that `folder` lacks; yields a row for each. Raises ValueError where the system cannot be had."""
    present = {file.name.removesuffix(".flac") for file in list_files(folder).files}
    rows = [
        {"track": track, "source": sample.source, "prompt": prompts.get(track, PROMPT)}
        for track, sample in vocals.items()
        if track not in present
    ]
    if not rows:
        return
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = None
    context.execution_no_progress_timeout_s = -1
    on_gpu = device == "cuda"
    most = min(len(rows), workers or (cluster.gpus if on_gpu else max(1, cluster.cpus)))
    with warnings.catch_warnings():  # Ray announces how 2.64 renames an argument; it is pinned
        warnings.simplefilter("ignore", DeprecationWarning)
        made = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            Generate,  # type: ignore[arg-type]  # Ray makes an actor of a class that is called
            fn_constructor_args=(system, device, folder, max_seconds, None if on_gpu else 1),
            compute=ActorPoolStrategy(min_size=1, max_size=most, max_tasks_in_flight_per_actor=2),
            num_cpus=0 if on_gpu else 1,
            num_gpus=1 if on_gpu else 0,
            max_task_retries=2,
        )
    for row in made.iter_rows():
        if row["stop"]:
            raise ValueError(row["stop"])
        yield row


def time_system(system: str, vocals: str, device: str, max_seconds: float) -> Any:
    """The `Timing` of a system on a machine of the cluster that has the device. Raises ValueError."""
    from samuel.evaluation.efficiency import measure

    def task() -> Any:
        return measure(system, load(vocals, max_seconds), device, None if device == "cuda" else 1)

    remote = ray.remote(num_cpus=1, num_gpus=1 if device == "cuda" else 0, max_retries=0)(task)
    try:
        return ray.get(remote.remote())
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, ValueError):
            raise ValueError(str(error.cause)) from error
        raise
