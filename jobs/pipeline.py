"""Songs into pairs with Ray Data: what `build_popdb.py` runs, without its command line.

A pool of tasks downloads, a pool of actors each holds a separator and a codec and turns songs into
pairs, and tasks merge the pairs into shards. Between them go song ids and paths, never audio.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape

from jobs.connect import Cluster
from jobs.heap import KEEP_FREED_MEMORY
from jobs.summary import Progress, Tally
from samuel.building import DOWNLOADED, Report
from samuel.download import DownloadOptions, download
from samuel.download_errors import DownloadError
from samuel.popdb import Identity, Store
from samuel.popdb.failures import failure_of
from samuel.popdb.lease import Lease
from samuel.popdb.store import Contents
from samuel.rate_limit import RateLimiter
from samuel.songs import Song
from samuel.storage import StorageError

import ray
from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy

DIED = "its worker process ended without a word, also when the song ran alone: out of memory, or a crash"

GPU_SONGS_AT_ONCE = 3
"""Songs in one GPU worker: one on the models, one being decoded, one being written."""

WORKER_BYTES = 2_000_000_000
"""Of memory, about what a worker on a CPU takes with the package's separator and codec."""

FEW_SHARDS = 3
"""One of each split, as a small catalogue makes."""


@dataclass(frozen=True)
class Workers:
    """How the model workers run. One actor holds one separator and one codec."""

    count: int
    device: str
    threads: int | None
    """Threads of torch in a worker; None: as many as torch likes."""
    songs_at_once: int = 1
    ready: int = 1
    """Workers that the cluster has room for now; for more, Ray asks its autoscaler as songs wait."""

    @property
    def num_gpus(self) -> float:
        return 1 if self.device == "cuda" else 0

    @property
    def num_cpus(self) -> float:
        """A GPU worker reserves no core of its own; a CPU worker leaves a quarter of its core to downloads."""
        return 0 if self.device == "cuda" else 0.75

    @property
    def runtime_env(self) -> dict[str, Any] | None:
        return {"env_vars": KEEP_FREED_MEMORY} if self.device == "cpu" else None


def choose_workers(cluster: Cluster, device: str, count: int | None) -> Workers:
    """One worker a GPU; without one, a worker a core with one thread each, but no more than there is memory for."""
    if device == "auto":
        device = "cuda" if cluster.gpus else "cpu"
    if device == "cuda":
        if not count and not cluster.gpus:
            raise ValueError(
                "the cluster has no GPU now; say how many workers to ask its autoscaler for, with --workers, "
                "or use --device cpu"
            )
        return Workers(count or cluster.gpus, "cuda", None, GPU_SONGS_AT_ONCE, cluster.gpus)
    if device != "cpu":
        raise ValueError(f"expected --device auto, cpu or cuda, got {device!r}")
    room = max(1, int(min(cluster.cpus, cluster.memory // WORKER_BYTES)))
    return Workers(count or room, "cpu", 1, ready=cluster.cpus)


class Build:
    """A model worker as Ray Data runs it: a row with a song in, a row with its report out."""

    def __init__(self, make_builder: Callable[[], Callable[[Song, str | None, int], Report]]) -> None:
        self.builder: Callable[[Song, str | None, int], Report] | None = None
        self.error = ""
        try:
            self.builder = make_builder()
        except Exception as error:  # weights that only this machine lacks, say: told by the first song
            self.error = f"a worker could not start: {error}"

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        report = Report(
            row["song_id"], row["title"], failed_stage="download", error=row["error"], stop=row["stop"]
        )
        if self.builder is None:
            report.error, report.stop = self.error, True
        elif not report.error:
            try:
                report = self.builder(song_of(row), row["audio"] or None, row["attempts"])
            except StorageError as error:  # not even the failure could be written
                report.error, report.stop = str(error), True
        report.stage_seconds["download"] = row["download_seconds"]
        return asdict(report)


def shared_limiter(requests_per_minute: float) -> Any:
    """One rate limit for the downloads of a whole cluster: an actor."""
    limiter = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(RateLimiter)  # outlives its node
    return limiter.remote(requests_per_minute)


def fetch(row: dict[str, Any], store: Store, options: DownloadOptions, limiter: Any) -> dict[str, Any]:
    """Download the song of a row where it needs it, and say where its audio lies now."""
    song = song_of(row)
    if song.kind not in DOWNLOADED:
        return row
    start = time.perf_counter()
    try:
        fetched = download(song, store.audio, options, lambda: time.sleep(ray.get(limiter.reserve.remote())))
        return row | {"audio": str(fetched.path), "download_seconds": time.perf_counter() - start}
    except StorageError as error:  # of the audio store: no fault of the song
        return row | {"error": str(error), "stop": True}
    except DownloadError as error:
        message, tries = f"{error.reason}: {error}", error.tries
    except Exception as error:  # one bad song never stops a run; it becomes a failure with its reason
        message, tries = f"{type(error).__name__}: {error}", 1
    store.write_failure(failure_of(song, "download", message, row["attempts"] + tries))
    return row | {"error": message}


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
    context.execution_no_progress_timeout_s = -1  # a long song on a slow model is no stall
    empty = {"audio": "", "error": "", "stop": False, "download_seconds": 0.0}
    rows = [asdict(song) | empty | {"attempts": attempts.get(song.song_id, 0)} for song in songs]
    data: ray.data.Dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    if fetch_row:
        data = data.map(fetch_row, compute=TaskPoolStrategy(size=downloads), num_cpus=0.25)
    at_once = 1 if alone else workers.songs_at_once
    most = min(workers.count, len(songs))
    pool = ActorPoolStrategy(
        min_size=most if alone else max(1, min(most, workers.ready)),
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
            runtime_env=workers.runtime_env,
            max_task_retries=0 if alone else 2,
        )
    yield from data.iter_rows()


def merge(store: Store) -> Contents:
    """Merge the songs that wait into shards, one task a shard; what the shards hold then.

    A few are merged here, in less time than a task's process takes to start.
    """
    contents = store.contents()
    shards = store.plan_merge(contents.sources)
    write_shard = ray.remote(num_cpus=1)(Store.write_shard)
    try:
        if len(shards) <= FEW_SHARDS:
            for shard in shards:
                store.write_shard(shard)
        else:
            ray.get([write_shard.remote(store, shard) for shard in shards])
    except (ValueError, OSError, ray.exceptions.RayTaskError) as error:
        cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
        if isinstance(cause, ValueError | OSError):
            raise StorageError(f"cannot merge songs into shards: {cause}") from error
        raise
    return store.contents() if shards else contents


def build(
    songs: list[Song],
    store: Store,
    lease: Lease,
    identity: Identity,
    make_builder: Callable[[], Any],
    workers: Workers,
    *,
    fetch_row: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    downloads: int = 1,
    retry_failed: bool = False,
    console: Console | None = None,
) -> Tally:
    """Build what is missing of `songs` in the POPDB at `store`, whose lease the caller holds."""
    console = console or Console(quiet=True)
    tally = Tally(catalogue=len(songs))
    store.claim(identity)
    store.remove_leftovers()
    present = merge(store).sources
    warn_of_namesakes(songs, present, console)
    failed = store.read_failures()
    skipped = present.keys() if retry_failed else present.keys() | failed.keys()
    pending = [song for song in songs if song.song_id not in skipped]
    tally.present = len(songs) - len(pending)
    attempts = {song_id: failure.attempts for song_id, failure in failed.items()}
    with Progress(tally, len(pending), console) as progress:
        for alone in (False, True):
            if not pending:
                break
            run = run_songs(pending, attempts, make_builder, fetch_row, downloads, workers, alone=alone)
            for report in run:
                lease.require()
                if report["stop"]:
                    raise ValueError(report["error"])
                progress.add(report)
            pending = [song for song in pending if song.song_id not in tally.reported]
    for song in pending:
        store.write_failure(failure_of(song, "worker", DIED, attempts.get(song.song_id, 0) + 1))
        tally.add(asdict(Report(song.song_id, song.title, failed_stage="worker", error=DIED)))
    lost = tally.succeeded - store.waiting_song_ids()
    if lost:
        raise StorageError(
            f"{len(lost)} songs were built but are not at {store.root}: is it a folder that only one machine "
            f"sees, on a cluster of several? Use an s3:// prefix or a shared file system for --out"
        )
    built = {song.source for song in songs if song.song_id in tally.succeeded}
    for failure in store.read_failures().values():
        if failure.source in built:  # a file that was mended has another size, and so another id
            store.clear_failure(failure.song_id)
    lease.require()
    contents = merge(store)
    store.write_failures_table()
    tally.database_songs, tally.database_pairs = len(contents.sources), contents.pairs
    tally.database_failures = len(store.read_failures())
    return tally


def warn_of_namesakes(songs: list[Song], present: dict[str, str], console: Console) -> None:
    """A file's id is its path below the given folder and its size: tell where that may mean two songs."""
    doubtful = [song for song in songs if present.get(song.song_id, song.source) != song.source]
    if doubtful:
        first = doubtful[0]
        console.print(
            f"[yellow]{len(doubtful)} songs count as built, from another place with the same name and size: "
            f"{escape(first.source)} from {escape(present[first.song_id])}. If they are other songs, give "
            f"the folder above them as --songs, or another --out[/]"
        )
