"""A student goes in one step where its teacher arrives in several, and is sampled as it was made."""

import dataclasses
from pathlib import Path

import pytest
import torch

from samuel.codec import load_codec
from samuel.diffusion.process import add_noise, alpha_at, cosine_schedule, sigma, velocity, velocity_between
from samuel.diffusion.sampler import InpaintMask, student_rates
from samuel.generation import GenerationConfig, Generator
from samuel.training import checkpoint as checkpoints
from samuel.training.checkpoint import RunConfig, Trained
from samuel.training.config import Student
from samuel.training.data import TrainingData, load_training_data
from samuel.training.distillation import Distillation
from samuel.training.loop import Trainer
from samuel.training.presets import PRESETS
from tests.generation.generators import STATISTICS, Echo, network
from tests.training.popdbs import make_popdb

CPU = torch.device("cpu")
TINY = PRESETS["tiny"]
STUDENT = Student(steps=5, teacher="0123456789ab")
BOLD = Student(steps=2, teacher="0123456789ab")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return load_training_data(make_popdb(tmp_path_factory.mktemp("popdb")))


@pytest.fixture(scope="module")
def teacher(data: TrainingData) -> Trained:
    """Untrained; what a student learns is where it goes, not whether that is music."""
    config = RunConfig("tiny", TINY.model, TINY.training, data.identity.codec, data.fingerprint)
    model = network()
    torch.nn.init.normal_(model.output.weight, std=1.0)  # its path is bent
    return Trained(model, data.statistics, config)


@pytest.fixture(scope="module")
def whole(data: TrainingData, teacher: Trained, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """A student's run that never stopped."""
    return student_run(data, teacher, tmp_path_factory.mktemp("runs") / "whole")


def student_run(data: TrainingData, teacher: Trained, run: Path, stop_at: int | None = None) -> Trainer:
    training = dataclasses.replace(
        TINY.training,
        epochs=8,
        batch_size=2,
        crop_frames=64,
        validate_every=24,
        learning_rate=3e-4,
        warmup_steps=2,
    )
    config = RunConfig(
        "tiny", TINY.model, training, data.identity.codec, data.fingerprint, "start", student=BOLD
    )
    made = Trainer(config, data, run, CPU, start=teacher, distillation=Distillation(BOLD, teacher.model, CPU))
    made.train(stop_at)
    return made


def test_a_step_between_two_points_of_a_straight_path_has_its_velocity() -> None:
    x0, noise = torch.randn(2, 3, 64, 8)
    alpha, following = torch.tensor([0.0, 0.3, 0.8]), torch.tensor([0.5, 0.6, 1.0])
    found = velocity_between(add_noise(x0, noise, alpha), add_noise(x0, noise, following), alpha, following)
    torch.testing.assert_close(found, velocity(x0, noise, alpha), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("timestep", "goal"), [(799, 639), (640, 639), (639, 479), (160, 159), (159, -1), (0, -1)]
)
def test_a_step_ends_at_the_next_level_below(timestep: int, goal: int) -> None:
    distillation = Distillation(STUDENT, network(), CPU)
    assert distillation.goal(torch.tensor([float(timestep)])).tolist() == [goal]


@pytest.mark.parametrize(("strength", "steps"), [(1.0, 5), (0.8, 4), (0.7, 4), (0.2, 1), (0.01, 1)])
def test_generation_takes_the_levels_that_were_learnt(strength: float, steps: int) -> None:
    rates = student_rates(cosine_schedule(), 5, strength)
    assert len(rates) == steps
    distillation = Distillation(STUDENT, network(), CPU)
    schedule = cosine_schedule().tolist()
    timesteps = [schedule.index(float(rate)) for rate in rates]
    for timestep, following in zip(timesteps, [*timesteps[1:], -1], strict=True):
        assert distillation.goal(torch.tensor([float(timestep)])).tolist() == [following]


@pytest.mark.parametrize("timesteps", [(799, 500), (90, 3)])
def test_a_teacher_that_knows_the_answer_gives_its_velocity_and_holds_what_is_held(
    timesteps: tuple[int, int],
) -> None:
    x0, other, noise = torch.randn(3, 2, 64, 32)
    alpha = alpha_at(cosine_schedule(), torch.tensor(timesteps))
    conditions = STATISTICS.normalize(STATISTICS.denormalize(x0, "accompaniment"), "vocals")
    distillation = Distillation(STUDENT, network(Echo), CPU)
    held = torch.zeros(2, 32, dtype=torch.bool)
    held[1, :16] = True
    start = torch.where(held[:, None], other, x0)
    found = distillation.target(
        add_noise(start, noise, alpha),
        torch.tensor(timesteps).float(),
        conditions,
        torch.zeros(2, dtype=torch.bool),
        InpaintMask(start, held),
    )
    torch.testing.assert_close(found, velocity(start, noise, alpha), atol=2e-3, rtol=1e-2)
    assert sigma(alpha).min() > 0


def test_a_student_comes_nearer_to_its_teacher(teacher: Trained, whole: Trainer) -> None:
    assert whole.validation_set is not None
    distillation = Distillation(BOLD, teacher.model, CPU)
    before, after = (
        float(distillation.evaluate(model, whole.validation_set).loss.mean())
        for model in (teacher.model, whole.model)
    )
    assert after < 0.9 * before


def test_a_stopped_student_goes_on_to_the_same_weights(
    data: TrainingData, teacher: Trained, whole: Trainer, tmp_path: Path
) -> None:
    student_run(data, teacher, tmp_path, stop_at=13)
    parts = student_run(data, teacher, tmp_path)
    kept = checkpoints.load(checkpoints.latest(tmp_path) or "")
    assert kept.config.student == BOLD
    for (name, weight), other in zip(
        whole.model.state_dict().items(), parts.model.state_dict().values(), strict=True
    ):
        assert torch.equal(weight, other), name


def test_a_student_takes_its_own_steps_and_no_guidance() -> None:
    codec = load_codec("mini")
    config = RunConfig(
        "tiny",
        TINY.model,
        TINY.training,
        codec.identity,
        "fingerprint",
        student=Student(5, "t", guidance=4.0),
    )
    calls = 0

    class Counting(Echo):
        def denoise(self, x: torch.Tensor, alpha: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
            nonlocal calls
            calls += 1
            return super().denoise(x, alpha, context)

    generator = Generator(Trained(network(Counting), STATISTICS, config), codec)
    vocals = 0.1 * torch.randn(2, 6 * 44_100)
    told: list[float] = []
    generator.accompany(vocals, GenerationConfig("best"), progress=told.append)
    assert calls == 5
    assert told == sorted(told)
    assert told[-1] == 1
    calls = 0
    generator.accompany(vocals, GenerationConfig(strength=0.8), arrangement=vocals)
    assert calls == 4
    with pytest.raises(ValueError, match=r"distilled with a guidance of 4 .* got 2"):
        generator.accompany(vocals, GenerationConfig(guidance=2.0))
    with pytest.raises(ValueError, match="distilled to 5 steps, got 50"):
        generator.accompany(vocals, GenerationConfig(steps=50))


def test_a_checkpoint_of_before_is_no_student(teacher: Trained) -> None:
    text = teacher.config.to_json().replace('"student": null', '"student_of_nobody": null')
    with pytest.raises(checkpoints.CheckpointError, match="student_of_nobody"):
        RunConfig.from_json(text, "there")
    lines = [line for line in teacher.config.to_json().splitlines() if '"student"' not in line]
    old = RunConfig.from_json("\n".join(lines).replace(",\n}", "\n}"), "there")
    assert old.student is None
