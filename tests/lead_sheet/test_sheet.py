"""The lead sheet itself, and its frames."""

import numpy as np
import pytest

from samuel.lead_sheet import LeadSheet, LeadSheetError
from samuel.lead_sheet.chord import Chord
from samuel.lead_sheet.frames import frame_times, sheet_frames
from samuel.lead_sheet.sheet import steady_beats
from samuel.lead_sheet.signatures import Key, Metre

FRAME = 2048 / 44100


def song() -> LeadSheet:
    beats, downbeats = steady_beats(120.0, 0.5, Metre(4), 8.5)
    chords = (Chord(0.5, 2.5, 9, "min"), Chord(2.5, 4.5, 5, "maj", 9), Chord(4.5, 8.5))
    return LeadSheet(beats, downbeats, chords, Key(9, "minor"), energy=((0.0, 0.0), (8.0, 1.0)), style="rock")


def test_json_comes_back() -> None:
    again = LeadSheet.from_json(song().to_json())
    assert again == song()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"beats": [0, 1, 1]}, "beats that rise, but number 3"),
        ({"beats": [0, 1], "downbeats": [0.5]}, "downbeat 1, at 0.500 s, is none of the beats"),
        ({"chords": [[0, 2, "C:maj"], [1, 3, "G:maj"]]}, "chord 2, G:maj, begins at 1.000 s, before chord 1"),
        ({"chords": [[2, 2, "C:maj"]]}, "chord 1, C:maj, ends"),
        ({"chords": [[0, 1]]}, "a field is wrong"),
        ({"chords": [[0, 1, "Q:maj"]]}, "a field is wrong"),
        ({"energy": [[0, 2]]}, "energy from 0 to 1"),
        ({"beats": "soon"}, "a field is wrong"),
        ({"metre": {}}, "a field is wrong"),
        ({"key": "H minor"}, "expected a key"),
    ],
)
def test_errors_say_what_is_wrong_where(fields: dict, words: str) -> None:
    with pytest.raises(LeadSheetError, match=words):
        LeadSheet.from_dict(fields)


def test_a_part_begins_a_clock_of_its_own() -> None:
    part = song().between(2.0, 5.0)
    assert part.beats == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
    assert [(c.start, c.end, c.label) for c in part.chords] == [
        (0.0, 0.5, "A:min"),
        (0.5, 2.5, "F:maj/3"),
        (2.5, 3.0, "N"),
    ]
    assert part.energy[0] == pytest.approx((0.0, 0.25))


def test_frames_of_a_hand_made_song() -> None:
    frames = sheet_frames(song(), 200)
    times = frame_times(200)
    first = int(1.0 / FRAME)
    assert set(np.flatnonzero(frames[:12, first])) == {9, 0, 4}
    assert set(np.flatnonzero(frames[12:24, first])) == {9}
    second = int(3.0 / FRAME)
    assert set(np.flatnonzero(frames[:12, second])) == {5, 9, 0}
    assert set(np.flatnonzero(frames[12:24, second])) == {9}
    silent = int(6.0 / FRAME)
    assert not frames[:24, silent].any()
    assert frames[29, silent] == 1  # known to have no chord
    before = int(0.1 / FRAME)
    assert frames[29:31, before].tolist() == [0, 0]
    np.testing.assert_allclose(
        frames[24:26, first],
        [np.cos(4 * np.pi * (times[first] - 0.5)), np.sin(4 * np.pi * (times[first] - 0.5))],
        atol=1e-5,
    )
    np.testing.assert_allclose(frames[27, first], np.sin(np.pi * (times[first] - 0.5)), atol=1e-5)
    np.testing.assert_allclose(frames[28, first], 2 * times[first] / 8 - 1, atol=1e-5)


def test_nothing_known_is_zero() -> None:
    assert not sheet_frames(None, 10).any()
    assert not sheet_frames(LeadSheet(), 10).any()


def test_transposition_moves_chords_and_key_alone() -> None:
    moved = song().transposed(2)
    assert [c.label for c in moved.chords] == ["B:min", "G:maj/3", "N"]
    assert moved.key == Key(11, "minor")
    np.testing.assert_array_equal(
        np.roll(sheet_frames(song(), 150)[:12], 2, axis=0), sheet_frames(moved, 150)[:12]
    )


def test_json_that_is_no_object() -> None:
    with pytest.raises(LeadSheetError, match="JSON object, got list"):
        LeadSheet.from_json("[]")
    with pytest.raises(LeadSheetError, match="no JSON"):
        LeadSheet.from_json("{")
