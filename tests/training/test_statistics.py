"""Emphasis: important channels are wider once normalized, and errors there count more."""

import pytest
import torch

from samuel.training import Statistics

GENERATOR = torch.Generator().manual_seed(0)
IMPORTANCE = torch.rand(64, generator=GENERATOR) + 0.01
LATENTS = 3 * torch.randn(2, 64, 4096, generator=GENERATOR) + 1


def plain() -> Statistics:
    rows = torch.stack((LATENTS.mean(dim=(0, 2)), LATENTS.std(dim=(0, 2))))
    return Statistics(rows, rows.clone())


@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_the_accompaniments_channels_vary_by_their_importance(exponent: float) -> None:
    weighted = plain().weighted(IMPORTANCE, exponent)
    variance = weighted.normalize(LATENTS, "accompaniment").var(dim=(0, 2))
    torch.testing.assert_close(variance.mean(), torch.tensor(1.0), rtol=1e-3, atol=0)
    torch.testing.assert_close(
        variance / variance[0], (IMPORTANCE / IMPORTANCE[0]) ** exponent, rtol=1e-3, atol=0
    )


def test_latents_come_back_and_vocals_stay_as_they_are() -> None:
    weighted = plain().weighted(IMPORTANCE, 1.0)
    normalized = weighted.normalize(LATENTS, "accompaniment")
    torch.testing.assert_close(weighted.denormalize(normalized, "accompaniment"), LATENTS)
    assert torch.equal(weighted.normalize(LATENTS, "vocals"), plain().normalize(LATENTS, "vocals"))


def test_no_exponent_is_no_emphasis() -> None:
    assert plain().weighted(IMPORTANCE, 0.0).is_close(plain())
    assert not plain().weighted(IMPORTANCE, 0.5).is_close(plain())
