"""Mixing: loudness beside another library's, peaks by another way of finding them."""

import io
import tracemalloc

import numpy as np
import pyloudnorm
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.signal import resample
from torch import Tensor

from samuel.audio import FILE_FORMATS, decode
from samuel.audio.loudness import (
    _sliding_mean,
    _sliding_minimum,
    encoded,
    limit,
    loudness,
    loudness_remark,
    mix,
    true_peak,
)
from samuel.config import SAMPLE_RATE
from tests.jobs.songs import song_audio


def lufs_of(audio: Tensor) -> float:
    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(audio.T.double().numpy()))


def peak_of(audio: Tensor) -> float:
    """By Fourier interpolation to 16 times the rate, in dB."""
    fine = resample(audio.double().numpy(), 16 * audio.shape[1], axis=1)
    return float(20 * np.log10(np.abs(fine).max()))


def drums(seconds: float, seed: int) -> Tensor:
    """Bursts of noise below 17 kHz that decay fast: far more peak than loudness."""
    time = torch.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    noise = torch.randn(2, len(time), generator=torch.Generator().manual_seed(seed))
    bursts = torch.fft.rfft(0.4 * noise * torch.exp(-60 * (time % 0.5)))
    bursts[:, int(0.77 * bursts.shape[1]) :] = 0
    return torch.fft.irfft(bursts, n=len(time))


def test_loudness_is_that_of_pyloudnorm() -> None:
    for audio in (song_audio(12.0, 1), drums(12.0, 2), 0.01 * song_audio(3.0, 3)):
        assert loudness(audio) == pytest.approx(lufs_of(audio), abs=0.1)


def test_the_band_is_louder_than_the_vocals_by_the_balance() -> None:
    vocals, band = song_audio(10.0, 1), 0.01 * drums(10.0, 2)
    for balance in (-6.0, 0.0, 4.0):
        mixed = mix(vocals, band, balance, lufs=-40.0)  # so low that nothing is limited
        both = torch.stack([vocals.flatten(), band.flatten()], dim=1).double()
        shares = torch.linalg.solve(both.T @ both, both.T @ mixed.flatten().double()).float()
        torch.testing.assert_close(shares[0] * vocals + shares[1] * band, mixed, atol=1e-5, rtol=0)
        assert lufs_of(shares[1] * band) - lufs_of(shares[0] * vocals) == pytest.approx(balance, abs=0.2)
        assert lufs_of(mixed) == pytest.approx(-40, abs=0.1)


@pytest.mark.parametrize(("lufs", "within"), [(-23.0, 0.1), (-14.0, 0.5), (-9.0, 2.5)])
def test_a_mix_with_hard_drums_is_about_as_loud_as_asked_and_never_clipped(
    lufs: float, within: float
) -> None:
    mixed = mix(song_audio(10.0, 1), drums(10.0, 2), lufs=lufs)
    assert lufs_of(mixed) == pytest.approx(lufs, abs=within)
    assert peak_of(mixed) < -0.9


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 99), gain=st.floats(0.01, 30), ceiling=st.floats(-12, 0), seconds=st.floats(0.01, 2)
)
def test_true_peaks_stay_below_the_ceiling(seed: int, gain: float, ceiling: float, seconds: float) -> None:
    limited = limit(gain * drums(seconds, seed), ceiling)
    assert true_peak(limited) <= ceiling + 0.03  # the meter's last digit
    assert limited.abs().max() <= 10 ** (ceiling / 20) + 1e-4


@pytest.mark.parametrize("seconds", [8.0, 9.01, 3.0])
def test_the_limiter_works_block_by_block_as_in_one_go(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = torch.cat([song_audio(2.0, 3), 4 * drums(seconds, 5), 0.1 * drums(4.0, 6), 9 * drums(1.0, 7)], 1)
    in_one_go = limit(audio, -1.0)
    monkeypatch.setattr("samuel.audio.loudness.BLOCK", 2 * SAMPLE_RATE)
    untouched = audio.clone()
    assert (limit(audio, -1.0) - in_one_go).abs().max() < 1e-5  # -100 dB
    assert torch.equal(audio, untouched)
    assert (in_one_go - audio).abs().max() > 0.1


def test_the_limiter_needs_no_more_memory_for_a_longer_song(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samuel.audio.loudness.BLOCK", SAMPLE_RATE)

    def most(seconds: float) -> int:
        audio = 4 * drums(seconds, 1)
        tracemalloc.start()
        limit(audio, -1.0)
        peak = tracemalloc.get_traced_memory()[1]  # of numpy: beside the result, which is torch's
        tracemalloc.stop()
        return peak

    short, long = most(4.0), most(16.0)
    assert long < 1.3 * short


def test_the_limiter_touches_nothing_but_the_surroundings_of_peaks() -> None:
    audio = 0.1 * song_audio(30.0, 1)  # longer than a block
    assert torch.equal(limit(audio, -1.0), audio)
    loud = audio.clone()
    loud[0, 600_000:600_200] *= 40
    changed = (limit(loud, -1.0) != loud).any(0).nonzero().flatten()
    assert 597_000 < changed.min() < 600_000
    assert 600_000 < changed.max() < 603_000


def test_a_low_tone_is_turned_down_without_being_bent() -> None:
    tone = torch.sin(2 * torch.pi * 50 * torch.arange(3 * SAMPLE_RATE) / SAMPLE_RATE).expand(2, -1)
    middle = slice(SAMPLE_RATE, 2 * SAMPLE_RATE)
    limited = limit(2 * tone, -1.0)[:, middle]
    torch.testing.assert_close(limited, limited.max() * tone[:, middle], atol=2e-3, rtol=0)
    assert limited.max() == pytest.approx(10 ** (-1 / 20), rel=0.02)


@pytest.mark.parametrize("gain", [1.5, 4.0])
def test_what_was_limited_is_not_limited_again(gain: float) -> None:
    limited = limit(gain * mix(song_audio(8.0, 1), drums(8.0, 2)), -1.0)
    assert torch.equal(limit(limited, -1.0), limited)


@pytest.mark.parametrize("file_format", FILE_FORMATS)
def test_files_stay_below_the_ceiling_when_they_are_decoded(file_format: str) -> None:
    loud = mix(song_audio(8.0, 1), drums(8.0, 2), lufs=-9.0)
    for audio in (loud, 1.2 * loud):  # a mix, and a band that goes over full scale
        read = decode(io.BytesIO(encoded(audio, file_format)))
        assert true_peak(read) <= -1
        assert loudness(read) == pytest.approx(loudness(limit(audio, -1.0)), abs=1.0)


def test_what_is_within_the_ceiling_is_written_as_it_is() -> None:
    audio = 0.5 * song_audio(2.0, 1)
    assert torch.allclose(decode(io.BytesIO(encoded(audio, "wav"))), audio, atol=2**-23)


def test_a_loudness_that_was_not_reached_is_told() -> None:
    vocals, band = song_audio(10.0, 1), drums(10.0, 2)
    assert loudness_remark(mix(vocals, band), -14.0) == ""
    assert "LUFS, not -5" in loudness_remark(mix(vocals, band, lufs=-5.0), -5.0)
    assert loudness_remark(torch.zeros(2, SAMPLE_RATE), -14.0) == ""


@pytest.mark.parametrize("length", [1, 2, 5, 30, 100])
def test_sliding_extremes_are_those_of_scipy(length: int) -> None:
    values = np.random.default_rng(length).random(length).astype(np.float32)
    for reach in (1, 3, 20):
        least = minimum_filter1d(values, 2 * reach + 1, mode="nearest")
        np.testing.assert_array_equal(_sliding_minimum(values, reach), least)
        mean = uniform_filter1d(values, 2 * reach + 1, mode="nearest")
        np.testing.assert_allclose(_sliding_mean(values, reach), mean, rtol=1e-5)


def test_silent_vocals_or_band_leave_the_other() -> None:
    sound, silence = song_audio(5.0, 1), torch.zeros(2, 5 * SAMPLE_RATE)
    for mixed in (mix(sound, silence), mix(silence, sound, balance_db=6.0)):
        assert lufs_of(mixed) == pytest.approx(-14, abs=0.5)
    assert not mix(silence, silence).any()
    assert mix(silence[:, :0], silence[:, :0]).shape == (2, 0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"balance_db": 99.0}, "balance from -60 to 60 dB, got 99"),
        ({"lufs": 3.0}, "loudness from -60 to -5 dB, got 3"),
        ({"true_peak_db": 1.0}, "true peak"),
        ({"lufs": float("nan")}, "loudness"),
    ],
)
def test_values_out_of_range_are_refused(wrong: dict[str, float], says: str) -> None:
    sound = song_audio(1.0, 1)
    with pytest.raises(ValueError, match=says):
        mix(sound, sound, **wrong)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="44100 and 88200 samples"):
        mix(song_audio(1.0, 1), song_audio(2.0, 1))
