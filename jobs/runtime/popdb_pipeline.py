"""Songs into pairs with Ray Data: what `build_popdb.py` runs, without its command line.

A pool of tasks downloads, a pool of actors each holds a separator and a codec and turns songs into
pairs, beside it another finds what a network may be told of them (`guide_pool`), and tasks merge all into shards. Between them go song ids and paths, never audio.
"""

import contextlib
import time
import warnings
from collections.abc import Callable, Generator
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape

from jobs.runtime.build_progress import BuildProgress, Tally
from jobs.runtime.cluster import patient_data
from jobs.runtime.guide_pool import GuidePool
from jobs.runtime.worker_pool import WorkerPool
from samuel.catalogue.download import DownloadOptions, download
from samuel.catalogue.download_errors import LATER, REFUSING, UNREACHED, DownloadError
from samuel.catalogue.rate_limit import RateLimiter
from samuel.catalogue.songs import Song
from samuel.popdb import Identity, Store
from samuel.popdb.failures import Failure, failure_of
from samuel.popdb.song_builder import DOWNLOADED, SongReport
from samuel.popdb.store import Contents
from samuel.storage import StorageError
from samuel.storage.lease import Lease

import ray
from ray.data import ActorPoolStrategy, TaskPoolStrategy

DIED = "its worker process ended without a word, also when the song ran alone: out of memory, or a crash"

MOST_IN_A_ROW = {"refused": 5, "not reached": 20}
"""Songs in a row of which a site wants to know nothing, or is away, after which a run asks for no more."""

MOST_ATTEMPTS = 20
"""Of a song whose download failed for a passing reason: some runs try it again by themselves."""

FEW_SHARDS = 3
"""One of each split, as a small catalogue makes."""


class Build:
    """A model worker as Ray Data runs it: a row with a song in, a row with its report out."""

    def __init__(self, make_builder: Callable[[], Callable[[Song, str | None, int], SongReport]]) -> None:
        self.builder: Callable[[Song, str | None, int], SongReport] | None = None
        self.error = ""
        try:
            self.builder = make_builder()
        except Exception as error:  # weights that only this machine lacks, say: told by the first song
            self.error = f"a worker could not start: {error}"

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        report = SongReport(
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
    stop = ""
    try:
        fetched = download(
            song,
            store.audio,
            options,
            lambda: time.sleep(ray.get(limiter.reserve.remote())),
            lambda seconds: ray.get(limiter.hold.remote(seconds)),
        )
        if fetched.tries:
            limiter.answered.remote("there")
        return row | {"audio": str(fetched.path), "download_seconds": time.perf_counter() - start}
    except StorageError as error:  # of the audio store: no fault of the song
        return row | {"error": str(error), "stop": True}
    except DownloadError as error:
        message, tries = f"{error.reason}: {error}", error.tries
        how = (
            "refused" if error.reason in REFUSING else "not reached" if error.reason in UNREACHED else "told"
        )
        if error.reason == "bot check":
            limiter.hold.remote(0.0)  # only slower from now on
        in_a_row = ray.get(limiter.answered.remote(how))
        if in_a_row >= MOST_IN_A_ROW.get(how, in_a_row + 1):
            stop = (
                f"{in_a_row} songs in a row were {how}, the last with: {message}. What was fetched stays, and none "
                "of these counts as failed for good; run the same command again in some hours, with fewer "
                "--requests-per-minute, with --cookies or --proxy"
            )
    except Exception as error:  # one bad song never stops a run; it becomes a failure with its reason
        message, tries = f"{type(error).__name__}: {error}", 1
    try:
        store.write_failure(failure_of(song, "download", message, row["attempts"] + tries))
    except StorageError as error:
        return row | {"error": str(error), "stop": True}
    return row | {"error": stop or message, "stop": bool(stop)}


def is_tried_again(failure: Failure) -> bool:
    """Whether nothing is wrong with a song that failed: its site was busy, or refused all."""
    reason = failure.error.partition(":")[0]
    return failure.stage == "download" and reason in LATER and failure.attempts < MOST_ATTEMPTS


def song_of(row: dict[str, Any]) -> Song:
    return Song(row["song_id"], row["title"], row["artist"], row["source"], row["kind"])


def run_songs(
    songs: list[Song],
    attempts: dict[str, int],
    make_builder: Callable[[], Any],
    fetch_row: Callable[[dict[str, Any]], dict[str, Any]] | None,
    downloads: int,
    workers: WorkerPool,
    *,
    alone: bool = False,
) -> Generator[dict[str, Any], None, None]:
    """Reports of `songs` as they are done. A song whose worker dies again and again yields none.

    One song is one row, one block and one task, so that a worker's death costs the songs it held and
    no other (blocks are made at the source: Ray would fuse a repartition with the downloads into one task). `alone`: one song a worker at a time and no second try, so that only a song that itself
    kills its worker is lost.
    """
    patient_data()
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
    """Merge the songs that wait into shards, and guides that wait, one task a shard; what the shards hold then.

    A few are merged here, in less time than a task's process takes to start.
    """
    contents = store.contents()
    shards = store.plan_merge(contents.sources)
    _each(Store.write_shard, [(store, shard) for shard in shards])
    if store.waiting_guides():
        _each(
            Store.add_guides, [(store, name, songs) for name, songs in store.songs_without_guides().items()]
        )
        for leftover in store.waiting_guides():  # of songs that are gone, or had their guides already
            store.delete_guides(leftover)
    return store.contents() if shards else contents


def _each(write: Callable[..., None], calls: list[tuple[Any, ...]]) -> None:
    """Calls `write` with each: tasks where there are many."""
    try:
        if len(calls) <= FEW_SHARDS:
            for call in calls:
                write(*call)
        else:
            task = ray.remote(num_cpus=1)(write)
            ray.get([task.remote(*call) for call in calls])
    except (ValueError, OSError, ray.exceptions.RayTaskError) as error:
        cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
        if isinstance(cause, ValueError | OSError):
            raise StorageError(f"cannot merge songs into shards: {cause}") from error
        raise


def build(
    songs: list[Song],
    store: Store,
    lease: Lease,
    identity: Identity,
    make_builder: Callable[[], Any],
    workers: WorkerPool,
    *,
    fetch_row: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    downloads: int = 1,
    retry_failed: bool = False,
    guides: GuidePool | None = None,
    console: Console | None = None,
) -> Tally:
    """Build what is missing of `songs` in the POPDB at `store`, whose lease the caller holds.

    With `guides`, also what its songs lack beside their latents, those of earlier runs among them.
    """
    console = console or Console(quiet=True)
    tally = Tally(catalogue=len(songs))
    store.claim(identity)
    store.remove_leftovers()
    present = merge(store).sources
    warn_of_namesakes(songs, present, console)
    failed = store.read_failures()
    final = {song_id for song_id, failure in failed.items() if not is_tried_again(failure)}
    skipped = present.keys() if retry_failed else present.keys() | final
    pending = [song for song in songs if song.song_id not in skipped]
    pending.sort(
        key=lambda song: song.song_id in failed
    )  # what failed before stops nothing that was never tried
    tally.present = len(songs) - len(pending)
    attempts = {song_id: failure.attempts for song_id, failure in failed.items()}
    old = store.songs_without_guides() if guides else {}
    with BuildProgress(tally, len(pending), console) as progress, _closing(guides):
        for shard, song_ids in old.items():
            for song_id in song_ids:
                guides.submit(song_id, shard)  # type: ignore[union-attr]
        for alone in (False, True):
            if not pending:
                break
            run = run_songs(pending, attempts, make_builder, fetch_row, downloads, workers, alone=alone)
            with contextlib.closing(run):  # or songs are fetched after an error, until it is forgotten
                for report in run:
                    lease.require()
                    if report["stop"]:
                        raise ValueError(report["error"])
                    progress.add(report)
                    if guides and report["pairs"] and not report["guided"]:
                        guides.submit(report["song_id"])
                    _add_guides(guides, progress, wait=False)
            pending = [song for song in pending if song.song_id not in tally.reported]
        progress.wait_for_guides(guides.left if guides else 0)
        _add_guides(guides, progress, wait=True, lease=lease)
    for song in pending:
        store.write_failure(failure_of(song, "worker", DIED, attempts.get(song.song_id, 0) + 1))
        tally.add(asdict(SongReport(song.song_id, song.title, failed_stage="worker", error=DIED)))
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


@contextlib.contextmanager
def _closing(guides: GuidePool | None) -> Generator[None, None, None]:
    try:
        yield
    finally:
        if guides:
            guides.close()


def _add_guides(
    guides: GuidePool | None, progress: BuildProgress, *, wait: bool, lease: Lease | None = None
) -> None:
    for report in guides.done(wait=wait) if guides else ():
        if lease:
            lease.require()
        if report.stop:
            raise ValueError(report.error)
        progress.add_guides(report)


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
