"""Beats and seconds."""

import numpy as np
import pytest

from samuel.arranging.tempo import Tempo
from samuel.rendering.timing import draw_tempo


def test_swing_delays_the_off_beat_only() -> None:
    straight, swung = Tempo(np.arange(4) * 0.5), Tempo(np.arange(4) * 0.5, swing=1 / 6)
    assert [swung.seconds(beat) for beat in (0.0, 1.0, 2.0)] == [
        straight.seconds(beat) for beat in (0.0, 1.0, 2.0)
    ]
    assert swung.seconds(1.5) == pytest.approx(0.5 + 2 / 3 * 0.5)
    times = [swung.seconds(float(beat)) for beat in np.arange(0, 6, 0.1)]
    assert np.all(np.diff(times) > 0)


def test_tempo_keeps_its_mean_and_wanders_by_the_drift() -> None:
    rng = np.random.default_rng(1)
    tempo = draw_tempo(rng, beats=4000, beats_per_minute=100.0, drift=0.01, start=0.25)
    intervals = np.diff(tempo.beat_seconds)
    assert tempo.seconds(0.0) == 0.25
    assert intervals.mean() == pytest.approx(0.6, rel=0.005)
    assert intervals.std() / intervals.mean() == pytest.approx(0.01, rel=0.3)
    assert np.abs(np.diff(intervals)).mean() < 0.5 * intervals.std()


def test_without_drift_beats_are_even_and_go_on_past_the_end() -> None:
    tempo = draw_tempo(np.random.default_rng(0), beats=8, beats_per_minute=120.0, drift=0.0, start=0.0)
    assert tempo.seconds(7.5) == pytest.approx(3.75)
    assert tempo.seconds(20.0) == pytest.approx(10.0)
