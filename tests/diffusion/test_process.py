"""Schedule, signs and loss against closed forms."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samuel.diffusion.loss import min_snr_weight, weighted_error
from samuel.diffusion.process import (
    add_noise,
    alpha_at,
    cosine_schedule,
    noise_from_v,
    sigma,
    velocity,
    x0_from_v,
)


def test_schedule_is_the_closed_form_and_ends_in_noise_alone() -> None:
    schedule = cosine_schedule(800)

    def f(t: float) -> float:
        return math.cos((t / 800 + 0.008) / 1.008 * math.pi / 2) ** 2

    for timestep in (0, 1, 100, 399, 798):
        assert schedule[timestep].item() ** 2 == pytest.approx(f(timestep + 1) / f(0), rel=1e-12)
    assert schedule[-1] == 0
    assert (schedule.diff() < 0).all()


def test_schedule_is_that_of_diffusers_with_zero_terminal_snr() -> None:
    from diffusers import DDIMScheduler

    theirs: Any = DDIMScheduler(800, beta_schedule="squaredcos_cap_v2", rescale_betas_zero_snr=True)
    # They clip beta first and then stretch what is left to zero: a little above at the end.
    torch.testing.assert_close(
        cosine_schedule(800).square().float(), theirs.alphas_cumprod, atol=2e-3, rtol=0
    )


def test_velocity_is_that_of_diffusers() -> None:
    from diffusers import DDPMScheduler

    theirs: Any = DDPMScheduler(800, beta_schedule="squaredcos_cap_v2")
    x0, noise = torch.randn(2, 3, 4, 10, generator=torch.Generator().manual_seed(0))
    timesteps = torch.tensor([3, 400, 790])
    alpha = theirs.alphas_cumprod[timesteps].sqrt()
    torch.testing.assert_close(add_noise(x0, noise, alpha), theirs.add_noise(x0, noise, timesteps))
    torch.testing.assert_close(velocity(x0, noise, alpha), theirs.get_velocity(x0, noise, timesteps))


@settings(deadline=None)
@given(alpha=st.floats(0, 1, width=32), seed=st.integers(0, 99))
def test_x0_and_noise_come_back_from_x_and_v(alpha: float, seed: int) -> None:
    """The authors' v has the other sign, and their sampler reads it as noise: neither comes back."""
    x0, noise = torch.randn(2, 1, 4, 10, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    level = torch.tensor([alpha], dtype=torch.float64)
    x, v = add_noise(x0, noise, level), velocity(x0, noise, level)
    torch.testing.assert_close(x0_from_v(x, v, level), x0)
    torch.testing.assert_close(noise_from_v(x, v, level), noise)


def test_velocity_at_both_ends() -> None:
    x0, noise = torch.randn(2, 1, 4, 10)
    torch.testing.assert_close(velocity(x0, noise, torch.tensor([1.0])), noise)
    torch.testing.assert_close(velocity(x0, noise, torch.tensor([0.0])), -x0)


def test_levels_keep_the_variance() -> None:
    alpha = alpha_at(cosine_schedule(), torch.arange(800))
    torch.testing.assert_close(alpha**2 + sigma(alpha) ** 2, torch.ones(800))


def test_weight_is_min_snr_and_bounded() -> None:
    alpha = cosine_schedule().float()
    snr = alpha.double() ** 2 / (1 - alpha.double() ** 2)
    expected = (snr.clamp(max=5) + 1) / (snr + 1)
    weight = min_snr_weight(alpha)
    torch.testing.assert_close(weight.double(), expected, atol=1e-6, rtol=1e-5)
    assert weight.max() == 1
    assert weight[-1] == 1, "the step that generation starts from is trained"
    assert weight[0] > 0


def test_error_is_per_sample_and_zero_at_the_target() -> None:
    target = torch.randn(3, 4, 10)
    levels = torch.tensor([0.0, 0.5, 0.99])
    assert weighted_error(target, target, levels).tolist() == [0, 0, 0]
    error = weighted_error(target + 2, target, levels)
    torch.testing.assert_close(error, 4 * min_snr_weight(levels))


def test_a_schedule_needs_two_steps() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        cosine_schedule(1)
