"""Samplers: with an oracle, against closed forms for Gaussian data, and against diffusers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from samuel.diffusion import SAMPLERS, InpaintMask, cosine_schedule, sample, seeded_noise
from samuel.diffusion.process import sigma
from samuel.diffusion.sampler import ddim, ddpm, dpm_solver, rates_from, trailing

SCHEDULE = cosine_schedule()
SHAPE = (2, 4, 24)

Denoise = Callable[[Tensor, Tensor], Tensor]


def velocity_for(x0: Tensor, x: Tensor, alpha: Tensor) -> Tensor:
    """The v at `x` whose x0 is `x0`; -x0 where there is noise alone."""
    wide = alpha[:, None, None]
    return (wide * x - x0) / sigma(alpha)[:, None, None]


def oracle(target: Tensor) -> Denoise:
    return lambda x, alpha: velocity_for(target, x, alpha)


def gaussian(mean: float, deviation: float) -> Denoise:
    """The best denoiser of independent normal data."""

    def denoise(x: Tensor, alpha: Tensor) -> Tensor:
        wide, noise = alpha[:, None, None], sigma(alpha)[:, None, None]
        gain = wide * deviation**2 / (wide**2 * deviation**2 + noise**2)
        return velocity_for(mean + gain * (x - wide * mean), x, alpha)

    return denoise


@pytest.mark.parametrize("name", sorted(SAMPLERS))
@pytest.mark.parametrize("steps", [1, 2, 10, 50, 800])
def test_an_oracle_makes_every_sampler_return_the_target(name: str, steps: int) -> None:
    target = seeded_noise(SHAPE, 1) * 3
    result = sample(oracle(target), seeded_noise(SHAPE, 2), SCHEDULE, sampler=name, steps=steps)
    torch.testing.assert_close(result, target, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "steps"), [("ddpm", 800), ("ddim", 200), ("dpm-solver", 25)])
def test_samples_of_gaussian_data_have_its_mean_and_deviation(name: str, steps: int) -> None:
    """Also with few steps: the authors' sampler reads v as noise, which only 800 ancestral steps hide."""
    result = sample(gaussian(2.0, 0.5), seeded_noise((4, 16, 256), 3), SCHEDULE, sampler=name, steps=steps)
    assert result.mean().item() == pytest.approx(2.0, abs=0.02)
    assert result.std().item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("name", "tolerance"), [("ddim", 0.05), ("dpm-solver", 0.01)])
def test_deterministic_samplers_follow_the_closed_form(name: str, tolerance: float) -> None:
    """For normal data the probability flow takes noise e to mean + deviation * e."""
    noise = seeded_noise(SHAPE, 4)
    result = sample(gaussian(1.0, 0.6), noise, SCHEDULE, sampler=name, steps=50)
    torch.testing.assert_close(result, 1.0 + 0.6 * noise, atol=tolerance * 3, rtol=0)


def test_the_second_order_needs_fewer_steps() -> None:
    noise = seeded_noise(SHAPE, 4)
    exact = 1.0 + 0.6 * noise

    def error(name: str, steps: int) -> float:
        result = sample(gaussian(1.0, 0.6), noise, SCHEDULE, sampler=name, steps=steps)
        return (result - exact).abs().max().item()

    assert error("dpm-solver", 20) < 0.1 * error("ddim", 20)


def diffusers_result(scheduler: Any, denoise: Denoise, noise: Tensor, steps: int, **step: Any) -> Tensor:
    """Run one of diffusers' schedulers with our schedule in it."""
    # As diffusers does it: it cannot divide by a alpha of zero.
    abar = SCHEDULE.square().float().clone()
    abar[-1] = 2**-24
    scheduler.alphas_cumprod = abar
    scheduler.alpha_t = abar.sqrt()
    scheduler.sigma_t = (1 - abar).sqrt()
    scheduler.set_timesteps(steps)
    x = noise
    for timestep in scheduler.timesteps:
        alpha = abar[timestep].sqrt().expand(len(x))
        x = scheduler.step(denoise(x, alpha), timestep, x, **step).prev_sample
    return x


def nonlinear(x: Tensor, alpha: Tensor) -> Tensor:
    """Some smooth function, not a good denoiser."""
    return torch.tanh(x.roll(1, dims=1)) - 0.5 * alpha[:, None, None] * x


@pytest.mark.parametrize("steps", [10, 25, 50])
def test_ddim_is_that_of_diffusers(steps: int) -> None:
    from diffusers import DDIMScheduler

    theirs = DDIMScheduler(
        800,
        prediction_type="v_prediction",
        clip_sample=False,
        timestep_spacing="trailing",
        set_alpha_to_one=True,
    )
    noise = seeded_noise(SHAPE, 5)
    expected = diffusers_result(theirs, nonlinear, noise, steps)
    torch.testing.assert_close(
        ddim(nonlinear, noise, trailing(SCHEDULE, steps)), expected, atol=2e-3, rtol=2e-3
    )


@pytest.mark.parametrize("steps", [10, 25, 50])
def test_dpm_solver_is_that_of_diffusers(steps: int) -> None:
    from diffusers import DPMSolverMultistepScheduler

    theirs = DPMSolverMultistepScheduler(
        800,
        prediction_type="v_prediction",
        algorithm_type="dpmsolver++",
        solver_order=2,
        timestep_spacing="trailing",
        final_sigmas_type="zero",
    )
    noise = seeded_noise(SHAPE, 6)
    expected = diffusers_result(theirs, nonlinear, noise, steps)
    ours = dpm_solver(nonlinear, noise, trailing(SCHEDULE, steps))
    torch.testing.assert_close(ours, expected, atol=5e-3, rtol=5e-3)


def test_ddpm_is_that_of_diffusers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Same mean and same deviation at every step: all 800, with the noise of both drawn in the same order."""
    from diffusers import DDPMScheduler
    from diffusers.schedulers import scheduling_ddpm

    theirs = DDPMScheduler(
        800,
        prediction_type="v_prediction",
        clip_sample=False,
        timestep_spacing="trailing",
        variance_type="fixed_small",
    )
    draws = torch.Generator().manual_seed(7)
    monkeypatch.setattr(
        scheduling_ddpm, "randn_tensor", lambda shape, **_: torch.randn(shape, generator=draws)
    )
    noise = seeded_noise(SHAPE, 8)
    expected = diffusers_result(theirs, nonlinear, noise, 800)
    ours = ddpm(nonlinear, noise, trailing(SCHEDULE, 800), seed=7)
    torch.testing.assert_close(ours, expected, atol=5e-3, rtol=5e-3)


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_held_frames_come_out_as_they_went_in_and_the_rest_does_not(name: str) -> None:
    known = seeded_noise(SHAPE, 9)
    frames = torch.zeros(2, 24, dtype=torch.bool)
    frames[:, :10] = True
    frames[1, 20:] = True
    result = sample(
        gaussian(5.0, 0.5),
        seeded_noise(SHAPE, 10),
        SCHEDULE,
        sampler=name,
        steps=20,
        known=InpaintMask(known, frames),
    )
    held = frames[:, None].expand_as(result)
    assert torch.equal(result[held], known[held])
    assert result[~held].mean().item() == pytest.approx(5.0, abs=0.3)


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_a_denoiser_sees_held_frames_at_the_noise_level_of_the_step(name: str) -> None:
    known = torch.full((1, 4, 4096), 3.0)
    hold = InpaintMask(known, torch.ones(1, 4096, dtype=torch.bool))

    def denoise(x: Tensor, alpha: Tensor) -> Tensor:
        assert x.mean().item() == pytest.approx(3 * alpha.item(), abs=0.05)
        assert x.std().item() == pytest.approx(sigma(alpha).item(), abs=0.05)
        return torch.zeros_like(x)

    sample(denoise, seeded_noise((1, 4, 4096), 11), SCHEDULE, sampler=name, steps=20, known=hold)


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_the_same_seed_gives_the_same_bits(name: str) -> None:
    def run(seed: int) -> Tensor:
        noise = seeded_noise(SHAPE, seed)
        return sample(gaussian(0, 1), noise, SCHEDULE, sampler=name, steps=10, seed=seed)

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_steps_start_at_noise_alone_and_are_even() -> None:
    assert trailing(SCHEDULE, 800).tolist() == SCHEDULE.flip(0).tolist()
    for steps in (1, 7, 25):
        rates = trailing(SCHEDULE, steps)
        assert rates[0] == 0
        assert len(rates) == steps
    assert trailing(SCHEDULE, 8).tolist() == [SCHEDULE[timestep].item() for timestep in range(799, 0, -100)]


@pytest.mark.parametrize("steps", [0, 801])
def test_impossible_steps_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match="1 to 800"):
        trailing(SCHEDULE, steps)


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(ValueError, match="dpm-solver"):
        sample(gaussian(0, 1), seeded_noise(SHAPE, 0), SCHEDULE, sampler="euler")


def test_a_start_stays_as_far_as_the_strength_leaves_of_it() -> None:
    """Of unit variance the best guess of v is 0: so a start stays as it is seen, and at strength 1 nothing is left of it."""
    start = torch.randn(1, 64, 32, generator=torch.Generator().manual_seed(1))
    noise = seeded_noise((1, 64, 32), 0)

    def zero(x: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)

    kept = [
        torch.nn.functional.cosine_similarity(
            sample(zero, noise, cosine_schedule(), start=start, strength=strength, steps=8).flatten(),
            start.flatten(),
            dim=0,
        )
        for strength in (0.05, 0.4, 0.8, 1.0)
    ]
    assert kept[0] > 0.98
    assert kept == sorted(kept, reverse=True)
    assert kept[3] < 0.1


def test_a_start_takes_fewer_steps() -> None:
    calls = []

    def counting(x: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        calls.append(float(alpha[0]))
        return torch.zeros_like(x)

    start = torch.zeros(1, 64, 8)
    sample(counting, seeded_noise((1, 64, 8), 0), cosine_schedule(), start=start, strength=0.5, steps=20)
    assert len(calls) == 5
    assert calls[0] == pytest.approx(float(cosine_schedule()[399]), abs=1e-6)


@pytest.mark.parametrize(
    ("strength", "steps", "left"), [(1.0, 5, 5), (0.9, 5, 2), (0.85, 2, 1), (0.01, 20, 1), (0.8, 20, 8)]
)
def test_steps_from_a_start_are_half_of_those_that_are_left(strength: float, steps: int, left: int) -> None:
    assert len(rates_from(cosine_schedule(), steps, strength)) == left
