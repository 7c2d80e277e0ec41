"""Turns are spaced over threads."""

import threading
import time

import pytest

from samuel.catalogue.rate_limit import RateLimiter


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


def test_a_site_that_asks_to_wait_is_asked_nothing_for_so_long_and_less_after() -> None:
    limiter = RateLimiter(60 * 20)
    limiter.hold(0.3)
    waits = [limiter.reserve() for _ in range(3)]
    assert waits == pytest.approx([0.3, 0.4, 0.5], abs=0.02)
    for _ in range(5):
        limiter.hold(0.0)
    first, second = limiter.reserve(), limiter.reserve()
    assert second - first == pytest.approx(0.2, abs=0.02)  # a quarter of the pace, and no less


def test_answers_of_one_kind_in_a_row_are_counted() -> None:
    limiter = RateLimiter(60)
    answers = ("refused", "refused", "there", "refused", "unreached", "unreached")
    assert [limiter.answered(answer) for answer in answers] == [1, 2, 1, 1, 1, 2]
