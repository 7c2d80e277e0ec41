"""The loop on a CPU: it learns, resumes as if it had never stopped, stops when it should."""

import csv
import dataclasses
import json
from pathlib import Path

import pytest
import torch

from samuel.model.precision import autocast
from samuel.storage import exists
from samuel.training import TrainingConfig, load_for_generation
from samuel.training import checkpoint as checkpoints
from samuel.training.checkpoint import CheckpointError, RunConfig
from samuel.training.data import TrainingData, load_training_data
from samuel.training.loop import Trainer, TrainingError, TrainingProgress
from samuel.training.objective import ValidationMetrics, ValidationSet, evaluate, make_validation_set
from samuel.training.presets import PRESETS
from samuel.training.workers import Workers
from tests.training.popdbs import make_popdb

CPU = torch.device("cpu")
TINY = PRESETS["tiny"]
SHORT = dataclasses.replace(TINY.training, epochs=4, batch_size=2, validate_every=5)
"""Three songs of two pairs: 12 steps."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return load_training_data(make_popdb(tmp_path_factory.mktemp("popdb")))


def trainer(
    data: TrainingData, run: Path | str, training: TrainingConfig = SHORT, **values: object
) -> Trainer:
    config = RunConfig("tiny", TINY.model, training, data.identity.codec, data.fingerprint)
    return Trainer(config, data, run, CPU, **values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingProgress]:
    """A run that never stopped."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    return run, trainer(data, run).train()


def weights(run: Path | str) -> dict[str, torch.Tensor]:
    newest = checkpoints.latest(run)
    assert newest is not None
    found = checkpoints.load(newest)
    return {**found.model, **{f"ema.{key}": value for key, value in found.ema.items()}}


def test_it_learns_two_pairs_and_needs_their_vocals(tmp_path: Path) -> None:
    data = load_training_data(make_popdb(tmp_path / "popdb", train=2, validation=1, pairs=1))
    training = dataclasses.replace(
        TINY.training, epochs=100, learning_rate=5e-3, vocal_noise=0.0, validate_every=100
    )
    one = trainer(data, tmp_path / "run", training)
    one.train()
    assert data.training is not None
    stems = (
        data.statistics.normalize(data.training.vocals, "vocals"),
        data.statistics.normalize(data.training.accompaniment, "accompaniment"),
    )
    validation_set = make_validation_set(*stems, data.training.song_ids, 20)
    errors = {
        vocals: evaluate(one.ema, validation_set, vocals).x0_error.mean().item()
        for vocals in ("matched", "mismatched", "unconditional")
    }
    assert errors["matched"] < 0.25
    assert errors["mismatched"] > 1.5 * errors["matched"]
    assert errors["unconditional"] > 1.2 * errors["matched"]


def test_without_songs_to_validate_on_it_trains_to_the_end_and_the_newest_is_the_best(tmp_path: Path) -> None:
    data = load_training_data(make_popdb(tmp_path / "popdb", validation=0))
    assert data.validation is None
    run = tmp_path / "run"
    impatient = dataclasses.replace(SHORT, patience=1)
    stopped = trainer(data, run, impatient).train(stop_at=5)
    assert (stopped.step, stopped.stopped_early) == (5, False)
    progress = trainer(data, run, impatient).train()
    assert (progress.step, progress.best_step, progress.stopped_early) == (12, 12, False)
    assert checkpoints.best_of(run).endswith("step-00000012")
    assert load_for_generation(run).model is not None
    assert (run / "curves.png").exists()
    assert not (run / "noise_levels.png").exists()


def test_a_run_that_knew_its_codec_is_not_resumed_without_it(data: TrainingData, tmp_path: Path) -> None:
    perceptual_weight = torch.linspace(2, 0.5, 64)
    one = trainer(data, tmp_path, perceptual_weight=perceptual_weight)
    one.train(stop_at=2)
    deviations = one.statistics.accompaniment[1] / data.statistics.accompaniment[1]
    assert deviations[0] < deviations[-1]
    trainer(data, tmp_path, perceptual_weight=perceptual_weight)
    with pytest.raises(CheckpointError, match="--codec"):
        trainer(data, tmp_path)


@pytest.mark.parametrize("stop", [5, 7])  # where it validates, and between
def test_resuming_is_never_stopping(
    data: TrainingData, whole: tuple[Path, TrainingProgress], tmp_path: Path, stop: int
) -> None:
    run, expected = whole
    trainer(data, tmp_path).train(stop_at=stop)
    progress = trainer(data, tmp_path).train()
    assert [step for step, _ in progress.training] == [step for step, _ in expected.training]
    for (_, loss), (_, same) in zip(progress.training, expected.training, strict=True):
        assert loss == pytest.approx(same, rel=1e-6)  # a mean over steps, summed in two parts
    assert progress.validation == expected.validation
    mine, theirs = weights(tmp_path), weights(run)
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)


def test_losses_are_those_of_each_step_not_of_the_run_before(whole: tuple[Path, TrainingProgress]) -> None:
    _, progress = whole
    assert [step for step, _ in progress.training] == [10]
    assert [step for step, _ in progress.validation] == [5, 10, 12]
    assert progress.step == 12


def test_streamed_and_kept_pairs_train(tmp_path: Path) -> None:
    root = make_popdb(tmp_path / "popdb")
    progress = trainer(load_training_data(root, memory_bytes=0), tmp_path / "run").train()
    assert progress.step == 12


def test_a_finished_run_trains_nothing_more(data: TrainingData, whole: tuple[Path, TrainingProgress]) -> None:
    run, expected = whole
    before = {file: file.stat().st_mtime_ns for file in run.rglob("*") if file.is_file()}
    assert trainer(data, run).train() == expected
    assert {file: file.stat().st_mtime_ns for file in run.rglob("*") if file.is_file()} == before


def test_other_settings_under_an_old_name_are_refused(
    data: TrainingData, whole: tuple[Path, TrainingProgress]
) -> None:
    run, _ = whole
    with pytest.raises(CheckpointError, match=r"training\.learning_rate: 0\.002 there, 0\.1 asked for"):
        trainer(data, run, dataclasses.replace(SHORT, learning_rate=0.1))


def test_other_data_under_an_old_name_is_refused(
    tmp_path: Path, whole: tuple[Path, TrainingProgress]
) -> None:
    run, _ = whole
    other = load_training_data(make_popdb(tmp_path, seed=5))
    with pytest.raises(CheckpointError, match=r"data: "):
        trainer(other, run)


def test_a_run_can_begin_with_the_weights_of_another(
    data: TrainingData, whole: tuple[Path, TrainingProgress], tmp_path: Path
) -> None:
    run, progress = whole
    start = load_for_generation(run)
    config = RunConfig(
        "tiny",
        TINY.model,
        dataclasses.replace(SHORT, crop_frames=64, learning_rate=0.0),
        data.identity.codec,
        data.fingerprint,
        start.fingerprint,
    )
    begun = Trainer(config, data, tmp_path, CPU, start=start).train(5)
    assert begun.best_loss == pytest.approx(progress.best_loss)  # nothing was learned on top
    with pytest.raises(CheckpointError, match=r"start: "):
        Trainer(dataclasses.replace(config, start=""), data, tmp_path, CPU)


def test_validation_uses_the_averaged_weights(
    data: TrainingData, whole: tuple[Path, TrainingProgress]
) -> None:
    run, progress = whole
    one = trainer(data, run)
    with autocast(one.device):
        averaged, raw = (
            float(evaluate(model, one.validation_set).loss.mean()) for model in (one.ema, one.model)
        )
    assert progress.validation[-1][1] == pytest.approx(averaged)
    assert progress.validation[-1][1] != pytest.approx(raw)


def test_it_stops_early_at_the_patience_and_keeps_the_best(data: TrainingData, tmp_path: Path) -> None:
    """With a learning rate of zero the first validation stays the best."""
    training = dataclasses.replace(SHORT, epochs=100, learning_rate=0.0, validate_every=1, patience=3)
    progress = trainer(data, tmp_path, training).train()
    assert progress.stopped_early
    assert (progress.step, progress.best_step) == (4, 1)
    name = json.loads((tmp_path / "best.json").read_text())["checkpoint"]
    assert name == f"step-{progress.best_step:08d}"
    assert exists(tmp_path / "checkpoints" / name / "config.json")
    again = trainer(data, tmp_path, training).train()
    assert again.step == progress.step


def test_a_loss_that_is_not_finite_stops_the_run(data: TrainingData, tmp_path: Path) -> None:
    one = trainer(data, tmp_path, dataclasses.replace(SHORT, gradient_clip=1e9))
    with torch.no_grad():
        one.model.stem.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="lower --learning-rate"):
        one.train()
    assert checkpoints.latest(tmp_path) is None


def within(model: torch.nn.Module, most: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let a network take `most` pairs at a time; the list is told how many it was asked for."""
    forward, asked = model.forward, []

    def limited(x: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        asked.append(len(x))
        if len(x) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(x, *more)

    monkeypatch.setattr(model, "forward", limited)
    return asked


def gradients(one: Trainer, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """Of one step, clipped, as the optimizer is given them: all in one vector."""
    found: list[torch.Tensor] = []
    step = one.optimizer.step

    def seen() -> None:
        found.extend(p.grad.flatten().clone() for p in one.model.parameters() if p.grad is not None)
        step()

    monkeypatch.setattr(one.optimizer, "step", seen)
    one.train(one.progress.step + 1)
    return torch.cat(found)


@pytest.mark.parametrize("accumulate", [2, 3])  # 3 parts of 4 pairs are 2: as even as they go
def test_a_batch_in_parts_learns_the_same(
    data: TrainingData, tmp_path: Path, accumulate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = dataclasses.replace(SHORT, batch_size=4)
    whole = trainer(data, tmp_path / "whole", training)
    parts = trainer(data, tmp_path / "parts", training, accumulate=accumulate)
    expected = gradients(whole, monkeypatch)
    asked = within(parts.model, 2, monkeypatch)
    assert (gradients(parts, monkeypatch) - expected).norm() < 1e-2 * expected.norm()
    assert asked == [2, 2]
    assert parts.progress.loss_sum == pytest.approx(whole.progress.loss_sum, rel=1e-5)


def test_where_memory_runs_out_a_batch_is_taken_in_parts_from_then_on(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = dataclasses.replace(SHORT, batch_size=4, validate_every=100)
    one = trainer(data, tmp_path / "parts", training)
    with monkeypatch.context() as limited:
        asked = within(one.model, 1, limited)
        one.train(2)
    assert asked == [4, 2, 1, 1, 1, 1, 1, 1, 1, 1]
    whole = trainer(data, tmp_path / "whole", training)
    whole.train(2)
    again = trainer(data, tmp_path / "parts", training)  # on a machine that has the memory
    expected = gradients(whole, monkeypatch)
    assert (gradients(again, monkeypatch) - expected).norm() < 1e-2 * expected.norm()


@pytest.mark.parametrize(
    ("workers", "says"), [(Workers(), "smaller --crop-frames"), (Workers(0, 2), "--accumulate 2")]
)
def test_out_of_memory_says_what_to_ask_for(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: Workers, says: str
) -> None:
    monkeypatch.setattr(Workers, "wrap", lambda self, model, device: model)
    one = trainer(data, tmp_path, dataclasses.replace(SHORT, batch_size=4), workers=workers)
    within(one.model, 0, monkeypatch)
    with pytest.raises(TrainingError, match=says):
        one.train()


def test_what_is_plotted_is_what_validation_found(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counted(model: torch.nn.Module, validation_set: ValidationSet, vocals: str) -> ValidationMetrics:
        asked.append(vocals)
        return evaluate(model, validation_set, vocals)

    monkeypatch.setattr("samuel.training.loop.evaluate", counted)
    trainer(data, tmp_path, dataclasses.replace(SHORT, validate_every=12)).train()
    assert asked == ["matched", "mismatched", "unconditional"]


def test_a_batch_that_workers_cannot_share_is_refused(data: TrainingData, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 workers can share, got 2"):
        trainer(data, tmp_path, workers=Workers(0, 3))


def test_a_run_leaves_curves_levels_samples_and_events(whole: tuple[Path, TrainingProgress]) -> None:
    run, progress = whole
    for picture in ("curves.png", "noise_levels.png", "sample.png"):
        assert (run / picture).read_bytes().startswith(b"\x89PNG")
    curves = list(csv.DictReader((run / "curves.csv").open()))
    assert [float(row["loss"]) for row in curves if row["kind"] == "validation"] == [
        loss for _, loss in progress.validation
    ]
    levels = list(csv.DictReader((run / "noise_levels.csv").open()))
    assert [int(row["first_timestep"]) for row in levels] == list(range(0, 800, 80))
    assert all(float(row["matched"]) > 0 for row in levels)

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    logged = [(event.step, event.value) for event in events.Scalars("validation/loss")]
    assert logged == [(step, pytest.approx(loss)) for step, loss in progress.validation]
    assert {"training/loss", "training/steps_per_second", "training/learning_rate"} <= set(
        events.Tags()["scalars"]
    )


def test_samples_are_decoded_where_there_is_a_codec(data: TrainingData, tmp_path: Path) -> None:
    import soundfile

    def decode(latents: torch.Tensor) -> torch.Tensor:
        assert latents.shape == (1, 64, 1024)
        return torch.full((1, 2, 100), 0.25)

    trainer(data, tmp_path, decode=decode).train(stop_at=5)
    audio, rate = soundfile.read(tmp_path / "sample.wav")
    assert rate == 44_100
    assert audio == pytest.approx(0.5, abs=1e-3)


def test_a_callback_sees_steps_and_validations(data: TrainingData, tmp_path: Path) -> None:
    class Notes:
        def __init__(self) -> None:
            self.steps: list[int] = []
            self.losses: list[float] = []

        def trained(self, step: int, total: int, values: dict[str, float]) -> None:
            assert total == 12
            assert values["steps_per_second"] > 0
            self.steps.append(step)

        def validated(self, step: int, values: dict[str, float]) -> None:
            self.losses.append(values["loss"])

    notes = Notes()
    progress = trainer(data, tmp_path, callback=notes).train()
    assert notes.steps == [5, 10, 12]
    assert notes.losses == [loss for _, loss in progress.validation]


def test_what_is_loaded_for_generation_predicts_what_training_validated(
    data: TrainingData, whole: tuple[Path, TrainingProgress]
) -> None:
    run, progress = whole
    trained = load_for_generation(run)
    validation_set = trainer(data, run).validation_set
    with autocast(torch.device("cpu")):
        loss = float(evaluate(trained.model, validation_set).loss.mean())
    assert loss == pytest.approx(progress.best_loss)
    assert trained.codec == data.identity.codec
