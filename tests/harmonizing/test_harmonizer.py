"""Voice -> lead sheet: what a hand-made voice suggests, what is given, and what is no song at all."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samuel.harmonizing import find_lead_sheet
from samuel.harmonizing.harmonizer import harmonized
from samuel.lead_sheet.locks import Locks
from samuel.lead_sheet.signatures import Key, Metre
from samuel.vocals.features import VocalFeatures
from tests.harmonizing.sung import HOP, sung, tune


@pytest.mark.parametrize("bpm", [78.0, 90.0, 120.0])
def test_a_plain_tune_is_found(bpm: float) -> None:
    features, seconds = tune(bpm)
    sheet = find_lead_sheet(features, seconds)
    assert sheet.bpm == pytest.approx(bpm, rel=0.02)
    beats = 0.3 + 60 / bpm * np.arange(60)
    assert np.median(np.abs(np.array(sheet.beats)[:, None] - beats).min(axis=0)) < 0.04
    assert sheet.key == Key(0, "major")
    assert {chord.label for chord in sheet.chords} <= {"C:maj", "D:min", "E:min", "F:maj", "G:maj", "A:min"}
    assert len({chord.label for chord in sheet.chords}) > 1
    assert sheet.chord_at(seconds - 0.1) is not None
    assert sheet.chord_at(0.31) is not None


@pytest.mark.parametrize("bpm", [90.0, 110.0, 130.0])
def test_a_waltz_is_in_three_and_a_plain_tune_in_four(bpm: float) -> None:
    beat, notes = 60 / bpm, []
    for number, pitch in enumerate((60, 64, 67, 65, 62, 65, 67, 64) * 4):
        start = 0.3 + 3 * number * beat
        notes += [(start, start + 1.9 * beat, pitch), (start + 2 * beat, start + 2.9 * beat, pitch + 2)]
    sheet = find_lead_sheet(sung(notes, 0.3 + 96 * beat), 0.3 + 96 * beat)
    assert sheet.metre == Metre(3)
    bars = 0.3 + 3 * beat * np.arange(32)
    assert np.median(np.abs(np.array(sheet.downbeats)[:, None] - bars).min(axis=1)) < 0.1
    assert find_lead_sheet(*tune(bpm)).metre == Metre(4)


@pytest.mark.parametrize("semitones", [3, 7, 12, 6.4])
def test_a_transposed_voice_gets_the_transposed_chords(semitones: float) -> None:
    features, seconds = tune()
    higher, _ = tune(semitones=semitones)
    assert find_lead_sheet(higher, seconds) == find_lead_sheet(features, seconds).transposed(round(semitones))


@settings(max_examples=25, deadline=None)
@given(
    bpm=st.none() | st.floats(40, 240),
    first_beat=st.none() | st.floats(0, 5),
    metre=st.sampled_from([None, "4/4", "3/4", "6/8", "5/4"]),
    key=st.sampled_from([None, "A minor", "Eb major"]),
    chords=st.sampled_from([None, "| Am | F | C G/B | % |"]),
)
def test_what_is_given_holds_exactly(bpm, first_beat, metre, key, chords) -> None:
    features, seconds = tune(bars=6)
    locks = Locks.parse(bpm=bpm, first_beat=first_beat, metre=metre, key=key, chords=chords)
    sheet = find_lead_sheet(features, seconds, locks)
    if bpm:
        assert np.diff(sheet.beats) == pytest.approx(60 / bpm, abs=1e-9)
    if first_beat is not None:
        assert np.abs(np.array(sheet.downbeats) - first_beat).min() < 1e-9
    if locks.metre:
        assert sheet.metre == locks.metre
        beats = list(sheet.beats)
        assert {
            beats.index(b) - beats.index(a)
            for a, b in zip(sheet.downbeats, sheet.downbeats[1:], strict=False)
        } <= {locks.metre.beats}
    if locks.key:
        assert sheet.key == locks.key
    if locks.chart:
        assert sheet.chords == locks.chart.over(sheet.bars)


def nothing(seconds: float, level: float) -> tuple[VocalFeatures, float]:
    times = np.arange(0, seconds, HOP)
    return VocalFeatures(times, np.full(len(times), np.nan), np.full(len(times), level)), seconds


def spoken(seconds: float = 20.0) -> tuple[VocalFeatures, float]:
    """Syllables at random times, without any pitch."""
    rng = np.random.default_rng(0)
    times = np.arange(0, seconds, HOP)
    edges = np.cumsum(rng.uniform(0.06, 0.4, 200))
    level = np.where(np.searchsorted(edges, times) % 2, -20.0, -60.0)
    return VocalFeatures(times, np.full(len(times), np.nan), level), seconds


@pytest.mark.parametrize(
    ("features", "seconds"),
    [
        nothing(0.0, -90.0),
        nothing(0.02, -90.0),
        nothing(30.0, -120.0),
        nothing(30.0, -20.0),
        spoken(),
        (sung([(0.0, 20.0, 57.0)], 20.0), 20.0),
        (sung([(0.5, 0.7, 57.0)], 0.8), 0.8),
    ],
    ids=["empty", "a click", "silence", "noise", "rap", "one long tone", "a word"],
)
def test_what_is_no_song_gets_a_plain_lead_sheet(features: VocalFeatures, seconds: float) -> None:
    sheet = find_lead_sheet(features, seconds)
    assert sheet.beats
    assert sheet.downbeats
    assert sheet.chords
    assert sheet.key is not None
    assert sheet.metre == Metre(4)
    assert {"tempo", "chords"} <= set(sheet.unsure)
    assert 50 <= (sheet.bpm or 100) <= 200


def test_three_seconds_of_voice() -> None:
    features, _ = tune()
    short = VocalFeatures(features.times[:188], features.pitch[:188], features.level[:188])
    sheet = find_lead_sheet(short, 3.0)
    assert sheet.chords[0].start <= 0.3
    assert sheet.chords[-1].end >= 3.0 - 60 / (sheet.bpm or 100)


def test_variations_keep_the_beats_and_change_chords() -> None:
    features, seconds = tune()
    sheets = [find_lead_sheet(features, seconds, variation=number) for number in range(3)]
    assert len({sheet.beats for sheet in sheets}) == 1
    assert len({sheet.chords for sheet in sheets}) == 3
    assert sheets[1] == find_lead_sheet(features, seconds, variation=1)


def test_on_beats_that_are_given_the_chords_are_those_of_the_same_beats_found() -> None:
    features, seconds = tune(100.0)[:2]
    found = find_lead_sheet(features, seconds)
    again = harmonized(replace(found, chords=(), guesses=(), key=None), features)
    assert (again.chords, again.key, again.guesses) == (found.chords, found.key, found.guesses)
