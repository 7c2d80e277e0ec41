"""Patterns become bars of any metre."""

import pytest

from samuel.arranging.styles import STYLES, bar_steps, find_style, styles_for

PATTERN = "X... o... x... X.x."


@pytest.mark.parametrize(
    ("beats", "expected"),
    [
        (1, "X..."),
        (2, "X... o..."),
        (3, "X... o... X.x."),
        (4, PATTERN),
        (5, "X... o... X.x. X... o..."),
        (7, PATTERN + " X... o... X.x."),
        (8, PATTERN + " " + PATTERN),
    ],
)
def test_bars_of_any_number_of_beats(beats: int, expected: str) -> None:
    assert bar_steps(PATTERN, beats, 4) == expected.replace(" ", "")


def test_a_pattern_of_four_beats_takes_two_bars_of_two() -> None:
    assert bar_steps(PATTERN, 2, 4, bar=1) == "x...X.x."
    assert bar_steps("r--- ---- ---- f---", 2, 4, bar=1) == "r---f---"  # struck again at the bar line


def test_simple_and_compound_metre_become_each_other() -> None:
    assert bar_steps("x.x. x--- xxxx ..x-", 4, 6) == "x...x." + "x-----" + "x.x.xx" + "....x-"
    assert bar_steps("x.o.x. x-----", 2, 4) == "x.ox" + "x---"
    assert bar_steps("x.o.x. x-----", 3, 6) == "x.o.x." + "x-----" * 2


def test_every_pattern_fits_every_bar() -> None:
    for style in STYLES:
        patterns = [steps for groove in style.drums for steps in groove.values()]
        patterns += [*style.bass, *(steps for steps, _ in style.comping + style.second)]
        for pattern in patterns:
            for beats in range(1, 16):
                for per_beat in (4, 6):
                    steps = bar_steps(pattern, beats, per_beat)
                    assert len(steps) == beats * per_beat
                    assert set(steps) <= set(pattern) - {" "} | {".", "-"}
                    assert not steps.startswith("-")


def test_styles_are_found_by_name_and_metre() -> None:
    assert find_style("Bossa Nova").name == "bossa nova"
    assert {style.name for style in styles_for("compound")} == {"six-eight ballad", "jig"}
    with pytest.raises(ValueError, match=r"expected a style of rock, .* jig; got 'polka'"):
        find_style("polka")
