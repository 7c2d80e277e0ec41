"""A lead sheet is compared with the song's own, and the sung notes with its chords."""

import numpy as np
import pytest

from samuel.evaluation.chosen import Choice, agreement, carried, chosen_table
from samuel.evaluation.rhythm import onset_lag
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.locks import Locks

SECONDS = 30.0
OWN = Locks.parse(bpm=100.0, first_beat=0.5, key="C major", chords="| C | F | G | C |").apply(
    LeadSheet(), SECONDS
)
NOTES = [
    (beat, beat + 0.5, chord.root + 60)
    for beat in OWN.beats
    if (chord := OWN.chord_at(beat)) and chord.root is not None
]


def sheet(**given: object) -> LeadSheet:
    known = {"bpm": 100.0, "first_beat": 0.5, "key": "C major", "chords": "| C | F | G | C |"}
    return Locks.parse(**known | given).apply(LeadSheet(), SECONDS)


def test_the_song_s_own_lead_sheet_is_right_in_all() -> None:
    assert set(agreement(OWN, OWN, SECONDS).values()) == {1.0}


@pytest.mark.parametrize(
    ("given", "measure", "value"),
    [
        ({"chords": "| Cm | F | G | Cm |"}, "triads", pytest.approx(0.5, abs=0.1)),
        ({"chords": "| Cm | F | G | Cm |"}, "roots", 1.0),
        ({"key": "A minor"}, "key", pytest.approx(0.3)),
        ({"bpm": 50.0}, "tempo", 1.0),
        ({"bpm": 103.0}, "tempo", 1.0),
        ({"bpm": 110.0}, "tempo", 0.0),
        ({"bpm": 110.0}, "beats_there", pytest.approx(np.nan, nan_ok=True)),
        ({"first_beat": 0.8}, "beats", 0.0),
        ({"first_beat": 1.1}, "downbeats", 0.0),
        ({"metre": "3/4"}, "metre", 0.0),
    ],
)
def test_what_is_wrong_costs(given: dict, measure: str, value: float) -> None:
    assert agreement(OWN, sheet(**given), SECONDS)[measure] == value


def test_nothing_known_is_no_error() -> None:
    assert np.isnan(agreement(LeadSheet(), OWN, SECONDS)["triads"])
    found = agreement(OWN, LeadSheet(), SECONDS)
    assert found["beats"] == 0
    assert found["triads"] < 0.1
    assert np.isnan(carried(NOTES, LeadSheet())["pcs"])


def test_the_table_has_every_measure_and_says_whose_chords_carry_better() -> None:
    choices = [Choice(OWN, OWN, sheet(chords="| F# | B |"), NOTES, SECONDS)] * 3
    lines = chosen_table(choices)
    (triads,) = [line for line in lines if line.startswith("| triads")]
    assert "**1.00**" in triads
    (tones,) = [line for line in lines if line.startswith("| CTnCTR")]
    assert tones.split("|")[2].strip() == "**1.00**"
    assert float(tones.split("|")[4]) < 0.5


def test_late_onsets_are_told_in_seconds() -> None:
    beats = np.arange(0, 10, 0.5)
    assert onset_lag(beats, beats + 0.02) == pytest.approx((0.02, 0.02))
    assert onset_lag(beats, np.sort(np.concatenate([beats - 0.01, beats + 0.3]))) == pytest.approx(
        (-0.01, 0.01)
    )
    assert np.isnan(onset_lag(beats, beats + 0.25)[0])
    assert np.isnan(onset_lag(beats, np.zeros(0))[0])
    assert onset_lag(beats, np.array([0.51])) == pytest.approx((0.01, 0.01))
