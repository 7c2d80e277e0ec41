"""The three measures of Yeh et al. against cases by hand."""

import numpy as np
import pytest

from samuel.harmonizing.melody_fit import melody_fit
from samuel.lead_sheet.chord import Chord

C, F = Chord(0.0, 4.0, 0, "maj"), Chord(4.0, 8.0, 5, "maj")


def test_chord_tones_alone() -> None:
    fit = melody_fit([(0.0, 1.0, 60), (1.0, 2.0, 64), (2.0, 4.0, 67)], [C], 0.25)
    assert fit.ctnctr == 1
    # over C, E, G: C is 1, a minor sixth above E: 1, a fourth above G: 0; E is 1, 1, major sixth: 1; G is 1, 1, 1
    assert fit.pcs == pytest.approx((4 * 2 / 3 + 4 * 1 + 8 * 1) / 16)


def test_a_passing_note_is_proper_and_a_leap_is_not() -> None:
    passing = melody_fit([(0.0, 1.0, 60), (1.0, 2.0, 62), (2.0, 3.0, 64)], [C], 0.25)
    leaping = melody_fit([(0.0, 1.0, 60), (1.0, 2.0, 62), (2.0, 3.0, 67)], [C], 0.25)
    assert passing.ctnctr == 1
    assert leaping.ctnctr == pytest.approx(2 / 3)


def test_a_chord_fits_better_than_its_neighbour() -> None:
    notes = [(0.0, 2.0, 60), (2.0, 4.0, 64)]
    near, far = melody_fit(notes, [C], 0.25), melody_fit(notes, [Chord(0.0, 4.0, 6, "maj")], 0.25)
    assert near.mctd < far.mctd
    assert near.pcs > far.pcs


def test_only_notes_under_a_chord_count() -> None:
    with_rest = melody_fit([(0.0, 1.0, 60), (9.0, 10.0, 61)], [C, F], 0.25)
    assert with_rest.ctnctr == 1
    assert np.isnan(melody_fit([(9.0, 10.0, 61)], [C, F], 0.25).mctd)
    assert np.isnan(melody_fit([(0.0, 1.0, 61)], [Chord(0.0, 4.0)], 0.25).pcs)
