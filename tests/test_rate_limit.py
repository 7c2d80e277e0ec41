"""Turns are spaced over threads."""

import threading
import time

import pytest

from samuel.rate_limit import RateLimiter


def test_the_limiter_spaces_turns_over_threads() -> None:
    limiter = RateLimiter(60 * 20)
    times: list[float] = []

    def work() -> None:
        for _ in range(3):
            limiter()
            times.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(4)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 12
    assert time.monotonic() - begun >= 11 * 0.05
    assert all(later >= n * 0.05 - 0.01 for n, later in enumerate(sorted(t - begun for t in times)))
    with pytest.raises(ValueError, match="more than 0"):
        RateLimiter(0)
