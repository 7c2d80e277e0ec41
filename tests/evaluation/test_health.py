"""The health of signals whose health is known."""

import math

import numpy as np
import pytest
import torch

from samuel.config import SAMPLE_RATE
from samuel.evaluation import anchors
from samuel.evaluation.features import audio_features
from samuel.evaluation.health import clipped_share, health

SECONDS = 4


def tone(hertz: float, amplitude: float) -> torch.Tensor:
    time = torch.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    return (amplitude * torch.sin(2 * math.pi * hertz * time)).expand(2, -1).contiguous()


def test_a_tone() -> None:
    audio = tone(997.0, 0.5)
    found = health(audio, audio_features(audio))
    assert found.loudness_lufs == pytest.approx(
        -6.0, abs=0.2
    )  # BS.1770: stereo 997 Hz at full scale has 0 LUFS
    assert found.true_peak_dbtp == pytest.approx(-6.0, abs=0.2)
    assert found.rolloff_hz == pytest.approx(997, abs=30)
    assert found.bandwidth_hz < 2000
    assert found.clipped_share == found.silent_share == 0
    assert found.dc < 1e-3


def test_white_noise_rises_three_decibels_an_octave() -> None:
    audio = anchors.noise(SECONDS * SAMPLE_RATE)
    found = health(audio, audio_features(audio))
    assert found.tilt_db_per_octave == pytest.approx(3.0, abs=0.2)
    assert found.rolloff_hz == pytest.approx(0.95 * SAMPLE_RATE / 2, rel=0.02)


def test_silence_is_silent_and_has_no_spectrum() -> None:
    audio = anchors.silence(SECONDS * SAMPLE_RATE)
    found = health(audio, audio_features(audio))
    assert found.silent_share == 1
    assert np.isnan(found.rolloff_hz)
    assert np.isnan(found.tilt_db_per_octave)


def test_dc_is_seen() -> None:
    audio = tone(997.0, 0.1)
    audio[1] += 0.25
    assert health(audio, audio_features(audio)).dc == pytest.approx(0.25, abs=1e-3)


def test_runs_at_full_scale_are_clipping_and_single_samples_are_not() -> None:
    audio = torch.zeros(2, 1000)
    audio[0, 10] = 1.0
    audio[0, 20:22] = -1.0
    assert clipped_share(audio) == 0
    audio[1, 30:35] = 1.0
    assert clipped_share(audio) == pytest.approx(5 / 2000)
