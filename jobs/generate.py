"""Vocals -> accompaniment, one file or a folder of them. Run `python jobs/generate.py --help`."""

import math
import time
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.runtime.errors import user_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from samuel.generation.producer import ProducerSettings
    from samuel.generation.recordings import Outputs, Recording

LUFS = -14.0
"""Of a mix, as streaming services play it."""

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
    steps: Annotated[
        int | None,
        typer.Option(
            help="In place of the quality's number of steps, counted from noise alone: from an arrangement, STRENGTH / 2 of them."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed plays another accompaniment.")] = 0,
    variations: Annotated[
        int,
        typer.Option(min=1, max=99, help="So many, with the seeds that follow: band.wav, band-2.wav, ..."),
    ] = 1,
    guidance: Annotated[
        float | None, typer.Option(help="How closely to follow the vocals; 1 as trained, more for closer.")
    ] = None,
    strength: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Of the network over the arrangement that it starts from: 0 is the arrangement as it is, at once and "
            "clean; 1 the network alone.",
        ),
    ] = 0.7,
    bpm: Annotated[float | None, typer.Option(help="The tempo. Default: found in the voice.")] = None,
    first_beat: Annotated[
        float | None, typer.Option(help="When the first bar begins, in seconds. Default: found.")
    ] = None,
    metre: Annotated[str | None, typer.Option(help="Such as 3/4 or 6/8. Default: found.")] = None,
    key: Annotated[str | None, typer.Option(help='Such as "A minor". Default: found.')] = None,
    chords: Annotated[
        str | None,
        typer.Option(
            help='By bars, repeated to the end: "| Am | F | C G/B | % |". Default: found; those printed with a question mark '
            "are guesses, and the arrangement is calmer there. Given ones are never guesses."
        ),
    ] = None,
    style: Annotated[
        str | None, typer.Option(help="Of the arrangement, such as bossa nova. Default: one that fits.")
    ] = None,
    energy: Annotated[
        str | None,
        typer.Option(
            help='How much of the band plays, 0 to 1: 0.7, or "0:0.3, 20:0.9" (second:value). Default: as the voice.'
        ),
    ] = None,
    parts: Annotated[
        str | None,
        typer.Option(help="Who plays in the arrangement, such as drums,bass. Default: everybody."),
    ] = None,
    part_levels: Annotated[
        str | None,
        typer.Option(
            help="How much louder parts of the arrangement are than usual, in dB, such as drums=-3,bass=+2; "
            "other=-2 is all but drums and bass."
        ),
    ] = None,
    soundfont: Annotated[
        str | None,
        typer.Option(
            help="An .sf2 or .sf3 with the arrangement's instruments. Default: the best one installed, "
            "or FluidR3Mono_GM.sf3, which comes with this package."
        ),
    ] = None,
    lead_sheet: Annotated[
        str | None,
        typer.Option(
            help="Play from this one: JSON, MIDI, MusicXML, .lab, .txt or ChordPro; what is given beside it holds."
        ),
    ] = None,
    no_lead_sheet: Annotated[
        bool,
        typer.Option(
            "--no-lead-sheet", help="No lead sheet, no arrangement: the network plays from the voice."
        ),
    ] = False,
    vary_chords: Annotated[
        bool, typer.Option("--vary-chords", help="Of variations: other likely chords in each, too.")
    ] = False,
    lead_sheet_out: Annotated[
        str | None,
        typer.Option(help="Also write what was played: .json, .mid, .musicxml, .lab, .txt or .cho."),
    ] = None,
    midi: Annotated[
        str | None,
        typer.Option(
            help="Also write the arrangement's notes: a .mid that lies under the voice; of a folder, a folder."
        ),
    ] = None,
    stems: Annotated[
        str | None,
        typer.Option(
            help="Also write the arrangement's stems, drums.flac, bass.flac and other.flac: a folder; of a folder, one with "
            "a folder for each."
        ),
    ] = None,
    stems_by_part: Annotated[
        bool,
        typer.Option("--stems-by-part", help="With --stems: one file a player, chords.flac, pad.flac, ..."),
    ] = False,
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
    loudness: Annotated[float, typer.Option(help="Of the mix, in LUFS.")] = LUFS,
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

    A lead sheet is found for the voice (tempo, beats, key, chords); what you give of it holds. Rules make an arrangement
    of it, and a network plays that anew. MIDI and stems are the arrangement's; above strength 0 the band is one sound,
    the network's.

    The same recording, seed and options give the same accompaniment. Of a folder, run it again after a crash or
    with more recordings: only what is missing is made. A recording that fails never stops the run; it is listed
    in OUT/failures.jsonl, and the next run tries it again.

        python jobs/generate.py vocals.wav -o band.wav --mix mix.wav
        python jobs/generate.py vocals.wav -o band.wav --bpm 92 --first-beat 0.42 --chords "| Am | F | C | G |"
        python jobs/generate.py vocals.wav -o band.wav --strength 0 --style "bossa nova" --midi band.mid --stems stems
        python jobs/generate.py song.mp3 --separate --mix new-song.mp3 --variations 3
        python jobs/generate.py vocals.wav -o new.wav --keep band.wav --region 12.5:20 --seed 7
        python jobs/generate.py longer.wav -o longer-band.wav --keep band.wav
        python jobs/generate.py --vocals s3://bucket/vocals --out s3://bucket/bands
    """
    from rich.console import Console

    from samuel.arranging import SoundFontSynthesiser, part_names
    from samuel.arranging import part_levels as levels_of
    from samuel.arranging.styles import find_style
    from samuel.generation import Direction, GenerationConfig, Mixdown
    from samuel.generation.files import read_sheet
    from samuel.generation.producer import ProducerSettings
    from samuel.generation.recordings import Outputs
    from samuel.lead_sheet.locks import Locks
    from samuel.storage import StorageError, absolute, kind_of

    console = Console(soft_wrap=True, highlight=False)
    with user_errors(console, stopped="stopped"):
        source = recording or vocals
        if not source or (recording and vocals):
            raise ValueError("expected one recording, or one folder of them; see --help")
        check_device(device)
        if soundfont:
            SoundFontSynthesiser(absolute(soundfont))  # told before anything is made
        direction = Direction(
            Locks.parse(bpm, first_beat, metre, key, chords, style and find_style(style).name, energy),
            read_sheet(lead_sheet) if lead_sheet else None,
            no_lead_sheet,
            vary_chords,
            part_names(parts or ()),
            levels_of(part_levels or ""),
            soundfont=absolute(soundfont) if soundfont else None,
        )
        settings = ProducerSettings(
            GenerationConfig(quality, seed, guidance, steps, strength),
            Mixdown(balance, loudness),
            direction,
            absolute(checkpoint) if checkpoint else None,
            codec,
            separator if separate else None,
            60 * max_minutes,
        )
        stem = PurePosixPath(absolute(source)).stem
        outputs = Outputs(out or f"{stem}-band.wav", mix, midi, stems, stems_by_part, lead_sheet_out)
        arranged = bool(parts or part_levels or soundfont or midi or stems)
        refuse_contradictions(settings, outputs, arranged, keep, region)
        kind = kind_of(source)
        if kind == "missing":
            raise StorageError(
                f"{absolute(source)}: nothing is there; expected a recording or a folder of them"
            )
        for hint in hints(settings, outputs):
            console.print(hint)
        if kind == "directory":
            refuse_for_folders(out, lead_sheet_out, keep, region)
            from jobs.runtime.bulk_generation import generate_folder  # brings Ray

            generate_folder(source, outputs, file_format, variations, settings, device, workers, console)
        else:
            read = {"the band to keep": keep, "the lead sheet": lead_sheet, "the SoundFont": soundfont}
            place = parsed_region(region, keep)
            planned = plan(source, outputs, variations, read)
            generate_one(planned, keep, place, settings, device, console)


def refuse_contradictions(
    settings: "ProducerSettings", outputs: "Outputs", arranged: bool, keep: str | None, region: str | None
) -> None:
    """Raises ValueError for options that leave each other nothing to do; `arranged`: some are of an arrangement."""
    direction = settings.direction
    given = direction.locks.given or direction.lead_sheet or outputs.lead_sheet
    if direction.follow_voice_alone and (given or arranged):
        raise ValueError(
            "--no-lead-sheet leaves nothing to lock, and no arrangement to play or write; leave one of them out"
        )
    if outputs.stems_by_part and not outputs.stems:
        raise ValueError("--stems-by-part needs the folder for them: give --stems, too")
    if settings.config.strength == 0 and (keep or region):
        raise ValueError(
            "--strength 0 plays the arrangement alone, which is made whole; leave out --keep and --region"
        )


def refuse_for_folders(
    out: str | None, lead_sheet_out: str | None, keep: str | None, region: str | None
) -> None:
    """Raises ValueError for options that a folder of recordings cannot have."""
    if keep or region:
        raise ValueError("--keep and --region are for one recording, and this is a folder")
    if lead_sheet_out:
        raise ValueError(
            "--lead-sheet-out is for one recording, and this is a folder: jobs/lead_sheets.py writes those of a folder"
        )
    if not out:
        raise ValueError("expected --out, a folder or s3:// prefix for the accompaniments")


def hints(settings: "ProducerSettings", outputs: "Outputs") -> "Iterator[str]":
    """What might surprise of options that are allowed."""
    from samuel.generation import Mixdown

    if not outputs.mix and settings.mixdown != Mixdown():
        yield "[yellow]--balance and --loudness are of the mix: without --mix they change nothing[/]"
    if outputs.stems and settings.config.strength > 0:
        yield (
            "the stems will be the arrangement's, made by rules: above strength 0 the band is the network's, one sound, "
            "and not their sum"
        )


def plan(source: str, outputs: "Outputs", variations: int, read: dict[str, str | None]) -> "Recording":
    """The files to make of one recording. Raises ValueError where one cannot be written, or `read` is not there."""
    from samuel.generation.recordings import recording_of
    from samuel.storage import StorageError, absolute, as_path, check_writable, kind_of

    recording = recording_of(source, outputs, variations, read=read)
    if (keep := read["the band to keep"]) and kind_of(keep) != "file":
        raise StorageError(f"{absolute(keep)}: expected an accompaniment to --keep, but no file is there")
    for file in recording.files:
        if kind_of(file) == "directory":
            raise ValueError(f"{file} is a folder; give the name of a file to write")
    parents = (str(as_path(file).parent) for file in recording.files)
    for folder in dict.fromkeys([*parents, *recording.stems]):
        check_writable(folder)
    return recording


def generate_one(
    recording: "Recording",
    keep: str | None,
    region: tuple[float, float] | None,
    settings: "ProducerSettings",
    device: str,
    console: "Console",
) -> None:
    """One recording in this process, with a progress bar. Raises ValueError as the parts do."""
    from rich.markup import escape
    from rich.progress import Progress

    from samuel.config import SAMPLE_RATE
    from samuel.generation.files import read_audio
    from samuel.generation.producer import Producer
    from samuel.lead_sheet.text import sheet_text
    from samuel.vocals import Voice

    began = time.monotonic()
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("loading", total=len(recording.bands))
        producer = Producer.load(settings, local_device(device))
        bar.update(task, description="taking the voice out" if producer.separator else "reading")
        vocals = producer.vocals_of(recording)
        kept, voice = read_audio(keep) if keep else None, Voice(vocals)
        for variation in range(len(recording.bands)):
            bar.update(task, description="finding a lead sheet")
            directed = producer.direct(recording, vocals, variation, voice)
            if directed.sheet and (variation == 0 or settings.direction.vary_chords):
                bar.console.print(escape(sheet_text(directed.sheet)))
            for remark in directed.remarks if variation == 0 else ():
                bar.console.print(f"[yellow]{escape(remark)}[/]")
            bar.update(task, description="playing")

            def tell(share: float, variation: int = variation) -> None:
                bar.update(task, completed=variation + share)

            band = producer.play(vocals, directed, variation, keep=kept, region=region, progress=tell)
            bar.update(task, description="writing")
            for remark in producer.write(recording, variation, vocals, band, directed):
                bar.console.print(f"[yellow]{escape(remark)}[/]")
    seconds, wall = len(recording.bands) * vocals.shape[-1] / SAMPLE_RATE, time.monotonic() - began
    for file in recording.files:
        console.print(escape(file))
    console.print(f"{seconds:.2f} s of accompaniment in {wall:.1f} s ({seconds / wall:.1f} x real time)")


def check_device(device: str) -> None:
    """Raises ValueError unless it is a kind of device."""
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"expected --device auto, cpu or cuda, got {device!r}")


def local_device(device: str) -> str:
    """cpu or cuda. Raises ValueError where there is no such device."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("this machine has no CUDA GPU that torch can use; use --device cpu")
    return "cuda" if torch.cuda.is_available() and device != "cpu" else "cpu"


def parsed_region(text: str | None, keep: str | None) -> tuple[float, float] | None:
    """ "12.5:20" -> (12.5, 20.0). Raises ValueError for what is no region, or where there is nothing to keep."""
    if text is None:
        return None
    try:
        first, last = (float(part) for part in text.split(":"))
    except ValueError:
        first = last = math.nan
    if not 0 <= first < last < math.inf:
        raise ValueError(f"expected --region FROM:TO in seconds, such as 12.5:20; got {text!r}")
    if not keep:
        raise ValueError("a --region to make anew needs the accompaniment to --keep around it")
    return first, last


if __name__ == "__main__":
    app()
