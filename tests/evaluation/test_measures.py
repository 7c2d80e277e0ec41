"""Harmony, rhythm and dynamics: the right song is told from the wrong one, and limits are what they must be."""

import dataclasses

import numpy as np
import pytest
import torch

from samuel.evaluation import anchors
from samuel.evaluation.agreement import with_reference, with_vocals
from samuel.evaluation.dynamics import energy_agreement, rests, rests_kept, rests_shared, sounding, together
from samuel.evaluation.features import FRAME_RATE, AudioFeatures, audio_features
from samuel.evaluation.harmony import chord_accuracy, chord_fit, chroma_agreement, key_fit, key_of, triad
from samuel.evaluation.metrics import REFERENCE, VOCALS
from samuel.evaluation.playing import PLAYED, played, played_table
from samuel.evaluation.reference import MEASURES, estimate_reference, from_annotations, scores_of
from samuel.evaluation.rhythm import accent, beat_continuity, beat_f1, onset_f1
from tests.evaluation import signals


@pytest.fixture(scope="module")
def song() -> AudioFeatures:
    return audio_features(signals.band())


@pytest.fixture(scope="module")
def other() -> AudioFeatures:
    """Another key, another tempo."""
    return audio_features(signals.band(transpose=1, beat=0.41))


@pytest.fixture(scope="module")
def silence() -> AudioFeatures:
    return audio_features(anchors.silence(16 * 44_100))


def test_true_chords_fit_and_others_do_not(song: AudioFeatures, other: AudioFeatures) -> None:
    assert chord_fit(signals.chords(), song.chroma) > 0.7
    assert abs(chord_fit(signals.chords(), other.chroma)) < 0.4
    assert chord_accuracy(signals.chords(), song.chroma) == 1.0
    assert chord_accuracy(signals.chords(), other.chroma) < 0.3


def test_the_key_is_found(song: AudioFeatures, other: AudioFeatures) -> None:
    assert key_of(song.chroma) == "C major"
    assert key_of(other.chroma) == "Db major"
    assert key_fit("C major", song.chroma) > key_fit("Db major", song.chroma) + 0.5


def test_beats_and_accents_are_found(song: AudioFeatures, other: AudioFeatures) -> None:
    true = signals.beats()
    assert beat_f1(true, song.beats) > 0.9
    assert beat_continuity(true, song.beats) > 0.9
    assert beat_continuity(true, other.beats) < 0.6
    assert accent(true, song.onset_strength) > accent(true, other.onset_strength) + 1
    assert onset_f1(true, song.onsets) > 0.9


def test_accents_at_moments_that_mean_nothing_are_near_one(song: AudioFeatures) -> None:
    moments = np.random.default_rng(0).uniform(1, 15, 2000)
    assert accent(moments, audio_features(anchors.noise(16 * 44_100)).onset_strength) == pytest.approx(
        1.1, abs=0.3
    )


def test_silence_has_no_harmony_no_rhythm_and_no_sound(silence: AudioFeatures, song: AudioFeatures) -> None:
    assert chord_fit(signals.chords(), silence.chroma) == 0
    assert key_of(silence.chroma) == "X"
    assert triad(silence.chroma.mean(axis=1)) == "N"
    assert len(silence.onsets) == len(silence.beats) == 0
    assert not sounding(silence.level).any()
    assert all(value == 0 for name, value in with_vocals(song, silence).items() if name != "vocals_together")


def test_chromas_of_one_song_agree_however_loud(song: AudioFeatures, other: AudioFeatures) -> None:
    quiet = audio_features(0.05 * signals.band())
    assert chroma_agreement(song.chroma, quiet.chroma) > 0.99
    assert chroma_agreement(song.chroma, other.chroma) < 0.3
    assert abs(chroma_agreement(song.chroma, audio_features(anchors.noise(16 * 44_100)).chroma)) < 0.4


def test_rests_are_kept_or_not() -> None:
    pause = round(5 * FRAME_RATE), round(10 * FRAME_RATE)
    sounds = np.full(round(16 * FRAME_RATE), -20.0)
    rests = sounds.copy()
    rests[slice(*pause)] = -90.0
    assert rests_kept(rests, rests) == 1
    assert rests_kept(rests, sounds) == 0
    assert np.isnan(rests_kept(sounds, rests))
    assert together(rests, rests) == 1
    assert together(sounds, rests) == pytest.approx(11 / 16, abs=0.01)


def levels(*pauses: tuple[float, float], down: float = -50.0, seconds: float = 16.0) -> np.ndarray:
    """A steady -20 dBFS with pauses so many decibels below it, a frame each `1 / FRAME_RATE`."""
    level = np.full(round(seconds * FRAME_RATE), -20.0)
    for start, end in pauses:
        level[round(start * FRAME_RATE) : round(end * FRAME_RATE)] += down
    return level


def test_pauses_are_shared_or_false() -> None:
    paused, played_on = levels((5.0, 10.0)), levels()
    assert rests_shared(paused, paused) == (1, 0)
    assert rests_shared(paused, played_on) == (0, 0)
    assert np.isnan(rests_shared(played_on, played_on)[0])
    half, false = rests_shared(paused, levels((7.5, 12.5)))
    assert half == pytest.approx(0.5, abs=0.02)
    assert false == pytest.approx(2.5 / 11, abs=0.02)
    assert np.isnan(rests_shared(levels((0.0, 16.0), down=-70.0), played_on)[1])
    assert all(np.isnan(rests_shared(np.zeros(0), played_on)))


def test_a_pause_is_deep_and_long_enough() -> None:
    frame = 1 / FRAME_RATE
    assert not rests(levels((5.0, 10.0), down=-35.0)).any()
    assert rests(levels((5.0, 10.0), down=-45.0)).sum() == round(5 * FRAME_RATE)
    assert not rests(levels((5.0, 5.0 + 1.1 * frame))).any()
    assert rests(levels((5.0, 5.0 + 3.1 * frame))).sum() == 3
    quieter = levels((5.0, 10.0)) - 20.0  # by its own loud level
    assert rests(quieter).sum() == round(5 * FRAME_RATE)


def test_a_signal_agrees_with_itself_in_everything(song: AudioFeatures) -> None:
    for agreed, group in ((with_vocals(song, song), VOCALS), (with_reference(song, song), REFERENCE)):
        assert agreed.keys() == {metric.column for metric in group.metrics}
        for name, value in agreed.items():
            assert np.isnan(value) if name == "truth_rests" else value > 0.99, name


def test_shorter_recordings_are_compared_over_what_both_have(song: AudioFeatures) -> None:
    half = audio_features(signals.band(8.0))
    assert with_reference(song, half)["truth_chroma"] > 0.98
    assert with_reference(half, song)["truth_onsets"] > 0.9


def test_features_survive_storage(song: AudioFeatures) -> None:
    assert AudioFeatures.from_arrays(song.arrays()).notes is None
    song = dataclasses.replace(song, notes=np.array([0.5, 1.25], dtype=np.float32))
    again = AudioFeatures.from_arrays(song.arrays())
    for field in dataclasses.fields(AudioFeatures):
        np.testing.assert_allclose(
            getattr(again, field.name), getattr(song, field.name), rtol=2e-3, atol=2e-3
        )


def test_very_short_audio_has_features() -> None:
    features = audio_features(0.1 * torch.randn(2, 100))
    assert features.chroma.shape[0] == 12


def test_annotations_are_cut_to_the_excerpt(song: AudioFeatures) -> None:
    text = '{"beats": [0.5, 4.5, 9.0], "chords": [[0, 4, "C:maj"], [4, 12, "A:min"]], "key": "C major"}'
    reference = from_annotations(text, 4.0, 4.0, song)
    assert reference.beats.tolist() == [0.5]
    assert reference.chords == ((0.0, 4.0, "A:min"),)
    assert not reference.estimated


def test_the_reference_of_a_real_song_is_what_its_band_plays(
    song: AudioFeatures, other: AudioFeatures
) -> None:
    reference = estimate_reference(song)
    assert reference.estimated
    assert reference.key == "C major"
    right, wrong = scores_of(reference, song), scores_of(reference, other)
    assert right.keys() == {metric.column for _, metric in MEASURES}
    for name in ("chord_fit", "chord_accuracy", "key_fit", "accent", "beat_continuity", "level"):
        assert right[name] > wrong[name] + 0.2, name


def bass_line(octave: int = 0) -> torch.Tensor:
    """A sine on the root of each of `signals.chords`, from 65 to 98 Hz."""
    time = torch.arange(16 * 44_100) / 44_100
    audio = torch.zeros(len(time))
    for start, stop, name in signals.chords():
        root = {"C": 36, "A": 33, "F": 29, "G": 31}[name[0]] + 12 * octave
        inside = (time >= start) & (time < stop)
        audio[inside] = 0.2 * torch.sin(2 * np.pi * 440 * 2 ** ((root - 69) / 12) * time[inside])
    return audio.expand(2, -1).contiguous()


def test_roots_in_the_bass_are_heard_and_those_above_it_are_not(song: AudioFeatures) -> None:
    chords = signals.chords()
    assert played(chords, audio_features(bass_line()))["bass_roots"] > 0.95
    shifted = tuple(
        (start, stop, {"C": "D", "A": "B", "F": "G", "G": "A"}[name[0]] + name[1:])
        for start, stop, name in chords
    )
    assert played(shifted, audio_features(bass_line()))["bass_roots"] < 0.1
    high = audio_features(signals.band() + 0 * bass_line())
    low = audio_features(signals.band() + bass_line())
    assert played(chords, low)["bass_roots"] > played(chords, high)["bass_roots"] + 0.3


def test_onsets_stand_out_less_in_a_wash(song: AudioFeatures) -> None:
    wash = audio_features(signals.band() + 0.1 * anchors.noise(16 * 44_100))
    assert played((), song)["onsets"] == pytest.approx(2.0, abs=0.3)
    assert played((), wash)["contrast"] < 0.7 * played((), song)["contrast"]
    assert np.isnan(played((), song)["notes"])


def test_a_silent_band_plays_nothing(silence: AudioFeatures) -> None:
    found = played(signals.chords(), dataclasses.replace(silence, notes=np.zeros(0, np.float32)), silence)
    assert set(found) == {metric.column for metric in PLAYED}
    assert found.pop("rests") == 1
    assert np.isnan(found.pop("false_rests"))  # a band that never plays
    assert not any(found.values())


def test_the_table_has_a_row_a_band(song: AudioFeatures, other: AudioFeatures) -> None:
    chords = signals.chords()
    lines = played_table({"right": [(chords, song)], "wrong": [(chords, other)]}, [song])
    assert "0 of the 1 true bands pause" in lines[-1]
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| right", "| wrong"]


def test_energy_agrees_where_two_bands_rise_and_fall_together() -> None:
    """Over seconds: a beat is not energy, nor is how loud the whole is."""
    seconds = np.arange(0, 30, 1 / FRAME_RATE)
    slow = -20 + 4 * np.sin(2 * np.pi * seconds / 15)
    beat = 6 * np.sin(2 * np.pi * seconds / 0.5)
    assert energy_agreement(slow, slow - 9 + beat) > 0.95
    assert energy_agreement(slow, -40 - slow) < -0.9
    assert energy_agreement(slow, np.full_like(slow, -20.0)) == 0
    assert energy_agreement(slow[:0], slow) == 0
