"""How fast building is: against the bare models, by stage, and in memory.

Writes one Markdown table. Timings of a shared machine drift, so what is compared runs in turns and
is reported as a ratio.
"""

import multiprocessing
import os
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any
from unittest import mock

import psutil
import torch
import typer
from rich.console import Console

from jobs.benchmarks.page import Out, Record, app_of, publish
from jobs.runtime.build_progress import Tally
from jobs.runtime.cluster import connect
from jobs.runtime.malloc_env import KEEP_FREED_MEMORY
from jobs.runtime.popdb_pipeline import build
from jobs.runtime.worker_pool import WorkerPool
from samuel.audio import decode
from samuel.catalogue.songs import DEMO_SONGS, Song, read_catalogue
from samuel.popdb import Identity, Store
from samuel.popdb.song_builder import PairBuilder
from samuel.separation import split_stems
from samuel.storage.lease import Lease
from samuel.vocals import NORMAL_FORM


class PeakMemory:
    """Largest sum of proportional memory of this process and all that it started, in MiB, while entered."""

    def __enter__(self) -> "PeakMemory":
        self.peak, self.stop = 0.0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.stop.wait(1.0):
            total = 0.0
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss / 2**20
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)


def song_copies(source: str, count: int) -> list[Song]:
    """`count` songs: those of `source` again and again, each under an id of its own."""
    songs = read_catalogue(source).songs
    return [
        Song(f"{n:016x}", f"{songs[n % len(songs)].title} {n}", "", songs[n % len(songs)].source, "audio")
        for n in range(count)
    ]


def bare_loop(songs: list[Song], codec: str, separator: str) -> tuple[float, float]:
    """Seconds that loading and running the models takes on songs decoded before, and hours of audio."""
    from samuel.codec import load_codec
    from samuel.separation import load_separator

    decoded = {source: decode(source) for source in {song.source for song in songs}}
    start = time.perf_counter()
    separate, encode = load_separator(separator, "cpu"), load_codec(codec, "cpu").encode
    for song in songs:
        stems = split_stems(separate, decoded[song.source])
        encode(torch.stack([stems.vocals, stems.accompaniment]))
    seconds = time.perf_counter() - start
    return seconds, sum(decoded[song.source].shape[-1] for song in songs) / 44_100 / 3600


def in_own_process(environment: dict[str, str], *arguments: Any) -> tuple[float, float]:
    """`bare_loop` in a new process with these variables."""
    with (
        mock.patch.dict(os.environ, environment),
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process,
    ):
        return process.submit(bare_loop, *arguments).result()


def whole_job(
    songs: list[Song], codec: str, separator: str, root: Path, workers: WorkerPool
) -> tuple[Tally, float]:
    """The tally of a build from nothing, and its seconds."""
    from samuel.codec import load_codec
    from samuel.separation import load_separator

    store = Store.at(root)
    identity = Identity(
        load_codec(codec, "cpu").identity, load_separator(separator, "cpu").identity, vocals=NORMAL_FORM
    )
    make = partial(
        PairBuilder,
        store,
        codec=codec,
        separator=separator,
        identity=identity,
        device=workers.device,
        threads=workers.threads,
    )
    start = time.perf_counter()
    with Lease(store.root) as lease:
        tally = build(songs, store, lease, identity, make, workers)
    seconds = time.perf_counter() - start
    if tally.failures:
        raise ValueError(f"expected every song to build, got {tally.failures}")
    return tally, seconds


def guides_speed(root: Path, codec: str) -> float:
    """Seconds of song a second in which one worker finds what the songs of a POPDB lack beside their latents."""
    from samuel.popdb.completing import Completer

    store = Store.at(root)
    complete = Completer(store, codec, threads=1)
    reports = []
    for shard, song_ids in store.songs_without_guides().items():
        reports += [complete(song_id, shard) for song_id in song_ids]
    errors = [report.error for report in reports if report.error]
    if errors or len(reports) < 2:
        raise ValueError(f"expected guides of two songs or more, got {len(reports)} and {errors}")
    timed = reports[1:]  # the first one loads what all need
    return sum(one.seconds for one in timed) / sum(one.work_seconds for one in timed)


def main(
    songs: Annotated[str, typer.Option(help="Songs to measure with: a folder, as for build_popdb.")] = str(
        DEMO_SONGS
    ),
    count: Annotated[int, typer.Option(help="Songs a run, copies of the former.")] = 24,
    rounds: Annotated[int, typer.Option(help="How often loop and job take turns.")] = 2,
    codec: Annotated[str, typer.Option(help="As for build_popdb.")] = "mini",
    separator: Annotated[str, typer.Option(help="As for build_popdb.")] = "spleeter",
    out: Out = None,
    record: Record = False,
) -> None:
    """Measure the building of a POPDB on this machine's CPU and write a table."""
    console = Console()
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  # as the loop; by default Ray's workers give way
    cluster = connect()
    workers = WorkerPool(cluster.cpus, "cpu", 1, ready=cluster.cpus)
    few, half, many = (song_copies(songs, max(4, number)) for number in (count // 8, count // 2, count))
    plain, kept, jobs, stages = [], [], [], {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            seconds, hours = in_own_process({}, many, codec, separator)
            plain.append(seconds)
            kept.append(in_own_process(KEEP_FREED_MEMORY, many, codec, separator)[0])
            tally, seconds = whole_job(many, codec, separator, Path(folder) / f"many-{turn}", workers)
            jobs.append(seconds)
            console.print(
                f"turn {turn + 1}: loop {plain[-1]:.1f} s, keeping memory {kept[-1]:.1f} s, job {seconds:.1f} s, "
                f"{hours:.2f} h of audio"
            )
            stages = {stage: tally.seconds / max(spent, 1e-9) for stage, spent in tally.stage_seconds.items()}
        peaks = []
        for number, some in enumerate((few, half)):  # apart: to watch memory takes time
            with PeakMemory() as memory:
                whole_job(some, codec, separator, Path(folder) / f"memory-{number}", workers)
            peaks.append(f"{memory.peak:.0f}")

        guides = guides_speed(Path(folder) / "memory-0", codec)

    def row(what: str, seconds: list[float]) -> str:
        middle = median(seconds)
        return f"| {what} | {middle:.1f} s, {hours * 3600 / middle:.1f} x real time |"

    def ratio(loops: list[float]) -> str:
        return f"{median(job / loop for job, loop in zip(jobs, loops, strict=True)):.2f}"

    lines = [
        f"Codec {codec}, separator {separator}, {len(many)} songs, {hours:.2f} h of audio.",
        "",
        "| what | figure |",
        "|---|---|",
        f"| whole job / bare models in a loop on decoded songs, median of {rounds} | {ratio(plain)} |",
        f"| whole job / such a loop that keeps freed memory, as the job's workers do | {ratio(kept)} |",
        row(f"bare loop, {torch.get_num_threads()} threads", plain),
        row("bare loop that keeps freed memory", kept),
        row(f"whole job, {workers.count} workers of 1 thread", jobs),
        *(
            f"| {stage}, one worker | {speed:.1f} x real time |"
            for stage, speed in stages.items()
            if stage not in ("download", "chunk")
        ),
        f"| lead sheet, features and arrangement of a song that lacks them, one worker | {guides:.1f} x real time |",
        f"| peak memory of all processes, {len(few)} songs / {len(half)} songs | {' / '.join(peaks)} MiB |",
        "",
    ]
    publish("\n".join(lines), out, record)


if __name__ == "__main__":
    app_of(main)()
