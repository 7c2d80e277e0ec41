"""Train SAMUeL on a POPDB.

What Ray does here: it starts one worker a GPU (or one on the CPU), connects them, and starts them again
when one dies. The workers train in plain torch (`samuel.training`), each from the run's own newest checkpoint.
"""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.runtime.errors import user_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from samuel.training.checkpoint import RunConfig
    from samuel.training.config import Student

app = typer.Typer(add_completion=False)


@app.command()
def main(
    data: Annotated[str, typer.Option(help="A POPDB: a folder or s3://bucket/prefix.")],
    out: Annotated[
        str, typer.Option(help="The run: a folder or s3://bucket/prefix. The same again resumes it.")
    ],
    preset: Annotated[
        str,
        typer.Option(
            help="band, which is told lead sheets and arrangements; paper, as the paper has it; tiny for a test."
        ),
    ] = "band",
    steps: Annotated[int | None, typer.Option(min=1, help="Stop at this step; a later call goes on.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Length of the run. [default: the preset's]")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Over all workers. [default: the preset's]")
    ] = None,
    accumulate: Annotated[
        int,
        typer.Option(
            min=1,
            help="Take each batch in so many parts, one after the other: it learns the same with less memory.",
        ),
    ] = 1,
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
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Distill this run or checkpoint: a student begins with its weights and learns to go in one step where "
            "it takes several. The preset is the teacher's.",
        ),
    ] = None,
    student_steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=50,
            help="Steps of the student from noise alone. [default: 5]",
        ),
    ] = None,
    teacher_guidance: Annotated[
        float | None,
        typer.Option(min=0, help="The teacher's guidance, which the student learns along. [default: 1]"),
    ] = None,
    adversarial: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Train a critic beside the network, which pulls at its guesses so many times as hard as their error does: "
            "clearer sound, for a network that has learnt to play (--start-from). The newest checkpoint counts as the best. "
            "[default: 0, no critic]",
        ),
    ] = None,
    vocal_noise: Annotated[
        float | None, typer.Option(min=0, help="Noise on the vocals in training. [default: the preset's]")
    ] = None,
    emphasis: Annotated[
        float | None,
        typer.Option(
            "--latent-weighting",
            "--emphasis",
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
            min=0,
            help="Of each machine: keep the pairs in memory up to this size, else stream. [default: a quarter]",
        ),
    ] = None,
) -> None:
    """Train a network on a POPDB, or go on with a run that was stopped or killed.

    \b
    python jobs/train.py --data popdb --out runs/first
    python jobs/train.py --data s3://bucket/popdb --out s3://bucket/runs/first --workers 4
    python jobs/train.py --data popdb --out runs/clear --start-from runs/first --adversarial 1 --epochs 10 --learning-rate 1.5e-4
    python jobs/train.py --data popdb --out runs/student --teacher runs/first --epochs 10 --learning-rate 2e-4
    ray job submit --working-dir . -- python jobs/train.py --data s3://bucket/popdb --out s3://bucket/runs/first
    """
    from rich.console import Console

    from jobs.runtime.cluster import connect
    from jobs.runtime.training import TrainingJob, choose_scaling, train
    from samuel.popdb import check_popdb
    from samuel.storage import absolute, check_writable
    from samuel.storage.lease import Lease
    from samuel.training.presets import preset_named
    from samuel.training.workers import Workers

    console = Console()
    with user_errors(console):
        if teacher and adversarial:
            raise ValueError("a student learns from its teacher, without a critic: leave --adversarial out")
        student, learned = student_of(teacher, start_from, student_steps, teacher_guidance)
        if learned:
            start_from, preset = teacher, learned.preset
        chosen = preset_named(preset)
        model = dataclasses.replace(chosen.model, mixing=mixing) if mixing else chosen.model
        training = chosen.training.with_values(
            epochs=epochs,
            batch_size=batch_size,
            crop_frames=crop_frames,
            vocal_noise=vocal_noise,
            adversarial=adversarial,
            latent_weighting=emphasis,
            learning_rate=learning_rate,
            validate_every=validate_every,
            seed=seed,
        )
        Workers(count=workers).require_shareable(training.batch_size)
        for warning in check_latents(data, codec, start_from):
            console.print(f"[yellow]{warning}[/]", soft_wrap=True, highlight=False)
        check_popdb(data)
        check_writable(out)
        cluster = connect(trains=True)
        scaling = choose_scaling(cluster, workers, device)
        settings = TrainingJob(
            data=absolute(data),
            out=absolute(out),
            preset=preset,
            model=learned.model if learned else model,
            training=training,
            steps=steps,
            codec=codec,
            memory_bytes=None if memory_gb is None else int(memory_gb * 1e9),
            accumulate=accumulate,
            threads=None if scaling.use_gpu else int(scaling.num_cpus_per_worker),
            start_from=start_from and absolute(start_from),
            student=student,
        )
        with Lease(settings.out):
            train(settings, scaling, console)


def student_of(
    teacher: str | None, start_from: str | None, steps: int | None, guidance: float | None
) -> "tuple[Student, RunConfig] | tuple[None, None]":
    """What is distilled from the teacher, and how that was trained. Raises ValueError for what does not go together."""
    from samuel.training import load_for_generation
    from samuel.training.config import DEFAULT_STUDENT_STEPS, Student

    if not teacher:
        if steps is not None or guidance is not None:
            raise ValueError("--student-steps and --teacher-guidance need a --teacher to learn from")
        return None, None
    if start_from:
        raise ValueError("a student begins with its teacher's weights: leave --start-from out")
    learned = load_for_generation(teacher)
    if learned.config.student:
        raise ValueError(f"{teacher} is a student itself; name the checkpoint that it was distilled from")
    scale = 1.0 if guidance is None else guidance
    return Student(steps or DEFAULT_STUDENT_STEPS, learned.fingerprint, scale), learned.config


def check_latents(data: str, codec: str, start_from: str | None) -> "Iterator[str]":
    """Warnings. Raises ValueError where there is no POPDB, or its latents are not those of a codec or a checkpoint."""
    from samuel.codec import load_codec
    from samuel.popdb import Store
    from samuel.popdb.checks import split_named
    from samuel.storage import absolute
    from samuel.training import load_for_generation

    store = Store.at(data)
    identity = store.identity()
    if identity is None:
        raise ValueError(
            f"no POPDB at {absolute(data)}: popdb.json is missing. Build one with jobs/build_popdb.py"
        )
    if not any(split_named(file.name) in ("validation", None) for file in store.shard_files()):
        yield (
            "no song of this POPDB fell to the validation split (one in ten does): it is trained on without, to the last "
            "step; nothing will tell when it begins to learn by heart"
        )
    if codec and (named := load_codec(codec).identity) != identity.codec:
        raise ValueError(f"{identity.codec} made the latents of {data}, not {named}; change --codec")
    if start_from and (there := load_for_generation(start_from)).codec != identity.codec:
        raise ValueError(f"{start_from} was trained on latents of {there.codec}, {data} has {identity.codec}")


if __name__ == "__main__":
    app()
