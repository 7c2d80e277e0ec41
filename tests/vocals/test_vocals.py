"""One form for every recording of a voice, and what is heard of it."""

from importlib import import_module

import numpy as np
import pytest
import torch

from samuel.config import SAMPLE_RATE
from samuel.vocals import extract_features, normal_form
from samuel.vocals.features import CHROMA, LEVEL, ONSET, VOICING


def voice(seconds: float = 3.0) -> torch.Tensor:
    """Notes of half a second with vibrato and rests, (2, samples)."""
    time = torch.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    note = (time * 2).long()
    pitch = torch.tensor([60.0, 64.0, 67.0, 65.0])[note % 4] + 0.2 * torch.sin(2 * np.pi * 5.5 * time)
    phase = torch.cumsum(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) / SAMPLE_RATE, 0)
    sound = sum(torch.sin(k * phase) / k for k in range(1, 9))
    envelope = torch.clamp((time * 2) % 1 * 20, max=1) * ((time * 2) % 1 < 0.8)
    return (0.1 * sound * envelope).expand(2, -1).contiguous()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("quieter by 20 dB", lambda x: 0.1 * x),
        ("quieter by 50 dB", lambda x: 10**-2.5 * x),
        ("over full scale", lambda x: 20 * x),
        ("left alone", lambda x: x * torch.tensor([[1.0], [0.0]])),
        ("right alone", lambda x: x * torch.tensor([[0.0], [1.0]])),
        ("right reversed", lambda x: x * torch.tensor([[1.0], [-1.0]])),
        ("with direct current", lambda x: x + 0.1),
    ],
)
def test_the_same_voice_has_one_form(name: str, change) -> None:
    plain = normal_form(voice())
    changed = normal_form(change(voice()))
    assert (changed.abs() - plain.abs()).abs().max() < 1e-3 * plain.abs().max()
    assert torch.equal(changed[0], changed[1])


def test_a_form_does_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    sung = voice(3.0)
    whole = normal_form(sung)
    monkeypatch.setattr(import_module("samuel.vocals.normal_form"), "BLOCK", 10_000)
    assert torch.allclose(normal_form(sung), whole, atol=1e-6)


def test_silence_stays_silent_and_short_is_no_error() -> None:
    assert not normal_form(torch.zeros(2, 1000)).any()
    assert normal_form(torch.full((2, 1), 0.5)).shape == (2, 1)
    assert normal_form(voice(0.2)).isfinite().all()


def test_features_name_the_notes() -> None:
    features = extract_features(normal_form(voice()))
    frames = features.frames(64)
    for note, pitch_class in enumerate((0, 4, 7, 5)):
        frame = int((0.25 + 0.5 * note) * SAMPLE_RATE / 2048)
        assert frames[CHROMA, frame].argmax() == pitch_class
        assert frames[VOICING, frame] > 0.9
        assert frames[LEVEL, frame] > 0.5
        assert frames[ONSET, max(0, frame - 6) : frame + 1].max() == 1
    assert features.has_singing


def test_noise_hum_and_silence_are_no_singing() -> None:
    noise = 0.1 * torch.randn(2, 2 * SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    time = torch.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    hum = (0.1 * torch.sin(2 * np.pi * 100 * time)).expand(2, -1)
    for sound in (noise, hum, torch.zeros(2, SAMPLE_RATE)):
        assert not extract_features(normal_form(sound)).has_singing


def test_features_of_very_little() -> None:
    features = extract_features(normal_form(voice(0.01)))
    assert features.frames(4).shape == (16, 4)
    assert not features.has_singing


def test_pitch_by_windows_is_that_of_the_whole() -> None:
    from swift_f0 import SwiftF0

    sung = normal_form(voice(13.0))  # over three windows
    whole = SwiftF0(threads=1).detect(sung[0].numpy(), SAMPLE_RATE)
    found = extract_features(sung)
    assert np.array_equal(found.voiced, (whole.confidence > 0.5)[: len(found.times)])
    hertz = whole.pitch_hz[: len(found.times)][found.voiced]
    np.testing.assert_allclose(440 * 2 ** ((found.pitch[found.voiced] - 69) / 12), hertz, rtol=1e-5)
    np.testing.assert_allclose(found.level, whole.loudness_db[: len(found.times)])
