"""A whole small song: the stems are true, and what the annotations say is what one hears."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from samuel.arranging.soundfont import SoundFontSynthesiser
from samuel.audio.loudness import loudness
from samuel.compiled import librosa
from samuel.config import SAMPLE_RATE
from samuel.lead_sheet.chord import parse_chord
from samuel.rendering.library import read_score
from samuel.rendering.score import Score
from samuel.rendering.song import STEMS, RenderedSong, render_song
from tests.rendering.scores import write_lead_sheet, write_midi

LENGTHS: dict[str, Any] = {"min_seconds": 12.0, "max_seconds": 16.0}


@pytest.fixture(scope="module")
def synthesiser() -> SoundFontSynthesiser:
    return SoundFontSynthesiser()


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Score]:
    folder = tmp_path_factory.mktemp("scores")
    return {
        "march": read_score(write_midi(folder / "march.mid")),
        "waltz": read_score(write_lead_sheet(folder / "waltz.musicxml")),
    }


@pytest.fixture(scope="module", params=["march", "waltz"])
def song(request: pytest.FixtureRequest, scores: dict[str, Score], synthesiser) -> RenderedSong:
    return render_song(scores[request.param], f"small-{request.param}", synthesiser, **LENGTHS)


def mono(audio: np.ndarray) -> np.ndarray:
    return audio.mean(axis=0)


def test_stems_are_stereo_of_one_length_and_nothing_clips(song: RenderedSong) -> None:
    assert tuple(song.stems) == STEMS
    shapes = {audio.shape for audio in song.stems.values()}
    assert shapes == {(2, round(song.annotations["seconds"] * SAMPLE_RATE))}
    assert 8 < song.annotations["seconds"] < 20
    for audio in (*song.stems.values(), song.mix):
        assert audio.dtype == np.float32
        assert np.abs(audio).max() < 10 ** (-1 / 20)
        assert np.abs(audio.mean(axis=1)).max() < 1e-3
    np.testing.assert_array_equal(song.mix, sum(song.stems[name] for name in STEMS))
    assert song.annotations["balance"]["loudness"] == pytest.approx(
        loudness(torch.from_numpy(song.mix)), abs=2.5
    )
    assert np.abs(song.stems["vocals"]).max() > 0.05
    assert np.abs(song.mix[:, -64:]).max() < 0.01  # it has died away


def test_the_same_seed_gives_the_same_samples_and_another_does_not(scores, synthesiser) -> None:
    first, again, other = (
        render_song(scores["march"], "small", synthesiser, seed=seed, **LENGTHS) for seed in (3, 3, 4)
    )
    assert first.annotations == again.annotations
    for name in STEMS:
        assert np.array_equal(first.stems[name], again.stems[name])
    assert other.annotations["singer"] != first.annotations["singer"]
    assert other.mix.shape != first.mix.shape or not np.allclose(other.mix, first.mix)


def test_voice_sings_the_annotated_melody(song: RenderedSong) -> None:
    slow = librosa.resample(mono(song.stems["vocals"]), orig_sr=SAMPLE_RATE, target_sr=14_700)
    heard = librosa.hz_to_midi(
        librosa.yin(slow, fmin=65, fmax=1100, sr=14_700, frame_length=1024, hop_length=147)
    )
    errors = []
    for start, end, pitch in song.annotations["melody"]:
        if end - start > 0.3:
            errors.append(abs(np.median(heard[int(100 * start) + 14 : int(100 * end) - 6]) - pitch))
    assert len(errors) >= 6
    assert np.mean(np.array(errors) < 0.6) > 0.8


def test_band_plays_the_annotated_chords(song: RenderedSong) -> None:
    """The chords' pitch classes carry far more energy than those a tritone away."""
    band = mono(song.stems["bass"] + song.stems["other"])
    power = np.abs(librosa.stft(band, n_fft=8192, hop_length=2048)) ** 2
    hertz = librosa.fft_frequencies(sr=SAMPLE_RATE, n_fft=8192)
    used = (hertz > 60) & (hertz < 1500)
    classes = np.round(librosa.hz_to_midi(hertz[used])).astype(int) % 12
    chroma = np.stack([power[used][classes == pitch].sum(axis=0) for pitch in range(12)])
    times = np.arange(chroma.shape[1]) * 2048 / SAMPLE_RATE
    inside, outside = 0.0, 0.0
    for start, end, label in song.annotations["chords"]:
        pitches = parse_chord(label, start, end).pitch_classes
        energy = chroma[:, (times > start + 0.05) & (times < end - 0.05)].sum(axis=1)
        inside += energy[list(pitches)].sum()
        outside += energy[[(pitch + 6) % 12 for pitch in pitches]].sum()
    assert inside > 2.5 * outside


def test_onsets_of_the_band_lie_on_the_annotated_grid(song: RenderedSong) -> None:
    band = mono(song.stems["drums"] + song.stems["bass"] + song.stems["other"])
    onsets = librosa.onset.onset_detect(y=band, sr=SAMPLE_RATE, hop_length=256, units="time")
    beats = np.array(song.annotations["beats"])
    assert len(onsets) > len(beats) / 3

    def share_near(times: np.ndarray) -> float:
        return float(np.mean([np.abs(onsets - time).min() < 0.05 for time in times]))

    between = beats[:-1] + 0.4 * np.diff(beats)  # on no grid of halves, thirds or quarters
    assert share_near(beats[:-1]) > 0.4 + share_near(between)


def test_annotations_are_complete_and_ordered(song: RenderedSong) -> None:
    notes = song.annotations
    beats, per_bar = notes["beats"], notes["metre"]["beats"]
    assert notes["downbeats"] == beats[::per_bar]
    assert np.all(np.diff(beats) > 0)
    chords = notes["chords"]
    assert chords[0][0] == beats[0]
    assert all(chord[1] == following[0] for chord, following in itertools.pairwise(chords))
    assert chords[-1][1] <= notes["seconds"]
    assert all(start < end for start, end, _ in notes["melody"])
    assert notes["key"].endswith(("major", "minor"))


def test_the_key_moves_with_the_singer(scores, synthesiser) -> None:
    keys = set()
    for seed in range(4):
        song = render_song(scores["march"], "key", synthesiser, seed=seed, min_seconds=6.0, max_seconds=16.0)
        shift = song.annotations["transposition"]
        keys.add(song.annotations["key"])
        assert parse_chord("C:maj", 0.0, 1.0).transposed(shift).label in [
            c[2] for c in song.annotations["chords"]
        ]
        names = parse_chord(song.annotations["key"].split()[0] + ":maj", 0.0, 1.0)
        assert names.root == shift % 12
    assert len(keys) > 1


def test_a_bad_soundfont_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.sf2").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match="expected a SoundFont"):
        SoundFontSynthesiser(tmp_path / "no.sf2")
