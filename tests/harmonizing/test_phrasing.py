"""Notes as pop singers place them."""

from dataclasses import replace

import numpy as np
import pytest

from samuel.harmonizing.examples import SongLesson
from samuel.harmonizing.phrasing import Note, Phrasing, phrased, phrases, slowed
from samuel.harmonizing.song_singing import sing_part

WRITTEN = Phrasing(unit=0.5, early=0.0, moved=0.0, behind=0.0, led=0.0, spoken=0.0, repeated=0.0)
BAR: list[Note] = [(0.0, 1.0, 60), (1.0, 2.0, 62), (2.0, 3.0, 64)]
LINES = [(start + 4 * bar, end + 4 * bar, pitch) for bar in range(1, 9) for start, end, pitch in BAR]


def sung(how: Phrasing, seed: int = 0) -> list[Note]:
    return phrased(LINES, np.random.default_rng(seed), how)


def test_a_plain_singer_sings_what_is_written() -> None:
    found = sung(WRITTEN)
    assert [pitch for _, _, pitch in found] == [pitch for _, _, pitch in LINES]
    assert np.abs(np.array(found) - np.array(LINES))[:, :2].max() < 0.15


def test_rests_and_length_part_phrases() -> None:
    assert [len(phrase) for phrase in phrases(LINES)] == [3] * 8
    assert [len(phrase) for phrase in phrases([(float(n), n + 1.0, 60) for n in range(20)])] == [8, 8, 4]


@pytest.mark.parametrize("unit", [0.5, 0.25])
def test_notes_come_before_their_beat_and_are_held_over_it(unit: float) -> None:
    found = sung(replace(WRITTEN, unit=unit, early=1.0))
    assert len(found) == len(LINES)
    before = np.array(LINES)[:, 0] - np.array(found)[:, 0]
    assert np.abs(before - unit).max() < 0.15
    assert np.array(found)[2::3, 1] == pytest.approx(np.array(LINES)[2::3, 1], abs=0.15)


def test_phrases_move_as_a_whole() -> None:
    found = np.array(sung(replace(WRITTEN, moved=1.0)))
    by = (found[:, 0] - np.array(LINES)[:, 0]).reshape(8, 3)
    assert np.ptp(by, axis=1).max() < 1e-9
    assert np.abs(np.abs(by) - 0.5).max() < 0.15


def test_phrases_are_led_to_and_spoken() -> None:
    led = sung(replace(WRITTEN, led=1.0))
    assert len(led) >= len(LINES) + 8
    spoken = sung(replace(WRITTEN, spoken=1.0))
    assert len(spoken) > 1.3 * len(LINES)
    assert sum(end - start for start, end, _ in spoken) == pytest.approx(24, abs=1)


def test_any_singer_has_one_voice() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = np.array(phrased([(a - 4, b - 4, p) for a, b, p in LINES], rng, Phrasing.draw(rng)))
        assert found[:, 0].min() >= 0
        assert (found[:, 1] > found[:, 0]).all()
        assert (found[1:, 0] >= found[:-1, 1] - 1e-9).all()
        assert len(found) > len(LINES) / 2


def test_half_as_many_beats_are_the_same_song() -> None:
    song = SongLesson("s", 36, 4, 0, tuple(LINES), ((0.0, 8.0, 3), (8.0, 36.0, 6)))
    slow = slowed(song)
    assert slow.beats == 16  # whole bars
    assert slow.notes[0] == (2.0, 2.5, 60)
    assert slow.chords == ((0.0, 4.0, 3), (4.0, 18.0, 6))


def test_free_singing_is_off_the_beat() -> None:
    song = SongLesson("s", 36, 4, 0, tuple(LINES), ())

    def off(free: float) -> float:
        away = []
        for seed in range(12):
            part = sing_part(song, np.random.default_rng(seed), 20.0, free=free)
            times = part.tempo.beat_seconds
            at = np.interp(part.features.onsets, times, np.arange(len(times)))
            away += np.abs(at - np.round(at)).tolist()
        return float(np.mean(np.array(away) > 0.2))

    assert off(0.0) < 0.4
    assert off(1.0) > off(0.0) + 0.15
