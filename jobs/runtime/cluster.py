"""Connect to the Ray cluster a job runs on, or start one on this machine."""

import logging
import math
import os
from dataclasses import dataclass
from typing import Any

from jobs.runtime.node import StartError, light_and_patient
from samuel.errors import in_words

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


def connect(*, trains: bool = False) -> Cluster:
    """`ray.init`, quietly: the cluster of `ray job submit` or of RAY_ADDRESS, else one on this machine.

    `trains`: with the server that Ray Train asks about its actors; without it each training ends 12 s late, in a traceback.
    Raises StartError.
    """
    if not ray.is_initialized():
        if os.environ.get("RAY_AUTH_MODE") != "disabled":  # a warning that tokens are asked for is none
            logging.getLogger("ray._private.authentication.authentication_token_setup").setLevel(
                logging.ERROR
            )
        served = trains or "RAY_ADDRESS" in os.environ
        start(logging.WARNING, include_dashboard=None if served else False)
    for name in ("ray.data", "ray.data._internal.execution.streaming_executor_state"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # its errors are the job's failures, told once
    resources = ray.cluster_resources()
    alive = [node for node in ray.nodes() if node["Alive"]]
    gpus = int(resources.get("GPU", 0))
    most = state.get_max_resources_from_cluster_config() or {}  # None where nothing scales
    to_come = max(0, int(most.get("GPU", 0)) - gpus)
    memory = resources.get("memory", math.inf)
    return Cluster(int(resources.get("CPU", 1)), gpus, len(alive), to_come, memory)


def patient_data() -> None:
    """Ray Data without its progress bars, which no failing block and no slow song stops; a row is a block."""
    from ray.data import DataContext  # which takes a second to import

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    context.target_max_block_size = None
    context.execution_no_progress_timeout_s = -1  # a long song on a slow model is no stall


def start(logging_level: int, **arguments: Any) -> None:
    """`ray.init`: it connects to the Ray that is there, or starts one on this machine, with few processes (`node`).

    Raises StartError, one sentence, where that fails twice: another process may have taken a port meanwhile.
    """
    for left in (1, 0):
        try:
            with light_and_patient():
                ray.init(logging_level=logging_level, **arguments)
            return
        except Exception as error:
            ray.shutdown()
            if not left:
                raise StartError(f"Ray does not start: {in_words(error)}") from error
