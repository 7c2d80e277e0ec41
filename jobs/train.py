"""Train SAMUeL on a POPDB.

What Ray does here: it starts one worker a GPU (or one on the CPU), connects them, and starts them again
when one dies. The workers train in plain torch (`samuel.training`), each from the run's own newest checkpoint.
"""

import dataclasses
import os
import time
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from jobs.connect import Cluster, connect
from jobs.training_board import Board, Display

import ray  # isort: skip
import ray.train  # isort: skip
from ray.train import FailureConfig, RunConfig as RayRunConfig, ScalingConfig  # isort: skip
from ray.train.torch import TorchTrainer, get_device  # isort: skip

from samuel.codec import load_codec
from samuel.model import ModelConfig
from samuel.popdb import Store
from samuel.popdb.lease import Lease
from samuel.presets import preset_named
from samuel.storage import StorageError, absolute, as_path, check_writable, is_s3
from samuel.training import TrainingConfig, load_for_generation
from samuel.training.checkpoint import RunConfig
from samuel.training.data import load_training_data
from samuel.training.loop import Trainer, TrainingError
from samuel.training.workers import Workers

WORKER_DEATHS = 5
"""Times that workers may die before a run gives up; it can be started again."""


@dataclass(frozen=True)
class Settings:
    """What a user asks for, as it goes to the workers."""

    data: str
    out: str
    preset: str
    model: ModelConfig
    training: TrainingConfig
    steps: int | None
    codec: str
    memory_bytes: int | None
    threads: int | None
    start_from: str | None


def main(
    data: Annotated[str, typer.Option(help="A POPDB: a folder or s3://bucket/prefix.")],
    out: Annotated[
        str, typer.Option(help="The run: a folder or s3://bucket/prefix. The same again resumes it.")
    ],
    preset: Annotated[str, typer.Option(help="paper, or tiny for a test.")] = "paper",
    steps: Annotated[int | None, typer.Option(min=1, help="Stop at this step; a later call goes on.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Length of the run. [default: the preset's]")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Over all workers. [default: the preset's]")
    ] = None,
    crop_frames: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Frames of each pair that a step sees, at random places: 256 learn four times as fast on a CPU. "
            "[default: all 1024]",
        ),
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="[default: the preset's]")] = None,
    validate_every: Annotated[
        int | None,
        typer.Option(
            min=1, help="Steps between validations, each with a checkpoint. [default: the preset's]"
        ),
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(help="Begin with the weights of this run or checkpoint, to train them further."),
    ] = None,
    vocal_noise: Annotated[
        float | None, typer.Option(min=0, help="Noise on the vocals in training. [default: the preset's]")
    ] = None,
    mixing: Annotated[
        str | None, typer.Option(help="prose or equation: the paper's two readings of its attention mix.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="[default: 0]")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that train together; on GPUs one each.")] = 1,
    device: Annotated[
        str, typer.Option(help="cpu, cuda, or auto: cuda where the cluster has GPUs.")
    ] = "auto",
    codec: Annotated[
        str,
        typer.Option(
            help="The codec of the POPDB, to hear samples: a name or folder. [default: by its identity]"
        ),
    ] = "",
    memory_gb: Annotated[
        float | None,
        typer.Option(
            min=0, help="Keep the pairs in memory up to this size, else stream. [default: a quarter]"
        ),
    ] = None,
) -> None:
    """Train a network on a POPDB, or go on with a run that was stopped or killed.

    \b
    python jobs/train.py --data popdb --out runs/first
    python jobs/train.py --data s3://bucket/popdb --out s3://bucket/runs/first --workers 4
    ray job submit --working-dir . -- python jobs/train.py --data s3://bucket/popdb --out s3://bucket/runs/first
    """
    console = Console()
    try:
        chosen = preset_named(preset)
        model = dataclasses.replace(chosen.model, mixing=mixing) if mixing else chosen.model
        training = chosen.training.with_values(
            epochs=epochs,
            batch_size=batch_size,
            crop_frames=crop_frames,
            vocal_noise=vocal_noise,
            learning_rate=learning_rate,
            validate_every=validate_every,
            seed=seed,
        )
        Workers(count=workers).require_shareable(training.batch_size)
        identity = Store.at(data).identity()
        if identity is None:
            raise ValueError(
                f"no POPDB at {absolute(data)}: popdb.json is missing. Build one with jobs/build_popdb.py"
            )
        if codec and (named := load_codec(codec).identity) != identity.codec:
            raise ValueError(f"{identity.codec} made the latents of {data}, not {named}; change --codec")
        if start_from and (there := load_for_generation(start_from)).codec != identity.codec:
            raise ValueError(
                f"{start_from} was trained on latents of {there.codec}, {data} has {identity.codec}"
            )
        check_writable(out)
        cluster = connect()
        scaling = choose_scaling(cluster, workers, device)
        settings = Settings(
            data=absolute(data),
            out=absolute(out),
            preset=preset,
            model=model,
            training=training,
            steps=steps,
            codec=codec,
            memory_bytes=None if memory_gb is None else int(memory_gb * 1e9),
            threads=None if scaling.use_gpu else int(scaling.num_cpus_per_worker),
            start_from=start_from and absolute(start_from),
        )
        with Lease(settings.out):
            train(settings, scaling, console)
    except (
        ValueError,
        TrainingError,
    ) as error:  # what the user can mend; anything else is a defect and rises
        console.print(f"[red]{error}[/]", soft_wrap=True, highlight=False)
        raise typer.Exit(1) from None


def choose_scaling(cluster: Cluster, workers: int, device: str) -> ScalingConfig:
    """Workers and what each gets. Raises ValueError for more GPUs than there are."""
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"expected --device cpu, cuda or auto, got {device!r}")
    on_gpus = device == "cuda" or (device == "auto" and cluster.gpus > 0)
    if on_gpus and cluster.gpus < workers:
        raise ValueError(
            f"{workers} workers need {workers} GPUs, the cluster has {cluster.gpus}; lower --workers, or ask for --device cpu"
        )
    cpus = 1 if on_gpus else max(1, cluster.cpus // workers)
    if not on_gpus and cluster.cpus < workers:
        raise ValueError(
            f"{workers} workers need {workers} cores, the cluster has {cluster.cpus}; lower --workers"
        )
    return ScalingConfig(num_workers=workers, use_gpu=on_gpus, resources_per_worker={"CPU": cpus})


def train(settings: Settings, scaling: ScalingConfig, console: Console) -> None:
    """Run the workers to the end. Raises TrainingError with the reason when they fail."""
    board: Any = ray.remote(num_cpus=0)(Board).remote()
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    trainer = TorchTrainer(
        train_worker,
        train_loop_config={"settings": settings, "board": board},
        scaling_config=scaling,
        run_config=RayRunConfig(
            name=name, failure_config=FailureConfig(max_failures=WORKER_DEATHS), **ray_storage(settings.out)
        ),
    )
    with Display(board, console):
        try:
            trainer.fit()
        except ray.train.TrainingFailedError as error:
            raise TrainingError(
                f"the workers died {WORKER_DEATHS + 1} times ({error}); if memory ran out, lower --batch-size. "
                f"The same command goes on from the last checkpoint"
            ) from error
    outcome = ray.get(board.outcome.remote())
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


def train_worker(given: dict[str, Any]) -> None:
    """One worker. What a user can mend is told to the driver; all else fails the worker, and Ray starts it again."""
    settings, board = given["settings"], given["board"]
    if settings.threads:
        torch.set_num_threads(settings.threads)
    context = ray.train.get_context()
    workers = Workers(context.get_world_rank(), context.get_world_size())
    try:
        data = load_training_data(settings.data, settings.memory_bytes)
        start = load_for_generation(settings.start_from) if settings.start_from else None
        config = RunConfig(
            settings.preset,
            settings.model,
            settings.training,
            data.identity.codec,
            data.fingerprint,
            start.fingerprint if start else "",
        )
        device = get_device()
        assert isinstance(device, torch.device)
        trainer = Trainer(
            config,
            data,
            settings.out,
            device,
            workers,
            watch=BoardWatch(board, data.training_pairs) if workers.leads else None,
            decode=listening_decoder(settings.codec, data.identity.codec, device) if workers.leads else None,
            start=start,
        )
        progress = trainer.train(settings.steps)
    except StorageError:
        raise
    except (ValueError, TrainingError) as error:
        ray.get(board.fail.remote(str(error)))
        return
    if workers.leads:
        why = (
            "stopped early"
            if progress.stopped_early
            else "finished"
            if progress.step == trainer.total
            else "stopped"
        )
        ray.get(
            board.finish.remote(
                f"{why} at step {progress.step} of {trainer.total}; "
                f"best validation loss {progress.best_loss:.4f} at step {progress.best_step}"
            )
        )


class BoardWatch:
    """The leading worker's `Watch`: tells the driver, and does not wait for it."""

    def __init__(self, board: Any, pairs: int) -> None:
        self.board = board
        board.begin.remote(os.getpid(), pairs)

    def trained(self, step: int, total: int, values: dict[str, float]) -> None:
        self.board.trained.remote(step, total, values)

    def validated(self, step: int, values: dict[str, float]) -> None:
        self.board.validated.remote(step, values)


def listening_decoder(codec: str, identity: str, device: torch.device) -> Any:
    """The POPDB's codec, to hear samples; None where it was not named and does not come with the package."""
    if not codec and not identity.startswith("mini@"):
        return None
    found = load_codec(codec or "mini", device)
    return found.decode if found.identity == identity else None


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    app()
