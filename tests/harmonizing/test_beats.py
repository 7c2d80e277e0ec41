"""The tempo and the beats of curves whose beats are known."""

import numpy as np
import pytest

from samuel.harmonizing.accents import HOP
from samuel.harmonizing.beats import find_grid
from samuel.lead_sheet.locks import Locks

SECONDS = 30.0


def strokes(bpm: float, first: float = 0.4, seconds: float = SECONDS) -> np.ndarray:
    """A curve with a stroke on every beat and nothing between, and one of downbeats on every fourth."""
    points = np.arange(round(seconds / HOP)) * HOP
    curves = []
    for every in (1, 4):
        times = np.arange(first, seconds, every * 60 / bpm)
        distance = np.abs(points[:, None] - times[None]).min(axis=1)
        curves.append(np.exp(-0.5 * (distance / 0.02) ** 2))
    return np.stack(curves)


@pytest.mark.parametrize("bpm", [58.0, 62.0, 90.0, 118.0])
def test_a_slow_song_keeps_its_tempo(bpm: float) -> None:
    grid = find_grid(strokes(bpm), SECONDS, Locks())
    assert 60 / np.median(np.diff(grid.beats)) == pytest.approx(bpm, rel=0.02)
    true = np.arange(0.4, SECONDS, 60 / bpm)
    assert all(np.abs(np.array(grid.beats) - time).min() < 0.04 for time in true[1:-1])
    assert all(np.abs(true[::4] - time).min() < 0.04 for time in grid.downbeats[1:-1])
