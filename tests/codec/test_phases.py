import math

import torch

from samuel.codec import phases, spectra

FRAME = 2048


def chords() -> torch.Tensor:
    time = torch.arange(20 * FRAME) / 44100
    return sum(
        0.1 * torch.sin(2 * math.pi * f * time) * (time * g % 1) for f, g in ((220, 2), (277, 3), (1330, 4))
    )


def misfit(found: torch.Tensor) -> float:
    """How far a spectrum is from that of any audio."""
    nearest = spectra.spectrum(spectra.overlap_add(found, 4096, 1024), 4096, 1024)
    return float((nearest - found).abs().norm() / found.abs().norm())


def test_griffin_lim_keeps_magnitudes_and_finds_fitting_phases():
    wanted = spectra.spectrum(chords()[None], 4096, 1024).abs()
    found = phases.griffin_lim(wanted, 4096, 1024, 32)
    torch.testing.assert_close(found.abs(), wanted, rtol=1e-3, atol=1e-6)
    assert misfit(found) < 0.4 * misfit(phases.griffin_lim(wanted, 4096, 1024, 0))


def test_a_round_projects_on_the_spectra_of_audio():
    """`spectrum` of `overlap_add`, computed in fewer passes."""
    some = torch.randn(2, 12, 2049, dtype=torch.complex64)
    some[..., [0, -1]] = 0
    projection = phases._Projection(12, 4096, 1024, some.device)
    expected = spectra.spectrum(spectra.overlap_add(some, 4096, 1024), 4096, 1024)
    torch.testing.assert_close(projection(some), expected, rtol=1e-3, atol=1e-4)


def test_low_bins_are_those_of_audio_with_a_quarter_of_the_samples():
    """So phases for them can be found there, for a quarter of the work."""
    full = spectra.spectrum(chords()[None], 4096, 1024)
    slow = spectra.spectrum(chords()[None, 0::4], 1024, 256)
    torch.testing.assert_close(slow[..., :400], full[..., :400], rtol=0.02, atol=1e-3)


def test_starting_phases_depend_on_the_place_alone():
    places = torch.tensor([0, 7, 10**6])
    late = phases.running(20, 513, 1024, 256, places)
    whole = phases.running(30, 513, 1024, 256, torch.tensor([0]))
    torch.testing.assert_close(late[1], whole[0, 7:27])
    steps = (late[2, 1:] - late[2, :-1] - 2 * math.pi * torch.arange(513) * 256 / 1024) / (2 * math.pi)
    assert (steps - steps.round()).abs().max() < 1e-4  # each bin at its own frequency, after an hour too


def test_the_carrier_is_flat_noise():
    carrier = phases.carrier(4096, 1024)
    inner = carrier[:, 10:-10]
    assert inner.shape[0] == phases.CARRIER_FRAMES
    level = 20 * torch.log10(inner.abs().clamp(min=1e-3))
    assert abs(level.mean()) < 0.5
    assert level.std() < 2  # dB; noise has 5.6
    for shift in (1, 4, 16, 32):  # it does not repeat within its length
        alike = (inner * inner.roll(shift, 0).conj()).mean().abs()
        assert alike < 0.1


def test_audio_made_of_the_carrier_has_the_magnitudes_asked_for():
    bins = torch.arange(2049)
    wanted = (1 + torch.cos(bins / 300)) * torch.linspace(0.2, 1, 80)[:, None]
    noise = phases.carrier(4096, 1024)[torch.arange(80) % phases.CARRIER_FRAMES]
    audio = spectra.overlap_add((noise * wanted)[None], 4096, 1024)
    got = spectra.spectrum(audio, 4096, 1024)[0].abs()
    loud = wanted[10:-10, 10:-10] > 0.1
    error = 20 * torch.log10(got / wanted.clamp(min=1e-6))[10:-10, 10:-10][loud]
    assert error.abs().mean() < 2
