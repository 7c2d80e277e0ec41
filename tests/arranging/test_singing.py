"""What the players hear of a singer."""

import numpy as np
import pytest

from samuel.arranging.singing import NOBODY, Singing
from samuel.vocals import VocalFeatures
from tests.arranging.sheets import voice


def test_phrases_rests_register_and_loudness() -> None:
    sung = Singing.of_voice(
        voice((1.0, 1.5, 60), (1.7, 3.0, 64), (4.0, 5.0, 67), (6.0, 6.05, 70), seconds=8.0)
    )
    expected = [(1.0, 3.0), (4.0, 5.0)]  # a breath of 0.2 s parts no phrase, and 0.05 s are no singing
    np.testing.assert_allclose(sung.phrases, expected, atol=0.03)
    assert sung.end == pytest.approx(5.0, abs=0.03)
    np.testing.assert_allclose(sung.rests(8.0), [(0.0, 1.0), (3.0, 4.0), (5.0, 8.0)], atol=0.03)
    assert sung.share(2.0, 4.0) == pytest.approx(0.5, abs=0.03)
    assert sung.share(5.1, 8.0) == 0
    low, high = sung.register() or (0, 0)
    assert (low, high) == pytest.approx((60, 67), abs=0.4)


def test_loudness_is_against_the_singers_median() -> None:
    soft, loud = (voice((0.0, 2.0, 60), seconds=2.0, level=level) for level in (-30.0, -12.0))
    joined = VocalFeatures(
        np.concatenate([soft.times, 2 + loud.times]),
        np.concatenate([soft.pitch, loud.pitch]),
        np.concatenate([soft.level, loud.level]),
    )
    sung = Singing.of_voice(joined)
    early, late = sung.loudness(0.0, 1.9), sung.loudness(2.1, 4.0)
    assert early is not None
    assert late is not None
    assert late - early == pytest.approx(18, abs=0.1)
    assert sung.loudness(5.0, 6.0) is None


def test_notes_and_a_voice_that_sings_them_say_the_same() -> None:
    notes = ((1.0, 1.8, 60.0), (2.4, 4.0, 65.0))
    written, heard = Singing.of_notes(notes), Singing.of_voice(voice(*notes, seconds=5.0))
    np.testing.assert_allclose(written.phrases, heard.phrases, atol=0.04)
    np.testing.assert_allclose(written.register() or 0, heard.register() or 1, atol=0.3)


def test_nobody_sings() -> None:
    silence = Singing.of_voice(voice(seconds=4.0))
    empty = Singing.of_voice(VocalFeatures(np.zeros(0), np.zeros(0), np.zeros(0)))
    for singing in (silence, empty, Singing.of_notes([]), NOBODY):
        assert not singing.known
        assert singing.register() is None
        assert singing.share(0.0, 4.0) == 0
        assert singing.rests(4.0) == [(0.0, 4.0)]
        assert singing.end == 0
