"""Turns for those who must not hurry, such as downloads from one site."""

import threading
import time


class RateLimiter:
    """Turns spaced evenly, so many a minute; shared by the threads of a process."""

    def __init__(self, turns_per_minute: float | int):
        if not turns_per_minute > 0:
            raise ValueError(f"expected more than 0 turns a minute, got {turns_per_minute}")
        self._seconds = 60 / turns_per_minute
        self._lock = threading.Lock()
        self._next = 0.0

    def reserve(self) -> float:
        """Take the next turn; return the seconds until it comes. A cluster's one limiter answers with this."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._seconds
            return turn - now

    def __call__(self) -> None:
        """Wait for the next turn."""
        time.sleep(self.reserve())
