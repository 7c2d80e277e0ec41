"""A critic tells guesses from bands, pulls at them, and is part of what a run keeps."""

import dataclasses
from pathlib import Path

import pytest
import torch

from samuel.diffusion.process import add_noise, cosine_schedule, sigma
from samuel.model.conditions import ARRANGEMENT, ARRANGEMENT_KNOWN, CONDITION_CHANNELS
from samuel.training import checkpoint as checkpoints
from samuel.training.adversarial import BEGUN, GONE_ON, Adversary
from samuel.training.checkpoint import RunConfig
from samuel.training.data import TrainingData, load_training_data
from samuel.training.loop import Trainer
from samuel.training.objective import StepNoise, draw_step_noise
from samuel.training.presets import PRESETS
from samuel.training.workers import Workers
from tests.generation.generators import network
from tests.training.popdbs import make_popdb

CPU = torch.device("cpu")
TINY = PRESETS["tiny"]
CHANNELS = TINY.model.condition_channels


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return load_training_data(make_popdb(tmp_path_factory.mktemp("popdb")))


def run(data: TrainingData, out: Path, stop_at: int | None = None) -> Trainer:
    training = dataclasses.replace(
        TINY.training, epochs=8, batch_size=2, crop_frames=64, validate_every=6, adversarial=1.0, patience=1
    )
    config = RunConfig("tiny", TINY.model, training, data.identity.codec, data.fingerprint)
    made = Trainer(config, data, out, CPU)
    made.train(stop_at)
    return made


def question() -> tuple[torch.Tensor, torch.Tensor, StepNoise]:
    """Conditions, a band, and the draws of a step."""
    torch.manual_seed(0)
    conditions, band = torch.randn(4, CHANNELS, 64), torch.randn(4, 64, 64)
    return conditions, band, draw_step_noise(tuple(band.shape), 0, 0, 0.1, CPU)


def adversary(weight: float = 1.0) -> Adversary:
    torch.manual_seed(0)
    return Adversary(weight, 64, CHANNELS, CPU, Workers())


def test_a_critic_learns_to_tell_a_haze_from_a_band() -> None:
    model, against = network().requires_grad_(True), adversary()
    for step in range(40):
        torch.manual_seed(step)
        conditions, band = torch.randn(4, CHANNELS, 64), torch.randn(4, 64, 64)
        draws = draw_step_noise(tuple(band.shape), 0, step, 0.1, CPU)
        draws = dataclasses.replace(
            draws, alpha=torch.full((4,), 0.05)
        )  # of which a network can guess the mean at best
        against.loss(model, conditions, band, draws, 0.1)
        against.update()
    assert against.told_apart > 0.9


def test_a_critic_pulls_at_the_network_as_hard_as_it_is_told() -> None:
    model = network().requires_grad_(True)
    torch.nn.init.normal_(model.output.weight, std=0.1)
    pulls = []
    for weight in (1e-9, 1.0, 2.0):
        model.zero_grad()
        adversary(weight).loss(model, *question(), 0.1).backward()
        pulls.append(model.output.weight.grad.clone())
    torch.testing.assert_close(pulls[2] - pulls[0], 2 * (pulls[1] - pulls[0]), rtol=1e-3, atol=1e-6)
    assert (pulls[1] - pulls[0]).norm() > 0.1 * pulls[0].norm()


def test_what_pulls_at_the_network_teaches_the_critic_nothing() -> None:
    """Its own gradients come from its own loss alone; else it would learn to be fooled."""
    model, against = network().requires_grad_(True), adversary()
    loss = against.loss(model, *question(), 0.1)
    before = {name: one.grad.clone() for name, one in against.critic.named_parameters()}
    loss.backward()
    for name, parameter in against.critic.named_parameters():
        assert torch.equal(parameter.grad, before[name]), name


def as_a_sampler(chance: float, known: float = 1.0) -> tuple[torch.Tensor, StepNoise, list]:
    """Conditions with an arrangement, the draws of a step, and [x, level, what is told] of each forward of a network
    that guesses silence."""
    torch.manual_seed(0)
    conditions, band = torch.randn(2, CONDITION_CHANNELS, 64), torch.randn(2, 64, 64)
    conditions[:, ARRANGEMENT_KNOWN] = known
    draws = draw_step_noise(tuple(band.shape), 0, 0, 0.0, CPU)
    draws = dataclasses.replace(draws, chances=torch.full((2, 2), chance))
    asked = []

    class OfSilence(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(
            self, x: torch.Tensor, alpha: torch.Tensor, given: torch.Tensor, _: torch.Tensor
        ) -> torch.Tensor:
            asked.append((x, alpha, given))
            return self.scale * x * (alpha / sigma(alpha))[:, None, None]

    model = OfSilence()
    against = Adversary(1.0, 64, CONDITION_CHANNELS, CPU, Workers())
    against.loss(model, conditions, band, draws, 0.0).backward()
    assert (model.scale.grad is not None and model.scale.grad != 0) == (
        chance >= BEGUN + GONE_ON or known == 0
    )
    return conditions, draws, asked


def test_a_critic_judges_what_begins_from_an_arrangement() -> None:
    """Under the noise of the upper half of levels. With nothing of bands beside it, it has no weight."""
    conditions, draws, [(x, alpha, _)] = as_a_sampler(chance=GONE_ON + BEGUN / 2)
    assert (alpha <= float(cosine_schedule()[400])).all()
    torch.testing.assert_close(x, add_noise(conditions[:, ARRANGEMENT], draws.noise, alpha))


def test_a_critic_judges_what_goes_on_from_a_guess() -> None:
    """Of silence, here: what is left of the noise that the first question had."""
    _, _, [(x, alpha, _), (further, lower, _)] = as_a_sampler(chance=GONE_ON / 2)
    assert (lower > alpha).all()
    noise = x / sigma(alpha)[:, None, None]
    torch.testing.assert_close(further, sigma(lower)[:, None, None] * noise, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("chance", "known"), [(BEGUN + GONE_ON, 1.0), (0.0, 0.0)])
def test_bands_are_asked_for_otherwise(chance: float, known: float) -> None:
    """Elsewhere, and where no arrangement is known."""
    _, draws, [(_, alpha, _)] = as_a_sampler(chance, known)
    torch.testing.assert_close(alpha, draws.alpha)


def test_a_run_that_was_stopped_goes_on_with_its_critic(data: TrainingData, tmp_path: Path) -> None:
    whole = run(data, tmp_path / "whole")
    run(data, tmp_path / "stopped", stop_at=6)
    resumed = run(data, tmp_path / "stopped")
    for one, other in ((resumed.ema, whole.ema), (resumed.adversary.critic, whole.adversary.critic)):
        for name, weight in one.state_dict().items():
            torch.testing.assert_close(weight, other.state_dict()[name], msg=name)
    without = adversary().critic.state_dict()
    assert not torch.equal(without["stem.weight"], resumed.adversary.critic.stem.weight)


def test_the_newest_is_the_best_and_a_growing_error_stops_nothing(data: TrainingData, tmp_path: Path) -> None:
    trained = run(data, tmp_path / "run")
    assert trained.progress.step == trained.total
    assert not trained.progress.stopped_early
    assert checkpoints.best_of(tmp_path / "run").endswith(f"step-{trained.total:08d}")
