"""Positions in a file, ticks or quarters, to seconds."""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise


def clock_of(paces: Mapping[float, float], first: float = 0.0) -> Callable[[float], float]:
    """The second at a position. `paces` are seconds a unit from a position on, one of them 0, which is at `first`."""
    starts = sorted(paces)
    steps = ((end - start) * paces[start] for start, end in pairwise(starts))
    times = list(accumulate(steps, initial=first))

    def second(at: int | float) -> float:
        index = bisect_right(starts, at) - 1
        return times[index] + (at - starts[index]) * paces[starts[index]]

    return second
