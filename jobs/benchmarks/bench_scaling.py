"""How building scales over GPUs, with GPUs that only wait: what Ray, the storage and one driver can feed.

The pipeline is the real one, of `build_popdb.py`; the models are a sleep, and each song gives a real pair. So this
says how many GPUs a driver keeps busy, not how fast a GPU is. Writes one Markdown table.
"""

import logging
import os
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from jobs.benchmarks.page import Out, Record, app_of, publish
from jobs.runtime.cluster import connect, start
from jobs.runtime.popdb_pipeline import build
from jobs.runtime.worker_pool import WorkerPool
from samuel.catalogue.songs import Song
from samuel.config import CHUNK_FRAMES, LATENT_CHANNELS
from samuel.popdb import Identity, Store
from samuel.popdb.schema import pairs_table
from samuel.popdb.song_builder import SongReport
from samuel.storage.lease import Lease

import ray

SIMULATED = Identity(codec="simulated", separator="simulated")


@dataclass(frozen=True)
class Span:
    """When a simulated GPU was busy with a song, in seconds of the machine's clock."""

    gpu: str
    start: float
    end: float


class SimulatedGpus:
    """A worker whose models only wait, as a CPU waits for its GPUs: as many as songs come at once."""

    def __init__(self, store: Store, seconds: float, spans: Path) -> None:
        self.store, self.seconds, self.spans = store, seconds, spans
        self.latents = np.zeros((1, LATENT_CHANNELS, CHUNK_FRAMES), np.float16)

    def __call__(self, song: Song, audio: str | None, attempts: int) -> SongReport:
        begun = time.time()
        time.sleep(self.seconds)
        pairs = pairs_table(song, SIMULATED, self.latents, self.latents, [1.0])
        self.store.write_song(song.song_id, pairs)
        gpu = f"{os.getpid()}-{threading.get_ident()}"
        with (self.spans / f"{gpu}.txt").open("a") as file:
            file.write(f"{gpu} {begun} {begun + self.seconds}\n")
        return SongReport(song.song_id, song.title, pairs=1, seconds=47.55)


def busy_share(spans: list[Span], gpus: int) -> float:
    """Share of the time in which all GPUs had begun and none had run out that they were busy."""
    by_gpu: dict[str, list[Span]] = {}
    for span in spans:
        by_gpu.setdefault(span.gpu, []).append(span)
    if len(by_gpu) < gpus:
        raise ValueError(f"expected {gpus} GPUs to get songs, only {len(by_gpu)} did; use more songs")
    begin = max(min(span.start for span in of) for of in by_gpu.values())
    finish = min(max(span.end for span in of) for of in by_gpu.values())
    busy = sum(max(0.0, min(span.end, finish) - max(span.start, begin)) for span in spans)
    return busy / (gpus * (finish - begin))


def measure(gpus: int, processes: int, songs_each: int, seconds: float, folder: Path) -> float:
    """The busy share of `gpus` simulated GPUs in `processes` workers on this machine."""
    spans = folder / f"spans-{gpus}"
    spans.mkdir()
    store = Store.at(folder / f"popdb-{gpus}")
    songs = [Song(f"{n:016x}", f"Song {n}", "", "", "audio") for n in range(gpus * songs_each)]
    workers = WorkerPool(processes, "cuda", None, songs_at_once=gpus // processes, ready=processes)
    with Lease(store.root) as lease:
        build(songs, store, lease, SIMULATED, partial(SimulatedGpus, store, seconds, spans), workers)
    lines = [line.split() for file in spans.iterdir() for line in file.read_text().splitlines()]
    return busy_share([Span(gpu, float(start), float(end)) for gpu, start, end in lines], gpus)


def main(
    gpus: Annotated[list[int], typer.Option(help="How many to simulate, in a run each.")] = [1, 16, 64],  # noqa: B006
    processes: Annotated[int, typer.Option(help="Workers at most; each has its share of the GPUs.")] = 16,
    songs_each: Annotated[int, typer.Option(min=2, help="Songs a GPU gets, on average.")] = 6,
    seconds: Annotated[
        float, typer.Option(help="That a GPU takes for a song; 10 are those of cluster/README.md.")
    ] = 10.0,
    out: Out = None,
    record: Record = False,
) -> None:
    """Measure on this machine how many GPUs one build keeps busy."""
    start(logging.ERROR, address="local", num_gpus=processes, include_dashboard=False)
    connect()  # quietens Ray Data
    console = Console(highlight=False, soft_wrap=True)
    lines = [
        "| simulated GPUs | worker processes | share of the time busy |",
        "|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for number in gpus:
            used = min(number, processes)
            share = measure(number, used, songs_each, seconds, Path(folder))
            lines.append(f"| {number} | {used} | {share:.1%} |")
            console.print(lines[-1])
    ray.shutdown()
    publish("\n".join(lines), out, record)


if __name__ == "__main__":
    app_of(main)()
