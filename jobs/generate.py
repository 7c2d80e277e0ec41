"""Vocals -> accompaniment, one file or a folder of them. Run `python jobs/generate.py --help`."""

import time
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from samuel.generation.recordings import Producer, Recording

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def main(
    recording: Annotated[
        str | None,
        typer.Argument(
            help="A recording of vocals in any common format, or a folder or s3:// prefix of them."
        ),
    ] = None,
    vocals: Annotated[str | None, typer.Option(help="The same, as an option.")] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help="The accompaniment: .wav, .flac, .mp3, .ogg or .opus; of a folder, a folder or s3:// prefix. "
            "Default: the recording's name with -band.wav, in the current folder.",
        ),
    ] = None,
    mix: Annotated[
        str | None, typer.Option(help="Also write vocals and band together: a file; of a folder, a folder.")
    ] = None,
    separate: Annotated[
        bool, typer.Option("--separate", help="The recording is a whole mix: take the voice out of it first.")
    ] = False,
    quality: Annotated[
        str, typer.Option(help="draft, standard or best: more steps, more time.")
    ] = "standard",
    steps: Annotated[int | None, typer.Option(help="In place of the quality's number of steps.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed plays another accompaniment.")] = 0,
    variations: Annotated[
        int,
        typer.Option(min=1, max=99, help="So many, with the seeds that follow: band.wav, band-2.wav, ..."),
    ] = 1,
    guidance: Annotated[
        float | None, typer.Option(help="How closely to follow the vocals; 1 as trained, more for closer.")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="An accompaniment of this recording: make only --region anew, or go on where it ends."
        ),
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="With --keep: from and to in seconds, such as 12.5:20.")
    ] = None,
    balance: Annotated[
        float, typer.Option(help="Of the mix: how much louder the band is than the vocals, in dB.")
    ] = 0.0,
    loudness: Annotated[float, typer.Option(help="Of the mix, in LUFS.")] = -14.0,
    file_format: Annotated[str, typer.Option("--format", help="Of a folder's files.")] = "flac",
    checkpoint: Annotated[
        str | None,
        typer.Option(help="A run of jobs/train.py or a checkpoint. Default: the one in the package."),
    ] = None,
    codec: Annotated[str, typer.Option(help="The codec that the checkpoint was trained with.")] = "mini",
    separator: Annotated[str, typer.Option(help="With --separate: as for jobs/build_popdb.py.")] = "spleeter",
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: cuda where there is one.")] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Of a folder: model workers at most. Default: one a GPU, or a core."),
    ] = None,
    max_minutes: Annotated[float, typer.Option(min=0.01, help="Longer recordings are refused.")] = 15.0,
) -> None:
    """Generate the accompaniment of a recording of vocals: as long as they are, and aligned to the sample.

    The same recording, seed and options give the same accompaniment. Of a folder, run it again after a crash or
    with more recordings: only what is missing is made. A recording that fails never stops the run; it is listed
    in OUT/failures.jsonl, and the next run tries it again.

        python jobs/generate.py vocals.wav -o band.wav --mix mix.wav
        python jobs/generate.py song.mp3 --separate --mix new-song.mp3 --variations 3
        python jobs/generate.py vocals.wav -o new.wav --keep band.wav --region 12.5:20 --seed 7
        python jobs/generate.py longer.wav -o longer-band.wav --keep band.wav
        python jobs/generate.py --vocals s3://bucket/vocals --out s3://bucket/bands
    """
    from rich.console import Console
    from rich.markup import escape

    from samuel.generation import Recipe
    from samuel.generation.recordings import Mixdown, recording_of
    from samuel.storage import StorageError, absolute, kind_of

    console = Console(soft_wrap=True, highlight=False)
    try:
        source = recording or vocals
        if not source or (recording and vocals):
            raise ValueError("expected one recording, or one folder of them; see --help")
        settings: dict[str, Any] = {
            "checkpoint": absolute(checkpoint) if checkpoint else None,
            "codec": codec,
            "separator": separator if separate else None,
            "recipe": Recipe(quality, seed, guidance, steps),
            "mixdown": Mixdown(balance, loudness),
            "max_seconds": 60 * max_minutes,
        }
        kind = kind_of(source)
        if kind == "missing":
            raise StorageError(
                f"{absolute(source)}: nothing is there; expected a recording or a folder of them"
            )
        if kind == "directory":
            if keep or region:
                raise ValueError("--keep and --region are for one recording, and this is a folder")
            if not out:
                raise ValueError("expected --out, a folder or s3:// prefix for the accompaniments")
            from jobs.generate_folder import generate_folder

            generate_folder(source, out, mix, file_format, variations, settings, device, workers, console)
            return
        stem = PurePosixPath(absolute(source)).stem
        wanted = recording_of(source, out or f"{stem}-band.wav", mix, variations)
        generate_one(wanted, keep, parsed_region(region), settings, device, console)
    except (ValueError, FileNotFoundError) as error:  # a user can mend these; all else is a defect and rises
        console.print(f"[red]error:[/] {escape(str(error))}")
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        console.print("stopped")
        raise typer.Exit(130) from None


def generate_one(
    recording: "Recording",
    keep: str | None,
    region: tuple[float, float] | None,
    settings: dict[str, Any],
    device: str,
    console: "Console",
) -> None:
    """One recording in this process, with a progress bar. Raises ValueError as the parts do."""
    from rich.markup import escape
    from rich.progress import Progress

    from samuel.config import SAMPLE_RATE
    from samuel.generation.recordings import read_audio

    began = time.monotonic()
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("loading", total=len(recording.bands))
        producer = make_producer(settings, local_device(device))
        bar.update(task, description="taking the voice out" if producer.separator else "reading")
        vocals = producer.vocals_of(recording)
        kept = read_audio(keep) if keep else None
        for variation in range(len(recording.bands)):
            bar.update(task, description="generating")

            def tell(share: float, variation: int = variation) -> None:
                bar.update(task, completed=variation + share)

            band = producer.generator.accompany(
                vocals, producer.varied(variation), keep=kept, region=region, progress=tell
            )
            bar.update(task, description="writing")
            producer.write(recording, variation, vocals, band)
    seconds, wall = len(recording.bands) * vocals.shape[-1] / SAMPLE_RATE, time.monotonic() - began
    for file in recording.files:
        console.print(escape(file))
    console.print(f"{seconds:.2f} s of accompaniment in {wall:.1f} s ({seconds / wall:.1f} x real time)")


def make_producer(settings: dict[str, Any], device: str) -> "Producer":
    """Load the models that `settings` name."""
    from samuel.generation import PRETRAINED, Generator
    from samuel.generation.recordings import Producer
    from samuel.separation import load_separator

    generator = Generator.load(settings["checkpoint"] or PRETRAINED, settings["codec"], device)
    separator = load_separator(settings["separator"], device) if settings["separator"] else None
    return Producer(generator, settings["recipe"], settings["mixdown"], separator, settings["max_seconds"])


def local_device(device: str) -> str:
    import torch

    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"expected --device auto, cpu or cuda, got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("this machine has no CUDA GPU that torch can use; use --device cpu")
    return "cuda" if torch.cuda.is_available() and device != "cpu" else "cpu"


def parsed_region(text: str | None) -> tuple[float, float] | None:
    """ "12.5:20" -> (12.5, 20.0)."""
    if text is None:
        return None
    try:
        first, last = (float(part) for part in text.split(":"))
    except ValueError:
        raise ValueError(f"expected --region FROM:TO in seconds, such as 12.5:20; got {text!r}") from None
    return first, last


if __name__ == "__main__":
    app()
