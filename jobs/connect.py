"""Connect to the Ray cluster a job runs on, or start one on this machine."""

import logging
import math
import os
from dataclasses import dataclass
from typing import Any

import tenacity

import ray
from ray._private.state import state


@dataclass(frozen=True)
class Cluster:
    """What the cluster has now; an autoscaler may add to it."""

    cpus: int
    gpus: int
    nodes: int
    gpus_to_come: int = 0
    """Further GPUs that its autoscaler may start when they are asked for."""
    memory: float = math.inf
    """Bytes for what runs on it, its object store not counted."""


def connect() -> Cluster:
    """`ray.init`, quietly: the cluster of `ray job submit` or of RAY_ADDRESS, else one on this machine."""
    if not ray.is_initialized():
        if os.environ.get("RAY_AUTH_MODE") != "disabled":  # a warning that tokens are asked for is none
            logging.getLogger("ray._private.authentication.authentication_token_setup").setLevel(
                logging.ERROR
            )
        start(logging.WARNING, include_dashboard=False if "RAY_ADDRESS" not in os.environ else None)
    for name in ("ray.data", "ray.data._internal.execution.streaming_executor_state"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # its errors are the job's failures, told once
    resources = ray.cluster_resources()
    alive = [node for node in ray.nodes() if node["Alive"]]
    gpus = int(resources.get("GPU", 0))
    most = state.get_max_resources_from_cluster_config() or {}  # None where nothing scales
    to_come = max(0, int(most.get("GPU", 0)) - gpus)
    memory = resources.get("memory", math.inf)
    return Cluster(int(resources.get("CPU", 1)), gpus, len(alive), to_come, memory)


@tenacity.retry(
    retry=tenacity.retry_if_exception_message(match=".*timed out during startup.*"),
    stop=tenacity.stop_after_attempt(3),
    after=lambda _: ray.shutdown(),
    reraise=True,
)
def start(logging_level: int, **arguments: Any) -> None:
    """`ray.init`, again where a busy machine was too slow for it."""
    ray.init(logging_level=logging_level, **arguments)
