"""The order of bars, against what musicians play."""

import pytest

from samuel.lead_sheet.notation.repeats import BarMarks, play_order
from samuel.lead_sheet.notation.written import ScoreError

FORWARD, BACK = BarMarks(forward=True), BarMarks(backward=True)
BOTH = BarMarks(forward=True, backward=True)


def ending(*passes: int, back: bool = True, stops: bool = True) -> BarMarks:
    return BarMarks(endings=frozenset(passes), backward=back, ending_stops=stops)


def order(*bars: BarMarks | None) -> str:
    return "".join("abcdefghijklmnop"[index] for index in play_order([bar or BarMarks() for bar in bars]))


@pytest.mark.parametrize(
    ("bars", "expected"),
    [
        ((None, None), "ab"),
        ((None, FORWARD, BACK, None), "abcbcd"),
        ((None, BACK, None, BACK), "ababcdcd"),  # backward repeats only
        ((BOTH, None), "aab"),
        ((FORWARD, BarMarks(backward=True, times=3)), "ababab"),
        ((FORWARD, None, ending(1), ending(2, back=False), None), "abcabde"),
        ((FORWARD, ending(1, 2), ending(3, back=False)), "ababac"),
        ((FORWARD, ending(1, back=False), BACK, ending(2, back=False)), "abcad"),  # a bracket that is too short
        ((FORWARD, ending(1, back=False), ending(2, back=False), None), "abacd"),  # a repeat that is not written
        ((FORWARD, ending(1), ending(3, back=False)), "abac"),  # numbers that leave one out
        ((FORWARD, ending(1), None, BACK), "abacdcd"),  # nothing in place of the first ending
        ((None, ending(1, stops=False, back=False), BACK, ending(2, back=False), None, BACK), "abcadefef"),
        ((None, BarMarks(fine=True), None, BarMarks(da_capo=True)), "abcdab"),
        ((None, BarMarks(segno=True), BarMarks(fine=True), BarMarks(dal_segno=True)), "abcdbc"),
        (
            (None, BarMarks(segno=True), BarMarks(to_coda=True), BarMarks(dal_segno=True), BarMarks(coda=True), None),
            "abcdbcef",
        ),
        # After a da capo, repeats are not taken and the last ending is played.
        ((FORWARD, ending(1), ending(2, back=False), BarMarks(da_capo=True)), "abacdacd"),
        ((BarMarks(da_capo=True),), "aa"),
    ],
)  # fmt: skip
def test_bars_are_played_as_written(bars: tuple[BarMarks | None, ...], expected: str) -> None:
    assert order(*bars) == expected


@pytest.mark.parametrize("sections", [2, 8, 64])
def test_sections_of_eight_bars_with_backward_repeats_only_double(sections: int) -> None:
    bars = [BACK if index % 4 == 3 else BarMarks() for index in range(4 * sections)]
    assert len(play_order(bars)) == 8 * sections


def test_endless_repeats_are_refused() -> None:
    with pytest.raises(ScoreError, match="more than 5000 bars"):
        play_order([BarMarks(), BarMarks(backward=True, times=1_000_000)])
