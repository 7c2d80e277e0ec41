"""Songs -> POPDB: pairs of vocal and accompaniment latents. Run `python jobs/build_popdb.py --help`."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.runtime.errors import user_errors
from jobs.runtime.options import Device, MaxMinutes, ModelWorkers, from_anywhere

if TYPE_CHECKING:
    from rich.console import Console

    from samuel.popdb import Identity, Store

STORAGE_ROOT = "SAMUEL_STORAGE"

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


def default_out() -> str:
    """Not the working folder: a submitted job's vanishes with the job."""
    return f"{os.environ.get(STORAGE_ROOT) or Path.home() / 'samuel'}/popdb"


@app.command()
def main(
    songs: Annotated[
        str | None,
        typer.Option(
            help="A CSV with song titles, a text file of addresses or search queries, a folder or s3:// prefix "
            "of audio files, or one of stems (a folder a song: vocals.* and the rest). Default: the demo songs."
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help=f"A folder or s3://bucket/prefix. Default: ${STORAGE_ROOT}/popdb, else ~/samuel/popdb."
        ),
    ] = None,
    codec: Annotated[
        str, typer.Option(help="mini (in the package), stable-audio-open (from the hub), or a local folder.")
    ] = "mini",
    separator: Annotated[
        str,
        typer.Option(
            help="spleeter (in the package, MIT licence; auto is this), htdemucs or another Demucs model by its name, "
            "or a local folder. The weights of Demucs are, by their author, for scientific purposes only "
            "(facebookresearch/demucs#327)."
        ),
    ] = "auto",
    separated_stems: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Of stems, share of the songs whose vocals are separated from the mix, as those of recordings "
            "are; the accompaniment stays the true one.",
        ),
    ] = 0.0,
    lead_sheets: Annotated[
        bool,
        typer.Option(
            help="Estimate the lead sheets of songs that come without one from their accompaniment, on CPUs beside the "
            "separator, and add to older songs in the POPDB what they lack: lead sheet, features, arrangement."
        ),
    ] = True,
    complete: Annotated[
        bool,
        typer.Option("--complete", help="No further songs: only add to those in the POPDB what they lack."),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try songs again that failed before.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many songs of the catalogue.")
    ] = None,
    max_minutes: MaxMinutes = 15.0,
    device: Device = "auto",
    workers: ModelWorkers = None,
    downloads: Annotated[int, typer.Option(min=1, help="Downloads at once, at most.")] = 2,
    requests_per_minute: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Requests of all the cluster's downloads together; a search takes three, an address two. YouTube "
            "lets guests have some 300 songs an hour: 9 are 180 searches or 270 addresses.",
        ),
    ] = 9.0,
    playlists: Annotated[
        bool, typer.Option("--playlists", help="Of a playlist, take the first song; else refuse it.")
    ] = False,
    cookies: Annotated[
        str | None, typer.Option(help="A cookies.txt for the downloads, as a path or s3:// URL.")
    ] = None,
    proxy: Annotated[str | None, typer.Option(help="A proxy's URL for the downloads.")] = None,
) -> None:
    """Build a POPDB: download, separate and encode songs into pairs of latents.

    Run it again after a crash or with more songs: only what is missing is done. A song that fails never
    stops the run; it is listed in failures.parquet beside the data.

        python jobs/build_popdb.py                # the demo songs, offline
        python jobs/build_popdb.py --songs song_data.csv --out popdb
        python jobs/build_popdb.py --songs s3://bucket/songs --out s3://bucket/popdb
        python jobs/build_popdb.py --complete --out popdb   # an older POPDB's lead sheets
        ray job submit --working-dir . -- python jobs/build_popdb.py --out s3://bucket/popdb
    """
    from rich.console import Console
    from rich.markup import escape

    from jobs.runtime.build_progress import print_summary
    from jobs.runtime.cluster import connect
    from jobs.runtime.costs import MachineHours
    from jobs.runtime.guide_pool import GuidePool, guide_workers
    from jobs.runtime.popdb_pipeline import build, fetch, shared_limiter
    from jobs.runtime.worker_pool import choose_workers
    from samuel.catalogue.download import DownloadOptions
    from samuel.catalogue.songs import DEMO_SONGS, read_catalogue
    from samuel.popdb import Store
    from samuel.popdb.completing import Completer
    from samuel.popdb.song_builder import DOWNLOADED, PairBuilder
    from samuel.storage import absolute, check_writable, is_s3, read_bytes
    from samuel.storage.lease import Lease
    from samuel.storage.overwriting import refuse_overwriting

    console = Console(soft_wrap=True, highlight=False)
    with user_errors(console):
        store = Store.at(out or default_out())
        if complete:
            complete_popdb(store, from_anywhere(codec), lead_sheets and songs is None, workers, console)
            return
        catalogue = read_catalogue(songs or str(DEMO_SONGS))
        console.print(
            escape(f"{len(catalogue.songs)} songs from {songs or DEMO_SONGS}, pairs to {store.root}")
        )
        for warning in catalogue.warnings:
            console.print(f"[yellow]{escape(warning)}[/]")
        if songs:
            refuse_overwriting({"the catalogue": [songs]}, {"the POPDB": [str(store.root)]})
        check_writable(store.root)
        with Lease(store.root) as lease:  # before Ray starts: a second run is refused at once
            cluster = connect()
            if cluster.nodes > 1 and not is_s3(store.root):
                console.print(
                    f"[yellow]{escape(store.root)} must lie on a file system that all nodes share[/]"
                )
            chosen = choose_workers(cluster, device, workers)
            codec = from_anywhere(codec)
            separator, identity = load_models(codec, from_anywhere(separator), console)
            make_builder = partial(
                PairBuilder,
                store,
                codec=codec,
                separator=separator,
                identity=identity,
                device=chosen.device,
                threads=chosen.threads,
                max_seconds=60 * max_minutes,
                separated_stems=separated_stems,
            )
            if cookies:
                cookies = absolute(cookies)
                read_bytes(cookies)  # an error here, not one for each song
            options = DownloadOptions(
                longest_seconds=60 * max_minutes, playlists=playlists, cookies=cookies, proxy=proxy
            )
            wanted = list(catalogue.songs[:limit])
            fetch_row = None
            if any(song.kind in DOWNLOADED for song in wanted):
                limiter = shared_limiter(requests_per_minute)
                fetch_row = partial(fetch, store=store, options=options, limiter=limiter)
            guides = None
            if lead_sheets:
                on_cpus = chosen.count if chosen.device == "cpu" else 0
                guides = GuidePool(partial(Completer, store, codec, threads=1), guide_workers(on_cpus))
            with MachineHours(store.root, console):
                tally = build(
                    wanted,
                    store,
                    lease,
                    identity,
                    make_builder,
                    chosen,
                    fetch_row=fetch_row,
                    downloads=downloads,
                    retry_failed=retry_failed,
                    guides=guides,
                    console=console,
                )
    print_summary(tally, catalogue.duplicates, store.root, chosen.count, console)
    if not tally.database_pairs:
        raise typer.Exit(1)


def load_models(codec: str, separator: str, console: "Console") -> "tuple[str, Identity]":
    """The separator's name and what the POPDB is made by. Raises ValueError here, not once for each song."""
    from rich.markup import escape

    from samuel.codec import load_codec
    from samuel.popdb import Identity
    from samuel.separation import licence_of, load_separator
    from samuel.vocals import NORMAL_FORM

    with console.status("loading the separator and the codec"):
        chosen = load_separator(separator, "cpu")
        identity = Identity(load_codec(codec, "cpu").identity, chosen.identity, vocals=NORMAL_FORM)
    console.print(f"separator {identity.separator}, codec {identity.codec}")
    if (licence := licence_of(identity.separator)) != "MIT":
        console.print(f"[yellow]the licence of the separator's weights: {escape(licence)}[/]")
    return chosen.name, identity


def complete_popdb(
    store: "Store", codec: str, possible: bool, workers: int | None, console: "Console"
) -> None:
    """`--complete`: the identity of the POPDB stays, whatever made it, as long as its codec is there."""
    from rich.markup import escape

    from jobs.runtime.build_progress import print_summary
    from jobs.runtime.cluster import connect
    from jobs.runtime.costs import MachineHours
    from jobs.runtime.guide_pool import GuidePool, guide_workers
    from jobs.runtime.popdb_pipeline import build
    from jobs.runtime.worker_pool import WorkerPool
    from samuel.popdb.checks import identity_at
    from samuel.popdb.completing import Completer
    from samuel.storage import check_writable
    from samuel.storage.lease import Lease

    if not possible:
        raise ValueError(
            "--complete adds lead sheets to the songs that are there: leave out --songs and --no-lead-sheets"
        )
    identity = identity_at(store)
    check_writable(store.root)
    with Lease(store.root) as lease:
        connect()
        make = partial(Completer, store, codec, threads=1)
        make()  # an error here, not one for each song
        guides = GuidePool(make, workers or guide_workers(0))
        console.print(escape(f"what the songs in {store.root} lack"))
        with MachineHours(store.root, console):
            tally = build(
                [], store, lease, identity, make, WorkerPool(1, "cpu", 1), guides=guides, console=console
            )
    print_summary(tally, 0, store.root, guides.most, console)


if __name__ == "__main__":
    app()
