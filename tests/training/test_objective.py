"""What a step learns from, and the questions by which a network is judged."""

import pytest
import torch
from torch import Tensor, nn

from samuel.diffusion.process import alpha_at, cosine_schedule, sigma
from samuel.training.objective import (
    NOISE_LEVELS,
    crop,
    draw_step_noise,
    evaluate,
    make_validation_set,
    shard,
    training_loss,
)

CPU = torch.device("cpu")
SHAPE = (400, 4, 8)


class Recorder(nn.Module):
    """Predicts zero and keeps what it was given."""

    def forward(self, x: Tensor, alpha: Tensor, vocals: Tensor, unconditional: Tensor) -> Tensor:
        self.given = x, alpha, vocals, unconditional
        return torch.zeros_like(x)


class Knowing(nn.Module):
    """Knows that the accompaniment is the vocals, if it gets them."""

    def forward(self, x: Tensor, alpha: Tensor, vocals: Tensor, unconditional: Tensor) -> Tensor:
        x0 = torch.where(unconditional[:, None, None], 0, vocals)
        return (alpha[:, None, None] * x - x0) / sigma(alpha)[:, None, None]


def test_a_tenth_of_the_samples_lose_their_vocals_each_on_its_own() -> None:
    """The authors decide once for a batch, and then drop nothing."""
    unconditional = torch.stack(
        [draw_step_noise(SHAPE, 0, step, 0.1, CPU).unconditional for step in range(20)]
    )
    assert unconditional.float().mean().item() == pytest.approx(0.1, abs=0.01)
    shares = unconditional.float().mean(1)
    assert shares.min() > 0.03
    assert shares.max() < 0.2


def test_what_is_dropped_reaches_the_network() -> None:
    model, draws = Recorder(), draw_step_noise(SHAPE, 0, 0, 0.5, CPU)
    vocals, accompaniment = torch.randn(2, *SHAPE)
    training_loss(model, vocals, accompaniment, draws, vocal_noise=0.0)
    x, alpha, given, unconditional = model.given
    assert torch.equal(unconditional, draws.unconditional)
    assert torch.equal(given, vocals)
    assert torch.equal(alpha, draws.alpha)
    expected = alpha[:, None, None] * accompaniment + sigma(alpha)[:, None, None] * draws.noise
    torch.testing.assert_close(x, expected)


def test_noise_on_the_vocals_has_its_deviation() -> None:
    model, draws = Recorder(), draw_step_noise(SHAPE, 0, 0, 0.5, CPU)
    vocals, accompaniment = torch.randn(2, *SHAPE)
    training_loss(model, vocals, accompaniment, draws, vocal_noise=0.3)
    assert (model.given[2] - vocals).std().item() == pytest.approx(0.3, rel=0.05)


def test_a_network_that_knows_has_no_loss() -> None:
    draws = draw_step_noise(SHAPE, 0, 0, 0.0, CPU)
    x0 = torch.randn(SHAPE)
    assert training_loss(Knowing(), x0, x0, draws, 0.0).item() == pytest.approx(0, abs=1e-6)
    assert training_loss(Recorder(), x0, x0, draws, 0.0).item() == pytest.approx(1, abs=0.3)


def test_draws_are_a_function_of_seed_and_step() -> None:
    first = draw_step_noise(SHAPE, 1, 2, 0.1, CPU)
    assert torch.equal(first.noise, draw_step_noise(SHAPE, 1, 2, 0.1, CPU).noise)
    assert not torch.equal(first.noise, draw_step_noise(SHAPE, 1, 3, 0.1, CPU).noise)
    assert not torch.equal(first.noise, draw_step_noise(SHAPE, 2, 2, 0.1, CPU).noise)
    assert first.noise.mean().abs() < 0.05
    assert not torch.equal(first.noise, first.vocal_noise)


def test_crops_reach_every_frame_and_keep_stems_aligned() -> None:
    pairs = torch.arange(20.0).expand(400, 4, 20)
    crop_offsets = draw_step_noise(SHAPE, 0, 0, 0.1, CPU).crop_offsets
    vocals, accompaniment = crop(pairs, crop_offsets, 8), crop(pairs, crop_offsets, 8)
    assert torch.equal(vocals, accompaniment)
    starts = vocals[:, 0, 0]
    assert set(starts.tolist()) == set(range(13))
    assert torch.equal(vocals, starts[:, None, None] + torch.arange(8.0).expand(400, 4, 8))
    assert torch.equal(crop(pairs, crop_offsets, 20), pairs)


def test_timesteps_are_even_over_the_schedule() -> None:
    alpha = draw_step_noise((20_000, 1, 1), 0, 0, 0.1, CPU).alpha
    schedule = alpha_at(cosine_schedule(), torch.arange(800))
    below = (alpha[:, None] < schedule[[200, 400, 600]]).float().mean(0)
    torch.testing.assert_close(below, torch.tensor([0.75, 0.5, 0.25]), atol=0.02, rtol=0)


def test_workers_draw_parts_of_the_same() -> None:
    whole = draw_step_noise(SHAPE, 1, 2, 0.1, CPU)
    halves = [shard(whole, rank, 2) for rank in range(2)]
    assert torch.equal(torch.cat([half.noise for half in halves]), whole.noise)
    assert torch.equal(torch.cat([half.unconditional for half in halves]), whole.unconditional)


def test_probe_is_fixed_and_spans_all_noise_levels() -> None:
    vocals, accompaniment = torch.randn(2, 3, 4, 8)
    probes = [make_validation_set(vocals, accompaniment, ["a", "b", "c"], 25) for _ in range(2)]
    assert torch.equal(probes[0].noise, probes[1].noise)
    assert torch.equal(probes[0].conditions, probes[1].conditions)
    assert len(probes[0]) == 30
    bands = probes[0].timesteps // (800 // NOISE_LEVELS)
    assert bands.tolist() == sorted([*range(NOISE_LEVELS)] * 3)


def test_probe_gives_vocals_of_another_song() -> None:
    song_ids = ["a", "a", "b", "b", "b"]
    names = torch.arange(5.0)[:, None, None].expand(5, 4, 8)
    validation_set = make_validation_set(names, names, song_ids, 20)
    for own, other in zip(
        validation_set.conditions[:, 0, 0].int(), validation_set.mismatched[:, 0, 0].int(), strict=True
    ):
        assert song_ids[own] != song_ids[other]


def test_one_song_alone_is_shifted_against_itself() -> None:
    vocals = torch.arange(8.0).expand(2, 4, 8)
    validation_set = make_validation_set(vocals, vocals, ["a", "a"], 10)
    assert validation_set.mismatched[0, 0].tolist() == [4, 5, 6, 7, 0, 1, 2, 3]


def test_answers_tell_right_vocals_from_others() -> None:
    latents = torch.randn(6, 4, 64)
    validation_set = make_validation_set(latents, latents, list("abcdef"), 40)
    right, other, unconditional = (
        evaluate(Knowing(), validation_set, vocals) for vocals in ("matched", "mismatched", "unconditional")
    )
    assert max(right.by_level("x0_error")) < 1e-6
    assert float(right.loss.max()) < 1e-6
    assert min(other.by_level("x0_error")) == pytest.approx(2, abs=0.4)
    assert min(unconditional.by_level("x0_error")) == pytest.approx(1, abs=0.3)
    assert right.by_level("x0_deviation") == pytest.approx([1] * 10, abs=0.1)


def test_an_average_vocal_guess_does_not_look_good_in_x0() -> None:
    """v = 2 sqrt(abar (1 - abar)) x_t needs no vocals; by its error of v it nearly looks like the authors' network."""

    class Formula(nn.Module):
        def forward(self, x: Tensor, alpha: Tensor, vocals: Tensor, unconditional: Tensor) -> Tensor:
            return (2 * alpha * sigma(alpha))[:, None, None] * x

    latents = torch.randn(6, 4, 64)
    validation_set = make_validation_set(latents, latents, list("abcdef"), 40)
    metrics = {vocals: evaluate(Formula(), validation_set, vocals) for vocals in ("matched", "mismatched")}
    assert metrics["matched"].by_level("x0_error") == metrics["mismatched"].by_level("x0_error")
    assert metrics["matched"].by_level("x0_error")[-1] > 0.8
