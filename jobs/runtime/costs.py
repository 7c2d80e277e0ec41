"""What a job's machines cost: their hours while it ran, by kind, and dollars where the prices are known.

The kinds are those of the cluster's configuration (`gpu-spot`, `head`), the prices in dollars an hour, with it in the
nodes' environment: SAMUEL_PRICES="head=0.096,gpu-spot=0.45". Machines that start, or wait to be given back, count.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType

from rich.console import Console
from rich.markup import escape

from samuel.storage import as_path, write_atomic

PRICES = "SAMUEL_PRICES"
EVERY_SECONDS = 10.0


def prices() -> dict[str, float]:
    """Dollars an hour by kind of machine. Raises ValueError for what is no list of prices."""
    given = os.environ.get(PRICES, "")
    try:
        pairs = [part.split("=") for part in given.split(",") if part.strip()]
        return {kind.strip(): float(dollars) for kind, dollars in pairs}
    except ValueError:
        raise ValueError(f"expected {PRICES} such as head=0.096,gpu-spot=0.45, got {given!r}") from None


def kinds_alive() -> list[str]:
    """The kind of each machine that the cluster has now."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    return [node.get("Labels", {}).get("ray.io/node-group") or "machine" for node in alive]


class MachineHours:
    """Count them while entered; then say them, and leave them as a file under `root`/costs.

    Raises ValueError at once where the prices cannot be read.
    """

    def __init__(self, root: str, console: Console, machines: Callable[[], list[str]] = kinds_alive) -> None:
        self.root, self.console, self.machines, self.prices = root, console, machines, prices()
        self.hours: dict[str, float] = {}
        self.stop = threading.Event()
        self.watch = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "MachineHours":
        self.began, self.last = datetime.now(UTC), time.monotonic()
        self.watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop.set()
        self.watch.join()
        self.count()
        name = f"{self.began:%Y%m%dT%H%M%SZ}-{os.getpid()}.json"
        record = {"began": self.began.isoformat(), "hours": self.hours, "dollars": self.dollars}
        write_atomic(as_path(self.root) / "costs" / name, json.dumps(record, indent=1).encode())
        said = ", ".join(f"{kind} {hours:.2f} h" for kind, hours in sorted(self.hours.items()))
        cost = "" if self.dollars is None else f", ${self.dollars:,.2f}"
        self.console.print(escape(f"Machines while this ran: {said}{cost}"))

    @property
    def dollars(self) -> float | None:
        """None while the price of a machine that ran is not known."""
        if self.hours.keys() - self.prices.keys():
            return None
        return sum(hours * self.prices[kind] for kind, hours in self.hours.items())

    def count(self) -> None:
        now = time.monotonic()
        for kind in self.machines():
            self.hours[kind] = self.hours.get(kind, 0.0) + (now - self.last) / 3600
        self.last = now

    def _watch(self) -> None:
        while not self.stop.wait(EVERY_SECONDS):
            self.count()
