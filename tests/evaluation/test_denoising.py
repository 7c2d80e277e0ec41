"""The closed forms that a network is held against."""

import torch

from samuel.evaluation import denoising


def songs(count: int, frames: int = 300) -> torch.Tensor:
    """Smooth latents of unlike variances, so that neighbouring frames tell of each other."""
    generator = torch.Generator().manual_seed(count)
    noise = torch.randn(count, 64, frames + 8, generator=generator)
    smooth = noise.unfold(2, 9, 1).mean(-1) * 3
    return smooth * torch.linspace(0.5, 2.5, 64)[:, None]


def test_more_frames_remove_more_noise(monkeypatch) -> None:
    monkeypatch.setattr(denoising, "TIMESTEPS", (240, 640))
    held_out = denoising.HeldOut(songs(3), torch.zeros(3, 64, 300))
    alone = denoising.wiener(songs(8), held_out)
    linear = [denoising.linear(songs(8), held_out, context) for context in (1, 5)]
    for timestep in denoising.TIMESTEPS:
        for group in denoising.LATENT_GROUPS:
            assert abs(linear[0][timestep][group] - alone[timestep][group]) < 0.05
            assert linear[1][timestep][group] < (0.8 if timestep == 240 else 0.98) * alone[timestep][group]
    assert alone[240]["24-63"] < alone[640]["24-63"] < 1.1


def test_wiener_is_its_closed_form(monkeypatch) -> None:
    monkeypatch.setattr(denoising, "TIMESTEPS", (400,))
    generator = torch.Generator().manual_seed(0)
    x0 = torch.randn(4, 64, 4000, generator=generator)
    errors = denoising.wiener(x0, denoising.HeldOut(x0, torch.zeros(4, 64, 4000)))
    alpha2 = float(denoising.cosine_schedule()[400]) ** 2
    for error in errors[400].values():
        assert abs(error - (1 - alpha2)) < 0.02
