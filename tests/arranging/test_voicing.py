"""Chords move by short ways and keep what makes them what they are."""

from itertools import pairwise

import numpy as np
import pytest

from samuel.arranging.voicing import tones_of, voiced
from samuel.lead_sheet.chord import QUALITIES, Chord


@pytest.mark.parametrize("quality", QUALITIES)
def test_every_quality_keeps_its_colour(quality: str) -> None:
    steps = {(tone - 2) % 12 for tone in tones_of(Chord(0.0, 1.0, 2, quality))}
    assert len(steps) == min(len(QUALITIES[quality]), 4)
    assert steps <= set(QUALITIES[quality])
    for colour in {3, 4, 10, 11} & set(QUALITIES[quality]):
        assert colour in steps or quality == "11"
    if quality in ("9", "maj9", "min9"):
        assert 2 in steps


def test_voices_move_little_and_stay_where_they_are_meant_to_be() -> None:
    rng = np.random.default_rng(0)
    qualities = list(QUALITIES)
    chords = [
        Chord(0.0, 1.0, int(rng.integers(12)), qualities[rng.integers(len(qualities))]) for _ in range(400)
    ]
    for centre in (52, 60, 74):
        voicings, before = [], ()
        for chord in chords:
            before = voiced(chord, before, centre)
            voicings.append(before)
            assert {pitch % 12 for pitch in before} == set(tones_of(chord))
            assert list(before) == sorted(set(before))
            assert before[-1] - before[0] <= 19
            assert abs(np.mean(before) - centre) <= 9
        moves = [np.mean([min(abs(p - q) for q in one) for p in other]) for one, other in pairwise(voicings)]
        assert np.mean(moves) < 1.6  # semitones, between chords without any relation


def test_low_chords_are_not_muddy() -> None:
    """Beneath a low voice: few seconds and thirds at the bottom below C3, and no chord far from where it is meant."""
    rng = np.random.default_rng(1)
    before: tuple[int, ...] = ()
    muddy = []
    for _ in range(400):
        quality = ("maj", "min", "7", "maj7", "min7")[rng.integers(5)]
        before = voiced(Chord(0.0, 1.0, int(rng.integers(12)), quality), before, 51)
        muddy.append(before[0] < 48 and before[1] - before[0] <= 4)
        assert abs(np.mean(before) - 51) <= 7
    assert np.mean(muddy) < 0.15  # two thirds where nobody minds
