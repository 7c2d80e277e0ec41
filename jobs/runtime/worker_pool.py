"""How many workers a job starts, on what, and with how many threads: one pool for every kind of model work."""

from dataclasses import dataclass
from typing import Any

from jobs.runtime.cluster import Cluster
from jobs.runtime.malloc_env import KEEP_FREED_MEMORY

GPU_SONGS_AT_ONCE = 3
"""Songs in one GPU worker: one on the models, one being decoded, one being written."""

WORKER_BYTES = 2_000_000_000
"""Of memory, about what a worker on a CPU takes with the package's separator and codec."""


@dataclass(frozen=True)
class WorkerPool:
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


def choose_workers(cluster: Cluster, device: str, count: int | None) -> WorkerPool:
    """One worker a GPU; without one, a worker a core with one thread each, but no more than there is memory for."""
    if device == "auto":
        device = "cuda" if cluster.gpus else "cpu"
    if device == "cuda":
        if not count and not cluster.gpus:
            raise ValueError(
                "the cluster has no GPU now; say how many workers to ask its autoscaler for, with --workers, "
                "or use --device cpu"
            )
        return WorkerPool(count or cluster.gpus, "cuda", None, GPU_SONGS_AT_ONCE, cluster.gpus)
    if device != "cpu":
        raise ValueError(f"expected --device auto, cpu or cuda, got {device!r}")
    room = max(1, int(min(cluster.cpus, cluster.memory // WORKER_BYTES)))
    return WorkerPool(count or room, "cpu", 1, ready=cluster.cpus)
