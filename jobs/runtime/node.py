"""Ray's node on this machine, started with fewer processes than Ray starts by itself, and waited for.

Left out are the autoscaler's monitor (one machine has nothing to scale) and the server of the dashboard where no
dashboard is asked for (Ray starts it all the same, and waits for it). The ports of the node's two agents are chosen
here, before they start: else the raylet waits for the agents to import and to say theirs, for 30 s, and then ends.

This goes through what is private in Ray, whose version is pinned: `ray.init` has no words for it.
"""

import inspect
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from jobs.runtime.patience import START_SECONDS

import ray
from ray._common.utils import get_default_ray_temp_dir
from ray._private import parameter, services

RAYLET: Any = ray._raylet  # compiled, and typed in part
PORTS = {
    "metrics_agent_port": RAYLET.METRICS_AGENT_PORT_NAME,
    "metrics_export_port": RAYLET.METRICS_EXPORT_PORT_NAME,
    "dashboard_agent_listen_port": RAYLET.DASHBOARD_AGENT_LISTEN_PORT_NAME,
    "runtime_env_agent_port": RAYLET.RUNTIME_ENV_AGENT_PORT_NAME,
}
"""Of the agents: arguments of Ray's `start_raylet`, and the names of the files in which the raylet looks for them."""

PORT_RANGE = 20_000, 32_000
"""Below those that systems give to outgoing connections."""


class StartError(ValueError):
    """Ray does not start on this machine; says what its user can do."""


@contextmanager
def light_and_patient() -> Iterator[None]:
    """Within, `ray.init` starts a node as described above. Raises StartError as soon as there is no hope."""
    with ExitStack() as changes:
        for module, name, make in (
            (parameter, "RayParams", partial(partial, no_monitor=True)),
            (services, "start_api_server", without_dashboard),
            (services, "start_raylet", with_known_ports),
            (services, "get_node", patiently),
        ):
            changes.enter_context(patch.object(module, name, make(getattr(module, name))))
        yield


def without_dashboard(start: Callable[..., Any]) -> Callable[..., Any]:
    """Ray's starter of the dashboard's server, which starts none where no dashboard is wanted."""

    def start_where_wanted(include_dashboard: bool | None, *more: Any, **named: Any) -> Any:
        return (None, None) if include_dashboard is False else start(include_dashboard, *more, **named)

    return start_where_wanted


def with_known_ports(start: Callable[..., Any]) -> Callable[..., Any]:
    """Ray's starter of the raylet, which finds the ports of its agents at once."""

    def start_with_ports(*arguments: Any, **named: Any) -> Any:
        given = inspect.signature(start).bind(*arguments, **named).arguments
        for (argument, file), port in zip(PORTS.items(), free_ports(len(PORTS)), strict=True):
            given[argument] = port
            RAYLET.persist_port(given["session_dir"], given["node_id"], file, port)
        return start(**given)

    return start_with_ports


def free_ports(count: int) -> list[int]:
    """Ports that are free now."""
    with ExitStack() as opened:
        found: list[int] = []
        while len(found) < count:
            one = opened.enter_context(socket.socket())
            with suppress(OSError):  # taken
                one.bind(("", random.randrange(*PORT_RANGE)))
                found.append(one.getsockname()[1])
        return found


def patiently(get_node: Callable[..., Any]) -> Callable[..., Any]:
    """Ray's question after the node, asked until it is there, for `START_SECONDS` or until its raylet has ended."""
    deadline = time.monotonic() + START_SECONDS

    def ask(*arguments: Any) -> Any:
        while True:
            try:
                return get_node(*arguments)
            except RuntimeError:  # not there yet
                if not raylet_lives():
                    raise StartError(f"its raylet has ended; {where_it_is_said()}") from None
                if time.monotonic() > deadline:
                    raise StartError(
                        f"its node did not come up within {START_SECONDS:.0f} s; {where_it_is_said()}"
                    ) from None
            time.sleep(0.1)

    return ask


def raylet_lives() -> bool:
    """Whether this process has one that has not ended."""
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if child.name() == "raylet" and child.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def where_it_is_said() -> str:
    sessions = sorted(Path(get_default_ray_temp_dir()).glob(f"session_*_{os.getpid()}"))
    return f"its logs are in {sessions[-1] / 'logs'}" if sessions else "it left no logs"
