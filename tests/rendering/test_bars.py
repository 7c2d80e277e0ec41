"""Where bars begin: upbeats, split bars, odd bars and what crosses them."""

import pytest

from samuel.lead_sheet.notation.written import ScoreError
from samuel.lead_sheet.signatures import Metre
from samuel.rendering.bars import BarGrid, grid_of


def downbeats(lengths: list[int | float], **options) -> list[float]:
    grid = BarGrid([float(length) for length in lengths], full=4.0, beat=1.0, **options)
    return [grid.onset(start) for start in grid.starts[:-1]]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([4, 4, 4], [0, 4, 8]),
        ([1, 4, 4], [3, 4, 8]),  # an upbeat ends a bar
        ([1, 4, 3, 1, 4], [3, 4, 8, 11, 12]),  # a bar split at a repeat
        ([4, 2, 4, 4], [0, 4, 8, 12]),  # half a bar is held
        ([4, 2, 2, 4], [0, 4, 6, 8]),  # two of them are one
        ([4, 6, 4], [0, 4, 12]),
        ([4, 3, 3, 4], [0, 4, 8, 12]),
        ([4, 8, 4], [0, 4, 12]),
        ([4, 3.9999, 4], [0, 4, 8]),  # rounded tuplets
        ([3, 3, 4, 4], [0, 4, 8, 12]),
    ],
)
def test_whole_bars_begin_on_downbeats(lengths: list[int | float], expected: list[int]) -> None:
    assert downbeats(lengths) == pytest.approx(expected, abs=1e-3)


def test_an_upbeat_that_comes_again_leads_to_its_bar() -> None:
    assert downbeats([1, 4, 4, 1, 4], upbeats={0, 3}) == [3, 4, 8, 15, 16]


def test_what_ends_at_a_hold_ends_before_it_and_what_crosses_it_is_held() -> None:
    grid = BarGrid([4.0, 2.0, 4.0], full=4.0, beat=1.0)
    assert grid.span(5.0, 6.0) == (5.0, 6.0)
    assert grid.span(5.0, 6.05) == pytest.approx((5.0, 6.05))  # played by hand
    assert grid.span(5.0, 7.0) == (5.0, 9.0)
    assert grid.span(5.97, 7.0) == pytest.approx((7.97, 9.0))
    assert grid.span(6.0, 6.05) == pytest.approx((8.0, 8.05))


def test_the_metre_is_the_one_that_lasts_longest() -> None:
    grid, metre = grid_of([((2, 4), 2.0), *[((6, 8), 3.0)] * 6])
    assert (metre, grid.beat) == (Metre(2, 3), 1.5)
    assert grid_of([((1, 4), 1.0)] * 8)[1] == Metre(4)  # a beat, not a bar


def test_a_metre_that_changes_all_the_time_is_refused() -> None:
    with pytest.raises(ScoreError, match=r"8 in 4/4, 8 in 3/4 bars"):
        grid_of([((4, 4), 4.0)] * 8 + [((3, 4), 3.0)] * 8)
    with pytest.raises(ScoreError, match="expected a time signature"):
        grid_of([((0, 4), 1.0)] * 8)
