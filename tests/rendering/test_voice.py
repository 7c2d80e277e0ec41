"""The singer, measured: pitch, formants, vibrato, consonants, rests."""

from dataclasses import replace

import numpy as np
import pytest

from samuel.compiled import librosa
from samuel.config import SAMPLE_RATE
from samuel.rendering.phonetics import VOWELS, Syllable, syllable_of
from samuel.rendering.singer import NOISES, Singer, SungNote, draw_singer, perform
from samuel.rendering.voice import synthesise

TENOR = replace(
    draw_singer(np.random.default_rng(0)),
    tessitura=55.0,
    tract=1.0,
    bandwidth=1.0,
    ring=0.0,
    breathiness=0.01,
    air=0.01,
    vibrato_cents=0.0,
    drift_cents=3.0,
    lag=0.0,
    unsteadiness=0.0,
    scoop_semitones=0.0,
    articulation=1.0,
)


def sing(notes: list[SungNote], seconds: float, singer: Singer = TENOR, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return synthesise(singer, perform(singer, notes, seconds, rng), rng)


def part(audio: np.ndarray, start: float, end: float) -> np.ndarray:
    return audio[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)]


def level(audio: np.ndarray, low: float = 0.0, high: float = 22_050.0) -> float:
    """Power in a band, decibels."""
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2
    hertz = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    return float(10 * np.log10(power[(hertz >= low) & (hertz < high)].sum() / len(audio) ** 2 + 1e-15))


def pitches(audio: np.ndarray) -> np.ndarray:
    """MIDI numbers, 100 a second."""
    slow = librosa.resample(audio, orig_sr=SAMPLE_RATE, target_sr=14_700)
    hertz = librosa.yin(slow, fmin=70, fmax=900, sr=14_700, frame_length=1024, hop_length=147)
    return librosa.hz_to_midi(hertz)


def test_sings_the_written_pitches_and_rests_between() -> None:
    vowel = Syllable("", "a", "a")
    notes = [SungNote(0.5, 1.2, 52, vowel), SungNote(1.2, 1.9, 57, vowel), SungNote(2.6, 3.3, 48, vowel)]
    audio = sing(notes, 4.0)
    heard = pitches(audio)
    for note in notes:
        middle = heard[int(100 * note.start) + 20 : int(100 * note.end) - 10]
        assert np.median(middle) == pytest.approx(note.pitch, abs=0.2)
    assert level(part(audio, 0.6, 1.1)) - level(part(audio, 2.1, 2.4)) > 40
    assert np.abs(part(audio, 3.7, 4.0)).max() < 1e-3
    assert 0.1 < np.abs(audio).max() < 4
    assert np.isfinite(audio).all()


@pytest.mark.parametrize("vowel", ["i", "a", "u"])
def test_vowels_have_their_formants(vowel: str) -> None:
    """Sung low, where partials lie close, the strongest ones are near the first two formants."""
    audio = part(sing([SungNote(0.2, 1.6, 40, Syllable("", vowel, vowel))], 2.0), 0.5, 1.4)
    first, second, _ = VOWELS[vowel]
    for formant, low, high in ((first, 150, 0.5 * (first + second)), (second, 0.5 * (first + second), 2700)):
        power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2
        hertz = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
        band = (hertz > low) & (hertz < high)
        peak = hertz[band][np.argmax(power[band])]
        assert peak == pytest.approx(formant, abs=110)  # partials are 82 Hz apart


def test_diphthongs_move() -> None:
    audio = sing([SungNote(0.2, 1.8, 45, Syllable("", "a", "i"))], 2.2)
    early, late = part(audio, 0.5, 0.9), part(audio, 1.5, 1.7)
    assert level(early, 900, 1300) - level(early, 2000, 2600) > 8 + level(late, 900, 1300) - level(
        late, 2000, 2600
    )


def test_vibrato_comes_after_its_delay() -> None:
    singer = replace(TENOR, vibrato_cents=60.0, vibrato_hertz=5.5, vibrato_delay=0.4, drift_cents=0.0)
    heard = pitches(sing([SungNote(0.2, 3.2, 57, Syllable("", "a", "a"))], 3.5, singer))
    assert np.std(heard[140:300]) > 3 * np.std(heard[30:55])
    swing = heard[140:300] - heard[140:300].mean()
    spectrum = np.abs(np.fft.rfft(swing * np.hanning(160), 1600))
    assert np.argmax(spectrum) / 16 == pytest.approx(5.5, abs=0.5)


def test_consonants_hiss_before_the_vowel_and_plosives_close_first() -> None:
    notes = [SungNote(0.5, 1.2, 55, Syllable("s", "a", "a")), SungNote(1.2, 2.0, 55, Syllable("t", "a", "a"))]
    audio = sing(notes, 2.3)
    assert level(part(audio, 0.41, 0.48), 5000, 12_000) > level(part(audio, 0.8, 0.87), 5000, 12_000) + 10
    assert level(part(audio, 1.135, 1.16)) < level(part(audio, 0.9, 0.925)) - 20


def test_another_take_is_close_but_not_the_same() -> None:
    notes = [SungNote(0.3, 1.5, 57, Syllable("m", "a", "a"))]
    one, same, other = (sing(notes, 1.8, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert level(one) == pytest.approx(level(other), abs=3)


@pytest.mark.parametrize(
    ("lyric", "onset", "vowel", "coda"),
    [
        ("Sing,", "s", "I", ""),
        ("shine", "S", "a", "n"),
        ("Là", "l", "a", ""),
        ("moon", "m", "u", "n"),
        ("this", "f", "I", "s"),
    ],
)
def test_spelling_gives_syllables(lyric: str, onset: str, vowel: str, coda: str) -> None:
    syllable = syllable_of(lyric, np.random.default_rng(0))
    assert (syllable.onset, syllable.vowel) == (onset, vowel)
    assert syllable.coda == coda or lyric == "Sing,"


def test_drawn_singers_differ_and_stay_in_range() -> None:
    singers = [draw_singer(np.random.default_rng(seed)) for seed in range(200)]
    tessituras = [singer.tessitura for singer in singers]
    assert min(tessituras) < 52 < 66 < max(tessituras)
    assert np.corrcoef(tessituras, [singer.tract for singer in singers])[0, 1] > 0.6
    assert all(singer.lowest < singer.tessitura < singer.highest for singer in singers)
    assert len(NOISES) == perform(TENOR, [], 1.0, np.random.default_rng(0)).noises.shape[1]
