import math

import pytest
import torch

from samuel.codec import phases, spectra
from samuel.codec.bass import BINS, LOWEST, SEMITONES, BassHead, semitone_powers
from samuel.codec.bass_fitting import BassTraining, Lesson, fit_bass, save_bass
from samuel.codec.loaders import read_bass

FRAME = 2048


def tone(pitch: int, frames: int) -> torch.Tensor:
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    return 0.2 * torch.sin(2 * math.pi * hertz * torch.arange(frames * FRAME) / 44100).expand(1, 2, -1)


def strongest(audio: torch.Tensor) -> torch.Tensor:
    return semitone_powers(audio).argmax(dim=-1)[0] + LOWEST


@pytest.mark.parametrize("pitch", [30, 37, 45, 54])
def test_powers_are_strongest_at_the_note_that_sounds(pitch: int) -> None:
    assert (strongest(tone(pitch, 24))[5:-5] == pitch).all()


@pytest.mark.parametrize("pitch", [30, 37, 45, 54])
def test_oscillators_play_the_semitone_they_are_told(pitch: int) -> None:
    """Which magnitudes alone leave open: two semitones down there share their bins."""
    wide = tone(pitch, 24) + tone(pitch + 1, 24)
    magnitudes = spectra.spectrum(wide.mean(dim=1)[:, ::4], 1024, 256).abs()
    shares = torch.full((1, 24, SEMITONES), 0.01)
    shares[..., pitch - LOWEST] = 1.0
    first = torch.tensor([1000])
    found, tones = BassHead().applied(magnitudes, shares, first, 4096)
    assert tones.shape[-1] == BINS
    torch.testing.assert_close(found[..., BINS:], magnitudes[..., BINS:])
    low = phases.griffin_lim(found, 1024, 256, 4, first * 2, tones)
    sound = spectra.overlap_add(torch.nn.functional.pad(low, (0, 2049 - 513)), 4096, 1024)
    assert (strongest(sound[:, None].expand(-1, 2, -1))[6:-6] == pitch).all()
    level = 10 * torch.log10(sound.square().mean() / wide.mean(dim=1).square().mean())
    assert abs(float(level)) < 1.5  # decibels


def test_oscillators_run_on_from_piece_to_piece() -> None:
    head, powers = BassHead(), torch.rand(1, 40, SEMITONES)
    whole = head.oscillate(powers, torch.tensor([10**6]))
    part = head.oscillate(powers[:, 12:30], torch.tensor([10**6 + 12]))
    torch.testing.assert_close(part[:, 128:-128], whole[:, 13 * 128 : 29 * 128], rtol=1e-3, atol=1e-3)


def test_silence_has_no_bass() -> None:
    shares = torch.full((1, 8, SEMITONES), 1 / SEMITONES)
    found, tones = BassHead().applied(torch.zeros(1, 16, 513), shares, torch.tensor([0]), 4096)
    assert not found.any()
    assert not tones.abs().any()


def test_a_head_learns_what_the_latents_tell_and_is_read_back(tmp_path) -> None:
    chance = torch.Generator().manual_seed(0)
    latents = torch.randn(600, 64, generator=chance)
    powers = torch.nn.functional.one_hot(latents[:, :SEMITONES].argmax(dim=1), SEMITONES).float()
    lessons = [Lesson(latents[:300], powers[:300]), Lesson(latents[300:], torch.zeros(300, SEMITONES))]
    config = BassTraining(steps=150, batch=128, rate=1e-2)
    told: list[str] = []
    head, again = (fit_bass(lessons, config, told.append) for _ in range(2))
    assert torch.equal(head.linear.weight, again.linear.weight)
    found = head(latents[None, :300])[0].argmax(dim=1)
    assert (found == powers[:300].argmax(dim=1)).float().mean() > 0.8
    assert "600 frames" in told[0]
    save_bass(tmp_path, head)
    torch.testing.assert_close(
        read_bass(tmp_path / "bass.safetensors").linear.weight, head.linear.weight, rtol=1e-3, atol=1e-3
    )
    with pytest.raises(ValueError, match="expected songs to fit the bass to"):
        fit_bass([], config)
