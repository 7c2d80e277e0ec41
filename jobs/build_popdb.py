"""Songs -> POPDB: pairs of vocal and accompaniment latents. Run `python jobs/build_popdb.py --help`."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from jobs.options import Device, MaxMinutes, ModelWorkers

STORAGE_ROOT = "SAMUEL_STORAGE"

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


def default_out() -> str:
    """Not the working folder: a submitted job's vanishes with the job."""
    return f"{os.environ.get(STORAGE_ROOT) or Path.home() / 'samuel'}/popdb"


def from_anywhere(name: str) -> str:
    """A name of weights as it is; a path to weights absolute, since workers run in other folders."""
    path = Path(name).expanduser()
    return str(path.resolve()) if path.exists() else name


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
            help="spleeter (in the package), htdemucs or another Demucs model, a local folder, or auto: "
            "htdemucs if its weights can be had, else spleeter."
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
        float, typer.Option(min=0.1, help="Requests of all the cluster's downloads together.")
    ] = 20.0,
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
        ray job submit --working-dir . -- python jobs/build_popdb.py --out s3://bucket/popdb
    """
    from rich.console import Console
    from rich.markup import escape

    from jobs.connect import connect
    from jobs.machines import MachineHours
    from jobs.pipeline import build, choose_workers, fetch, shared_limiter
    from jobs.summary import print_summary
    from samuel.building import DOWNLOADED, PairBuilder
    from samuel.codec import load_codec
    from samuel.download import DownloadOptions
    from samuel.popdb import Identity, Store
    from samuel.popdb.lease import Lease
    from samuel.separation import load_separator
    from samuel.songs import DEMO_SONGS, read_catalogue
    from samuel.storage import absolute, check_writable, is_s3, read_bytes

    console = Console(soft_wrap=True, highlight=False)
    try:
        store = Store.at(out or default_out())
        catalogue = read_catalogue(songs or str(DEMO_SONGS))
        console.print(
            escape(f"{len(catalogue.songs)} songs from {songs or DEMO_SONGS}, pairs to {store.root}")
        )
        for warning in catalogue.warnings:
            console.print(f"[yellow]{escape(warning)}[/]")
        check_writable(store.root)
        with Lease(store.root) as lease:  # before Ray starts: a second run is refused at once
            cluster = connect()
            if cluster.nodes > 1 and not is_s3(store.root):
                console.print(
                    f"[yellow]{escape(store.root)} must lie on a file system that all nodes share[/]"
                )
            chosen = choose_workers(cluster, device, workers)
            with console.status("loading the separator and the codec"):
                codec, separator = from_anywhere(codec), from_anywhere(separator)
                chosen_separator = load_separator(separator, "cpu")
                separator = chosen_separator.name  # not auto: another machine might choose otherwise
                identity = Identity(load_codec(codec, "cpu").identity, chosen_separator.identity)
                del chosen_separator
            console.print(f"separator {identity.separator}, codec {identity.codec}")
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
                    console=console,
                )
    except (ValueError, FileNotFoundError) as error:  # a user can mend these; all else is a defect and rises
        console.print(f"[red]error:[/] {escape(str(error))}")
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on where this run was")
        raise typer.Exit(130) from None
    print_summary(tally, catalogue.duplicates, store.root, chosen.count, console)
    if not tally.database_pairs:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
