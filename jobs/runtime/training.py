"""The Ray side of training: where the workers run, what each does, how they tell of it."""

import os
import time
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console

from jobs.runtime.cluster import Cluster
from jobs.runtime.costs import MachineHours
from jobs.runtime.training_progress import ProgressActor, ProgressDisplay
from samuel.codec import codec_at_hand
from samuel.model import ModelConfig
from samuel.storage import StorageError, as_path, is_s3
from samuel.training import TrainingConfig, load_for_generation
from samuel.training.checkpoint import RunConfig
from samuel.training.config import Student
from samuel.training.data import load_training_data, memory_quarter
from samuel.training.distillation import Distillation
from samuel.training.loop import Trainer, TrainingError
from samuel.training.workers import Workers

import ray
import ray.train
from ray.train import FailureConfig, ScalingConfig, UserCallback
from ray.train import RunConfig as RayRunConfig
from ray.train.torch import TorchTrainer, get_device

WORKER_DEATHS = 5
"""Times that workers may die before a run gives up; it can be started again."""


@dataclass(frozen=True)
class TrainingJob:
    """What a user asks for, as it goes to the workers."""

    data: str
    out: str
    preset: str
    model: ModelConfig
    training: TrainingConfig
    steps: int | None
    codec: str
    memory_bytes: int | None
    """Of each node for the pairs, shared by the workers there; None: a quarter of it."""
    accumulate: int
    threads: int | None
    start_from: str | None
    student: Student | None = None
    """Learn from `start_from`, the teacher, to do with so many steps."""


def choose_scaling(cluster: Cluster, workers: int, device: str) -> ScalingConfig:
    """Workers and what each gets. Raises ValueError for more GPUs than there are or can come."""
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"expected --device cpu, cuda or auto, got {device!r}")
    gpus = cluster.gpus + cluster.gpus_to_come
    on_gpus = device == "cuda" or (device == "auto" and gpus > 0)
    if on_gpus and gpus < workers:
        raise ValueError(
            f"{workers} workers need {workers} GPUs, the cluster has {gpus}; lower --workers, or ask for --device cpu"
        )
    cpus = 1 if on_gpus else max(1, cluster.cpus // workers)
    if not on_gpus and cluster.cpus < workers:
        raise ValueError(
            f"{workers} workers need {workers} cores, the cluster has {cluster.cpus}; lower --workers"
        )
    return ScalingConfig(num_workers=workers, use_gpu=on_gpus, resources_per_worker={"CPU": cpus})


def train(settings: TrainingJob, scaling: ScalingConfig, console: Console) -> None:
    """Run the workers to the end. Raises TrainingError with the reason when they fail."""
    reporter: Any = ray.remote(num_cpus=0)(ProgressActor).remote()
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    trainer = TorchTrainer(
        train_worker,
        train_loop_config={"settings": settings, "reporter": reporter},
        scaling_config=scaling,
        run_config=RayRunConfig(
            name=name,
            failure_config=FailureConfig(max_failures=WORKER_DEATHS),
            callbacks=[GiveUp(reporter)],  # type: ignore[list-item]  # of the former version's type
            **ray_storage(settings.out),
        ),
    )
    with MachineHours(settings.out, console), ProgressDisplay(reporter, console):
        try:
            trainer.fit()
        except ray.train.TrainingFailedError as error:
            if reason := ray.get(reporter.outcome.remote()).error:
                raise TrainingError(reason) from error
            raise TrainingError(
                f"the workers died {WORKER_DEATHS + 1} times ({error}); if memory ran out, ask for --accumulate 2 or "
                f"less --memory-gb. The same command goes on from the last checkpoint"
            ) from error
    outcome = ray.get(reporter.outcome.remote())
    if outcome.error:
        raise TrainingError(outcome.error)
    console.print(f"{outcome.message}. Generate with {settings.out}", soft_wrap=True, highlight=False)


def ray_storage(out: str) -> dict[str, Any]:
    """Where Ray keeps its own notes about a run; all nodes must reach it, as they must the run."""
    if not is_s3(out):
        return {"storage_path": f"{out}/ray"}
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    located = as_path(out) / "ray"
    return {"storage_path": located.path, "storage_filesystem": PyFileSystem(FSSpecHandler(located.fs))}


def train_worker(arguments: dict[str, Any]) -> None:
    """One worker. What a user can mend is told to the driver; all else fails the worker, and Ray starts it again."""
    settings, reporter = arguments["settings"], arguments["reporter"]
    if settings.threads:
        torch.set_num_threads(settings.threads)
    context = ray.train.get_context()
    workers = Workers(context.get_world_rank(), context.get_world_size())
    try:
        memory = memory_quarter() if settings.memory_bytes is None else settings.memory_bytes
        data = load_training_data(
            settings.data, memory // context.get_local_world_size(), guided=settings.model.plays_lead_sheets
        )
        start = load_for_generation(settings.start_from) if settings.start_from else None
        config = RunConfig(
            settings.preset,
            settings.model,
            settings.training,
            data.identity.codec,
            data.fingerprint,
            start.fingerprint if start else "",
            data.identity.vocals,
            settings.student,
        )
        device = get_device()
        assert isinstance(device, torch.device)
        codec = codec_at_hand(data.identity.codec, settings.codec, device)
        trainer = Trainer(
            config,
            data,
            settings.out,
            device,
            workers,
            callback=ProgressCallback(reporter, data.training_pairs) if workers.leads else None,
            decode=codec.decode if codec and workers.leads else None,
            start=start,
            perceptual_weight=codec.perceptual_weight if codec else None,
            accumulate=settings.accumulate,
            distillation=Distillation(settings.student, start.model.to(device), device)
            if settings.student and start
            else None,
        )
        progress = trainer.train(settings.steps)
    except ValueError as error:
        if isinstance(error, StorageError) and error.may_pass:
            raise
        ray.get(reporter.fail.remote(str(error)))
        if workers.count == 1:
            return
        raise  # the others wait for this one: `GiveUp` ends them
    if workers.leads:
        why = (
            "stopped early"
            if progress.stopped_early
            else "finished"
            if progress.step == trainer.total
            else "stopped"
        )
        best = "no songs to validate on, so the last checkpoint counts as the best"
        if data.validation and not progress.best_step:
            best = "not validated yet"
        elif data.validation:
            best = f"best validation loss {progress.best_loss:.4f} at step {progress.best_step}"
        ray.get(reporter.finish.remote(f"{why} at step {progress.step} of {trainer.total}; {best}"))


class GiveUp(UserCallback):
    """In Ray's controller: what a user can mend ends all workers at once, also those that wait for the one that failed.

    Without it Ray would start them again, only to fail again.
    """

    def __init__(self, reporter: Any) -> None:
        self.reporter = reporter

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        if reason := ray.get(self.reporter.outcome.remote()).error:
            raise TrainingError(reason)


class ProgressCallback:
    """The leading worker's `TrainingCallback`: tells the driver, and does not wait for it."""

    def __init__(self, reporter: Any, pairs: int) -> None:
        self.reporter = reporter
        reporter.begin.remote(os.getpid(), pairs)

    def trained(self, step: int, total: int, values: dict[str, float]) -> None:
        self.reporter.trained.remote(step, total, values)

    def validated(self, step: int, values: dict[str, float]) -> None:
        self.reporter.validated.remote(step, values)
