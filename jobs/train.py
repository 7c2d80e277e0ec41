"""Train SAMUeL on a POPDB.

What Ray does here: it starts one worker a GPU (or one on the CPU), connects them, and starts them again
when one dies. The workers train in plain torch (`samuel.training`), each from the run's own newest checkpoint.
"""

import dataclasses
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
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
    emphasis: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="How much more the latents count that change more of the sound, where the codec tells (mini does); "
            "0: all alike. [default: the preset's]",
        ),
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
            help="The codec of the POPDB, for samples and emphasis: a name or folder. [default: by its identity]"
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
    from rich.console import Console

    from jobs.connect import connect
    from jobs.training import Settings, choose_scaling, train
    from samuel.codec import load_codec
    from samuel.popdb import Store
    from samuel.popdb.lease import Lease
    from samuel.presets import preset_named
    from samuel.storage import absolute, check_writable
    from samuel.training import load_for_generation
    from samuel.training.loop import TrainingError
    from samuel.training.workers import Workers

    console = Console()
    try:
        chosen = preset_named(preset)
        model = dataclasses.replace(chosen.model, mixing=mixing) if mixing else chosen.model
        training = chosen.training.with_values(
            epochs=epochs,
            batch_size=batch_size,
            crop_frames=crop_frames,
            vocal_noise=vocal_noise,
            emphasis=emphasis,
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


if __name__ == "__main__":
    app()
