"""One run at a time writes a folder: two that merge songs into the shards of a POPDB could write a pair twice.

The holder renews a small file. Who finds one waits to see whether it is renewed: then another run
is alive, and this one stops with a clear error; else that run was killed, and this one takes over.
So a killed run can be started again at once, by hand or by a cluster, with nothing to clean up.
A holder that was suspended so long that another took over notices, and stops: ask `require`.
"""

import json
import os
import socket
import threading
import time
import uuid
from types import TracebackType

from samuel.storage import StorageError, as_path, delete, read_bytes, write_atomic

RENEW_SECONDS = 5.0
DEAD_AFTER_SECONDS = 30.0
_SETTLE_SECONDS = 0.5


class LeaseError(ValueError):
    """Another run writes there: says which, and what to do."""


class Lease:
    """A context in which nobody else writes the folder `root`. Raises `LeaseError` if somebody does."""

    def __init__(
        self, root: str, renew_seconds: float = RENEW_SECONDS, dead_after_seconds: float = DEAD_AFTER_SECONDS
    ) -> None:
        self.file = as_path(root) / "lease.json"
        self.renew_seconds = renew_seconds
        self.dead_after_seconds = dead_after_seconds
        self.holder = {"run": uuid.uuid4().hex, "host": socket.gethostname(), "process": os.getpid()}
        self.released = threading.Event()
        self.lost = threading.Event()
        self.renewing = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> "Lease":
        self._wait_for_a_dead_holder()
        self._write(0)
        time.sleep(_SETTLE_SECONDS)
        if not self._is_ours():
            raise LeaseError(f"another run began to write {self.file.parent} at the same moment; try again")
        self.renewing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self.renewing.join()
        if self._is_ours():
            delete(self.file)

    def require(self) -> None:
        """Raise `LeaseError` if another run took over, as after a suspension of this machine."""
        if self.lost.is_set() or not self._is_ours():
            raise LeaseError(
                f"this run was silent for so long that another one took {self.file.parent} over; "
                f"it does the rest. When it has ended, the same command shows what is there"
            )

    def _wait_for_a_dead_holder(self) -> None:
        first = self._read()
        if first is None:
            return
        deadline = time.monotonic() + self.dead_after_seconds
        while time.monotonic() < deadline:
            time.sleep(min(1.0, self.renew_seconds))
            now = self._read()
            if now is None:
                return
            if now != first:
                raise LeaseError(
                    f"another run (process {now['process']} on {now['host']}) is writing {self.file.parent}; "
                    f"wait for it, stop it, or choose another --out"
                )

    def _renew(self) -> None:
        renewal = 0
        while not self.released.wait(self.renew_seconds):
            renewal += 1
            try:
                if not self._is_ours():
                    self.lost.set()
                    return
                self._write(renewal)
            except (OSError, StorageError):  # storage is out for everybody: the songs' writes decide
                continue

    def _is_ours(self) -> bool:
        found = self._read()
        return found is not None and found["run"] == self.holder["run"]

    def _write(self, renewal: int) -> None:
        write_atomic(self.file, json.dumps(self.holder | {"renewal": renewal}).encode())

    def _read(self) -> dict | None:
        try:
            return json.loads(read_bytes(self.file))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
