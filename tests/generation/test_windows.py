"""The plan of windows: every frame of the region made once, nothing else touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel.generation import plan_windows


@st.composite
def plans(draw: st.DrawFn) -> tuple[int, tuple[int, int], int, int]:
    frames = draw(st.integers(1, 3000))
    first = draw(st.integers(0, frames - 1))
    last = draw(st.integers(first + 1, frames))
    window = draw(st.integers(2, 700))
    return frames, (first, last), window, draw(st.integers(0, window - 1))


@given(plans())
def test_each_frame_of_the_region_is_made_once_and_in_order(
    drawn: tuple[int, tuple[int, int], int, int],
) -> None:
    frames, (first, last), window, overlap = drawn
    made = []
    for one in plan_windows(frames, (first, last), window, overlap):
        assert one.start >= 0
        assert one.stop <= frames
        assert one.stop - one.start == min(window, frames)
        made += range(one.start + one.held, one.stop - one.held_after)
    assert made == list(range(first, last))


@given(st.integers(513, 6000), st.integers(1, 511))
def test_each_window_holds_at_least_the_overlap_of_what_is_made(frames: int, overlap: int) -> None:
    first, *others = plan_windows(frames, window=512, overlap=overlap)
    assert first.held == 0
    assert all(one.held >= overlap for one in others)


def test_a_short_region_is_seen_with_as_much_around_it_as_fits() -> None:
    (one,) = plan_windows(2000, (600, 700), window=512, overlap=128)
    assert (one.held, one.held_after) == (206, 206)
    (one,) = plan_windows(2000, (0, 100), window=512, overlap=128)
    assert (one.held, one.held_after) == (0, 412)
    (one,) = plan_windows(300, (100, 200), window=512, overlap=128)
    assert (one.start, one.stop, one.held, one.held_after) == (0, 300, 100, 100)


@pytest.mark.parametrize(
    ("frames", "region", "window", "overlap"),
    [(100, (50, 101), 64, 8), (100, (50, 50), 64, 8), (0, None, 64, 8), (100, None, 64, 64)],
)
def test_impossible_plans_are_refused(
    frames: int, region: tuple[int, int] | None, window: int, overlap: int
) -> None:
    with pytest.raises(ValueError, match="expected"):
        plan_windows(frames, region, window, overlap)
