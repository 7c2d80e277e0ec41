"""Turns for those who must not hurry, such as downloads from one site."""

import threading
import time

SLOWEST = 4  # times the pace that was asked for


class RateLimiter:
    """Turns spaced evenly, so many a minute; shared by the threads of a process."""

    def __init__(self, turns_per_minute: float | int):
        if not turns_per_minute > 0:
            raise ValueError(f"expected more than 0 turns a minute, got {turns_per_minute}")
        self._seconds = self._wanted = 60 / turns_per_minute
        self._lock = threading.Lock()
        self._next = 0.0
        self._last_answer, self._in_a_row = "", 0

    def reserve(self) -> float:
        """Take the next turn; return the seconds until it comes. A cluster's one limiter answers with this."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._seconds
            return turn - now

    def hold(self, seconds: float) -> None:
        """No turns for so long: a site asked for it. From then on they come half as often, at least a quarter."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)
            self._seconds = min(2 * self._seconds, SLOWEST * self._wanted)

    def answered(self, how: str) -> int:
        """Count what became of a song, in a word; how many in a row became of so, this one too."""
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if how == self._last_answer else 1
            self._last_answer = how
            return self._in_a_row

    def __call__(self) -> None:
        """Wait for the next turn."""
        time.sleep(self.reserve())
