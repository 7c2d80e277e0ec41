"""Build POPDB: songs in, sharded pairs of vocal and accompaniment latents out.

What Ray does here: a pool of tasks downloads, a pool of actors each holds a separator and a codec
and turns songs into pairs, and tasks merge the pairs into shards. Between them go song ids and
paths, never audio.
"""

import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from jobs.connect import Cluster, connect
from jobs.summary import Progress, Tally, print_summary
from samuel.building import PairBuilder, Report
from samuel.codec import load_codec
from samuel.download import DownloadOptions, RateLimiter, download
from samuel.popdb import Identity, Store
from samuel.popdb.failures import failure_of
from samuel.popdb.lease import Lease
from samuel.separation import load_separator
from samuel.songs import DEMO_SONGS, Song, read_catalogue
from samuel.storage import StorageError, check_writable

import ray
from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy

STORAGE_ROOT = "SAMUEL_STORAGE"
DOWNLOADED = ("query", "url")
"""Kinds of songs that are fetched first; the others are read where they are."""

DIED = "its worker process died on it, also when it ran alone: out of memory, or a crash in a decoder"

GPU_SONGS_AT_ONCE = 3
"""Songs in one GPU worker: one on the models, one being decoded, one being written."""


@dataclass(frozen=True)
class Workers:
    """How the model workers run. One actor holds one separator and one codec."""

    count: int
    device: str
    threads: int | None
    """Threads of torch in a worker; None: as many as torch likes."""
    songs_at_once: int = 1

    @property
    def num_gpus(self) -> float:
        return 1 if self.device == "cuda" else 0

    @property
    def num_cpus(self) -> float:
        """A GPU worker reserves no core of its own; a CPU worker leaves a quarter of its core to downloads."""
        return 0 if self.device == "cuda" else 0.75


class Build:
    """A model worker as Ray Data runs it: a row with a song in, a row with its report out."""

    def __init__(self, make_builder: Callable[[], Callable[[Song, str | None, int], Report]]) -> None:
        self.builder = make_builder()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if row["error"]:
            return asdict(Report(row["song_id"], row["title"], failed_stage="download", error=row["error"]))
        return asdict(self.builder(song_of(row), row["audio"] or None, row["attempts"]))


def fetch(row: dict[str, Any], store: Store, options: DownloadOptions, limiter: Any) -> dict[str, Any]:
    """Download the song of a row where it needs it, and say where its audio lies now."""
    song = song_of(row)
    if song.kind not in DOWNLOADED:
        return row
    try:
        fetched = download(song, store.audio, options, lambda: time.sleep(ray.get(limiter.reserve.remote())))
    except ValueError as error:  # becomes the song's failure
        attempts = row["attempts"] + getattr(error, "tries", 1)
        store.write_failure(failure_of(song, "download", str(error), attempts))
        return row | {"error": str(error)}
    return row | {"audio": str(fetched.path)}


def song_of(row: dict[str, Any]) -> Song:
    return Song(row["song_id"], row["title"], row["artist"], row["source"], row["kind"])


def run_songs(
    songs: list[Song],
    attempts: dict[str, int],
    make_builder: Callable[[], Any],
    fetch_row: Callable[[dict[str, Any]], dict[str, Any]] | None,
    downloads: int,
    workers: Workers,
    *,
    alone: bool = False,
) -> Iterator[dict[str, Any]]:
    """Reports of `songs` as they are done. A song whose worker dies again and again yields none.

    One song is one row, one block and one task, so that a worker's death costs the songs it held and
    no other (blocks are made at the source: Ray would fuse a repartition with the downloads into one task). `alone`: one song a worker at a time and no second try, so that only a song that itself
    kills its worker is lost.
    """
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    context.target_max_block_size = None
    rows = [
        asdict(song) | {"audio": "", "error": "", "attempts": attempts.get(song.song_id, 0)} for song in songs
    ]
    data = ray.data.from_items(rows, override_num_blocks=len(rows))
    if fetch_row and any(song.kind in DOWNLOADED for song in songs):
        data = data.map(fetch_row, compute=TaskPoolStrategy(size=downloads), num_cpus=0.25)
    at_once = 1 if alone else workers.songs_at_once
    most = min(workers.count, len(songs))
    pool = ActorPoolStrategy(
        min_size=most if alone else 1,
        max_size=most,
        max_tasks_in_flight_per_actor=1 if alone else 2 * at_once,  # fewer, and Ray adds no actors
        max_concurrent_calls_per_actor=at_once,
        enable_true_multi_threading=at_once > 1,
    )
    with (
        warnings.catch_warnings()
    ):  # Ray announces that 2.64 renames how max_task_retries is given; it is pinned
        warnings.simplefilter("ignore", DeprecationWarning)
        data = data.map(
            Build,  # type: ignore[arg-type]  # Ray makes an actor of a class that is called
            fn_constructor_kwargs={"make_builder": make_builder},
            compute=pool,
            num_cpus=workers.num_cpus,
            num_gpus=workers.num_gpus,
            max_task_retries=0 if alone else 2,
        )
    yield from data.iter_rows()


def merge(store: Store) -> None:
    """Merge the songs that wait into shards, one task a shard."""
    write_shard = ray.remote(num_cpus=0.25)(Store.write_shard)
    ray.get([write_shard.remote(store, shard) for shard in store.plan_merge(store.contents().song_ids)])


def build(
    songs: list[Song],
    store: Store,
    identity: Identity,
    make_builder: Callable[[], Any],
    fetch_row: Callable[[dict[str, Any]], dict[str, Any]] | None,
    workers: Workers,
    *,
    downloads: int = 1,
    retry_failed: bool = False,
    console: Console | None = None,
) -> Tally:
    """Build what is missing of `songs` in the POPDB at `store`. The job, without its command line."""
    tally = Tally(catalogue=len(songs))
    with Lease(store.root):
        store.claim(identity)
        merge(store)
        done = store.contents().song_ids
        failed = store.read_failures()
        skipped = frozenset() if retry_failed else frozenset(failed)
        pending = [song for song in songs if song.song_id not in done | skipped]
        tally.present = len(songs) - len(pending)
        attempts = {song_id: failure.attempts for song_id, failure in failed.items()}
        with Progress(len(pending), console) as progress:
            for alone in (False, True):
                if pending:
                    run = run_songs(
                        pending, attempts, make_builder, fetch_row, downloads, workers, alone=alone
                    )
                    for report in run:
                        progress.add(report)
                        tally.add(report)
                    pending = [song for song in pending if song.song_id not in tally.reported]
        for song in pending:
            tries = attempts.get(song.song_id, 0) + 1
            store.write_failure(failure_of(song, "worker", DIED, tries))
            tally.add(asdict(Report(song.song_id, song.title, failed_stage="worker", error=DIED)))
        built = {song.source for song in songs if song.song_id in tally.succeeded}
        for failure in store.read_failures().values():
            if failure.source in built:  # a file that was mended has another size, and so another id
                store.clear_failure(failure.song_id)
        merge(store)
        store.write_failures_table()
        contents = store.contents()
        lost = tally.succeeded - contents.song_ids
        if lost:
            raise StorageError(
                f"{len(lost)} songs were built but are not at {store.root}: is it a folder that only this machine "
                f"sees, on a cluster of several? Use an s3:// prefix or a shared file system for --out"
            )
        tally.database_songs, tally.database_pairs = len(contents.song_ids), contents.pairs
    return tally


def choose_workers(cluster: Cluster, device: str, count: int | None) -> Workers:
    """One worker a GPU; without one, a worker a core with one thread each."""
    if device == "auto":
        device = "cuda" if cluster.gpus else "cpu"
    if device == "cuda":
        return Workers(count or max(1, cluster.gpus), "cuda", None, GPU_SONGS_AT_ONCE)
    if device != "cpu":
        raise ValueError(f"expected --device auto, cpu or cuda, got {device!r}")
    return Workers(count or cluster.cpus, "cpu", 1)


def default_out() -> str:
    """Not the working folder: a submitted job's vanishes with the job."""
    return f"{os.environ.get(STORAGE_ROOT) or Path.home() / 'samuel'}/popdb"


def main(
    songs: Annotated[
        str,
        typer.Option(
            help="A CSV with song titles, a text file of URLs or search queries, a folder or s3:// prefix of audio "
            "files, or one of stems (a folder a song: vocals.* and the rest). Default: the demo songs.",
            show_default=False,
        ),
    ] = str(DEMO_SONGS),
    out: Annotated[
        str,
        typer.Option(
            help=f"A folder or s3://bucket/prefix. Default: ${STORAGE_ROOT}/popdb, or else ~/samuel/popdb.",
            show_default=False,
        ),
    ] = "",
    codec: Annotated[
        str,
        typer.Option(
            help="mini (comes with the package), stable-audio-open (from the hub), or a local folder."
        ),
    ] = "mini",
    separator: Annotated[
        str,
        typer.Option(
            help="spleeter (comes with the package), htdemucs or another Demucs model, a local folder, or auto."
        ),
    ] = "auto",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try songs again that failed before.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Only the first so many songs of the catalogue.", show_default=False),
    ] = None,
    max_minutes: Annotated[float, typer.Option(min=0.01, help="Longer songs are refused.")] = 15.0,
    device: Annotated[
        str, typer.Option(help="cpu, cuda, or auto: cuda where the cluster has a GPU.")
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="At most this many model workers. Default: one a GPU, or one a core.",
            show_default=False,
        ),
    ] = None,
    downloads: Annotated[int, typer.Option(min=1, help="At most this many downloads at once.")] = 2,
    requests_per_minute: Annotated[
        float, typer.Option(min=0.1, help="Requests of all downloads of the cluster together.")
    ] = 20.0,
    playlists: Annotated[
        bool, typer.Option("--playlists", help="Take the first song of a playlist.")
    ] = False,
    cookies: Annotated[str, typer.Option(help="A cookies.txt for the downloads.", show_default=False)] = "",
    proxy: Annotated[str, typer.Option(help="A proxy URL for the downloads.", show_default=False)] = "",
) -> None:
    """Build a POPDB: download, separate and encode songs into pairs of latents.

    Run it again after a crash or with more songs: only what is missing is done. A song that fails never stops
    the run; it is listed in failures.parquet beside the data.

    \b
    python jobs/build_popdb.py                                          # the demo songs
    python jobs/build_popdb.py --songs song_data.csv --out popdb        # titles, searched with yt-dlp
    python jobs/build_popdb.py --songs s3://bucket/songs --out s3://bucket/popdb
    ray job submit --working-dir . -- python jobs/build_popdb.py --songs s3://bucket/songs --out s3://bucket/popdb
    """
    console = Console()
    try:
        store = Store.at(out or default_out())
        catalogue = read_catalogue(songs)
        console.print(
            f"{len(catalogue.songs)} songs from {songs}, pairs to {store.root}",
            soft_wrap=True,
            highlight=False,
        )
        for warning in catalogue.warnings:
            console.print(f"[yellow]{warning}[/]", soft_wrap=True, highlight=False)
        check_writable(store.root)
        cluster = connect()
        if cluster.nodes > 1 and not store.root.startswith("s3://"):
            console.print(
                f"[yellow]{store.root} must be a file system that all {cluster.nodes} nodes share[/]"
            )
        chosen = choose_workers(cluster, device, workers)
        with console.status("loading the separator and the codec"):
            chosen_separator = load_separator(separator, "cpu")
            identity = Identity(load_codec(codec, "cpu").identity, chosen_separator.identity)
        console.print(f"separator {identity.separator}, codec {identity.codec}", highlight=False)
        make_builder = partial(
            PairBuilder,
            store,
            codec=codec,
            separator=chosen_separator.name,  # not auto: another machine might choose otherwise
            identity=identity,
            device=chosen.device,
            threads=chosen.threads,
            max_seconds=60 * max_minutes,
        )
        options = DownloadOptions(
            longest_seconds=60 * max_minutes,
            playlists=playlists,
            cookies=cookies or None,
            proxy=proxy or None,
        )
        limiter = ray.remote(num_cpus=0)(RateLimiter).remote(requests_per_minute)  # one for the cluster
        fetch_row = partial(fetch, store=store, options=options, limiter=limiter)
        tally = build(
            list(catalogue.songs[:limit]),
            store,
            identity,
            make_builder,
            fetch_row,
            chosen,
            downloads=downloads,
            retry_failed=retry_failed,
            console=console,
        )
    except ValueError as error:  # what the user can mend; anything else is a defect and rises
        console.print(f"[red]error:[/] {error}", soft_wrap=True, highlight=False)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on where this run was")
        raise typer.Exit(130) from None
    print_summary(tally, catalogue.duplicates, store.root, chosen.count, console)
    if not tally.database_pairs:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
