"""A run's best checkpoint, made small to share. Run `python jobs/export_checkpoint.py --help`."""

from typing import Annotated

import typer

from jobs.runtime.errors import user_errors

app = typer.Typer(add_completion=False)


@app.command()
def main(
    run: Annotated[str, typer.Option(help="A run of jobs/train.py or one of its checkpoints; s3:// too.")],
    out: Annotated[str, typer.Option(help="The folder or s3:// prefix to write.")],
    average: Annotated[
        list[str] | None,
        typer.Option(
            help="Another run that went on from it, or it from that: each weight is the mean of all. May be repeated."
        ),
    ] = None,
) -> None:
    """Write what generation needs of a run's best checkpoint, in half precision.

    \b
    python jobs/export_checkpoint.py --run runs/first --out band
    python jobs/generate.py vocals.wav -o band.wav --checkpoint band
    python jobs/export_checkpoint.py --run runs/clear --average runs/first --out band
    """
    from rich.console import Console

    from samuel.training.checkpoint import export

    console = Console(soft_wrap=True, highlight=False)
    with user_errors(console):
        copied = export(run, out, average or [])
    console.print(f"{copied} is at {out}, for generation")


if __name__ == "__main__":
    app()
