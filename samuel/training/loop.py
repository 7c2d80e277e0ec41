"""The training loop, in plain torch: the same on a CPU, a GPU, or as one of several workers.

It begins where the run's newest checkpoint ends, and writes one with each validation. What a step
learns is a function of the run's configuration, its data and the step's number.
"""

import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from samuel.learning_rate import warmup_cosine
from samuel.model import SamuelUNet
from samuel.model.precision import autocast
from samuel.storage import Location, absolute
from samuel.training import checkpoint
from samuel.training.adversarial import Adversary
from samuel.training.callbacks import STEPS_BETWEEN_LOGS, NullCallback, TensorBoardLogger, TrainingCallback
from samuel.training.checkpoint import Checkpoint, RunConfig, Trained
from samuel.training.data import Batches, PairSet, TrainingData
from samuel.training.distillation import Distillation
from samuel.training.objective import (
    StepNoise,
    ValidationMetrics,
    ValidationSet,
    crop,
    draw_step_noise,
    evaluate,
    make_validation_set,
    shard,
    training_loss,
)
from samuel.training.optimization import make_ema, make_optimizer, update_ema
from samuel.training.plots import Losses
from samuel.training.results import write_results
from samuel.training.workers import Workers

log = logging.getLogger(__name__)

VALIDATIONS_BETWEEN_RESULTS = 5
"""Validations between two sets of plots and samples; there is one at the end, too."""


class TrainingError(ValueError):
    """Training cannot go on: says why, and what to change."""


@dataclass
class TrainingProgress:
    """What a run keeps beside its weights; JSON in its checkpoints."""

    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    stale: int = 0
    """Validations since the best."""
    stopped_early: bool = False
    loss_sum: float = 0.0
    """Of the steps since the last entry of `training`."""
    loss_steps: int = 0
    training: Losses = field(default_factory=list)
    """(step, mean loss of the steps before it) every STEPS_BETWEEN_LOGS steps."""
    validation: Losses = field(default_factory=list)
    """(step, loss) of each validation."""

    @property
    def history(self) -> dict[str, Losses]:
        return {"training": self.training, "validation": self.validation}


class Trainer:
    """One worker of one run."""

    def __init__(
        self,
        config: RunConfig,
        data: TrainingData,
        run: Location,
        device: torch.device,
        workers: Workers | None = None,
        callback: TrainingCallback | None = None,
        decode: Callable[[Float[Tensor, "1 channel frame"]], Float[Tensor, "1 2 sample"]] | None = None,
        start: Trained | None = None,
        perceptual_weight: Float[Tensor, " channel"] | None = None,
        accumulate: int = 1,
        distillation: Distillation | None = None,
    ) -> None:
        """`decode`: latents of the codec to audio, for samples to listen to; without it they are only drawn.

        `start`: the weights to begin a new run with, those of `config.start`. `perceptual_weight`: how much each latent
        of the codec changes the sound; None where that is not known, then all count alike.
        `accumulate`: in how many parts a worker takes its batch, one after the other, to save memory: what is learned
        stays the same. A worker alone takes more by itself where memory runs out. `distillation`: learn
        from a teacher, that of `config.student`, whose statistics these are.
        """
        self.config, self.training = config, config.training
        self.run, self.device = absolute(run), device
        self.workers, self.callback, self.decode = workers or Workers(), callback or NullCallback(), decode
        self.workers.require_shareable(self.training.batch_size)
        self.accumulate = accumulate
        self.batches = Batches(data, self.training.batch_size, self.training.seed, device)
        self.total = self.training.epochs * self.batches.steps_per_epoch
        statistics = data.statistics
        if perceptual_weight is not None:
            statistics = statistics.weighted(perceptual_weight, self.training.latent_weighting)
        if distillation:  # a student lives in its teacher's latents
            assert start
            statistics = start.statistics
        self.statistics = statistics.to(device)
        self.evaluate = distillation.evaluate if distillation else evaluate
        self.validation_set = self._make_validation_set(data)

        torch.manual_seed(self.training.seed)
        self.model = SamuelUNet(config.model).to(device)
        if config.model.preconditioned:
            self.model.deviation.copy_(data.statistics.accompaniment[1] / statistics.accompaniment[1])
        if start:
            checkpoint.load_strictly(self.model, start.model.state_dict(), "the run to start from")
        self.adversary = (
            Adversary(
                self.training.adversarial,
                config.model.latent_channels,
                config.model.condition_channels,
                device,
                self.workers,
            )
            if self.training.adversarial
            else None
        )
        alternative = distillation or self.adversary
        self.objective = alternative.loss if alternative else training_loss
        self.ema = make_ema(self.model)
        self.optimizer = make_optimizer(self.model, self.training)
        self.progress = TrainingProgress()
        self.validated: tuple[int, ValidationMetrics] | None = None
        """The last validation: its step and its metrics."""
        if newest := checkpoint.latest(self.run):
            self._resume(checkpoint.load(newest), newest)
        self.parallel = self.workers.wrap(self.model, device)

    def train(self, stop_at: int | None = None) -> TrainingProgress:
        """Train until the last step, `stop_at`, or early stopping. Raises TrainingError."""
        end = self.total if stop_at is None else min(stop_at, self.total)
        if self.progress.step >= end or self.progress.stopped_early:
            return self.progress
        batches = self.batches.from_step(self.progress.step, self.workers.rank, self.workers.count)
        logger = TensorBoardLogger(self.run) if self.workers.leads else None
        with ThreadPoolExecutor(1) as self.writer:
            self.writing: Future[None] | None = None
            began, first = time.monotonic(), self.progress.step
            losses: list[Tensor] = []
            while self.progress.step < end and not self.progress.stopped_early:
                loss, norm = self._step(next(batches))
                losses.append(loss)
                self.progress.step += 1
                step = self.progress.step
                if step % STEPS_BETWEEN_LOGS == 0 or step % self.training.validate_every == 0 or step == end:
                    rate = (step - first) / (time.monotonic() - began)
                    self._log(losses, norm, rate, logger)
                    losses = []
                if step % self.training.validate_every == 0 or step == self.total:
                    self._validate(logger)
                elif (
                    step == end and logger
                ):  # asked to stop here: nothing that a run that went on would not have seen
                    self._keep(logger, better=self.progress.best_step == 0)
            self._wait_for_writer()
        if logger:
            logger.close()
            self._write_results()
        return self.progress

    def _step(self, pairs: PairSet) -> tuple[Tensor, Tensor]:
        """One update. Returns the loss of this worker's part and the norm of the gradients."""
        config, step = self.training, self.progress.step
        shape = (config.batch_size, pairs.accompaniment.shape[1], config.crop_frames)
        draws = shard(
            draw_step_noise(shape, config.seed, step, config.cond_dropout, self.device),
            self.workers.rank,
            self.workers.count,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * warmup_cosine(step, self.total, config.warmup_steps)

        def cropped(latents: Tensor) -> Tensor:
            return crop(latents, draws.crop_offsets, config.crop_frames)

        conditions = self.statistics.conditions(
            cropped(pairs.vocals), None if pairs.guides is None else cropped(pairs.guides)
        )
        accompaniment = self.statistics.normalize(cropped(pairs.accompaniment), "accompaniment")
        while (loss := self._accumulate_gradients(conditions, accompaniment, draws)) is None:
            self.accumulate *= 2
            self.optimizer.zero_grad(set_to_none=True)
            if self.adversary:
                self.adversary.optimizer.zero_grad(set_to_none=True)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            log.warning("memory ran out: each batch is taken in %d parts from now on", self.accumulate)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.adversary:
            self.adversary.update()
        update_ema(self.ema, self.model, step, config.ema_decay)
        return loss, norm

    def _accumulate_gradients(
        self, conditions: Tensor, accompaniment: Tensor, draws: StepNoise
    ) -> Float[Tensor, ""] | None:
        """The mean loss of the batch, its gradients added up over `accumulate` parts.

        None where memory ran out and smaller parts may help. Raises TrainingError where they cannot, and where other
        workers take part: they are in step with this one.
        """
        size = len(accompaniment)
        starts = range(0, size, -(-size // self.accumulate))
        total = torch.zeros((), device=self.device)
        try:
            for start in starts:
                own = slice(start, start + starts.step)
                last = start == starts[-1]
                with (
                    autocast(self.device),
                    nullcontext() if last else self.workers.unsynchronized(self.parallel),
                ):
                    loss = self.objective(
                        self.parallel,
                        conditions[own],
                        accompaniment[own],
                        draws.at(own),
                        self.training.vocal_noise,
                    )
                    loss = loss * (len(accompaniment[own]) / size)
                    loss.backward()
                total += loss.detach()
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if starts.step > 1 and self.workers.count == 1:
                return None
            parts = (
                f"--accumulate {2 * self.accumulate}, or a smaller --batch-size"
                if starts.step > 1
                else "a smaller --crop-frames"
            )
            raise TrainingError(f"out of memory at {starts.step} pairs at a time; ask for {parts}") from error
        return total

    def _log(self, losses: list[Tensor], norm: Tensor, rate: float, logger: TensorBoardLogger | None) -> None:
        kept = self.progress
        kept.loss_sum += self.workers.mean(torch.stack(losses).sum()).item()
        kept.loss_steps += len(losses)
        mean = kept.loss_sum / kept.loss_steps
        if not math.isfinite(mean):
            raise TrainingError(
                f"the loss is {mean} after step {kept.step}; lower --learning-rate (now {self.training.learning_rate}). "
                f"The last checkpoint is from before"
            )
        if kept.step % STEPS_BETWEEN_LOGS == 0:
            kept.training.append([kept.step, mean])
            kept.loss_sum, kept.loss_steps = 0.0, 0
        values = {
            "loss": mean,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "gradient_norm": norm.item(),
            "steps_per_second": rate,
        }
        if self.adversary:
            values["told_apart"] = self.adversary.told_apart
        if logger:
            logger.write("training", kept.step, values)
            self.callback.trained(kept.step, self.total, values)

    def _validate(self, logger: TensorBoardLogger | None) -> None:
        """Ask the averaged network, decide about early stopping (all workers alike), write a checkpoint.

        Without songs to validate on there is no stopping early, and the newest checkpoint counts as the best.
        """
        kept = self.progress
        if self.validation_set is None:
            kept.best_step = kept.step
            if logger:
                self._keep(logger, better=True)
            return
        metrics = self._evaluate("matched")
        self.validated = kept.step, metrics
        loss = float(self.workers.mean(metrics.loss.mean().to(self.device)))
        kept.validation.append([kept.step, loss])
        better = loss < kept.best_loss or self.adversary is not None  # whose bands have a greater error
        if better:
            kept.best_loss, kept.best_step, kept.stale = loss, kept.step, 0
        else:
            kept.stale += 1
            kept.stopped_early = kept.stale >= self.training.patience
        if not logger:
            return
        levels = {f"x0_error_{band}": error for band, error in enumerate(metrics.by_level("x0_error"))}
        logger.write("validation", kept.step, {"loss": loss, **levels})
        self.callback.validated(kept.step, {"loss": loss, "best_loss": kept.best_loss, **levels})
        if len(kept.validation) % VALIDATIONS_BETWEEN_RESULTS == 0:
            self._write_results()
        self._keep(logger, better)

    def _keep(self, logger: TensorBoardLogger, better: bool) -> None:
        """Write a checkpoint, beside the training."""
        logger.store()
        moment = self._snapshot()
        self._wait_for_writer()
        self.writing = self.writer.submit(self._write, moment, better)

    def _evaluate(self, vocals: str) -> ValidationMetrics:
        assert self.validation_set
        with autocast(self.device):
            return self.evaluate(self.ema, self.validation_set, vocals)

    def _write_results(self) -> None:
        """Of this step; where it was validated, of the very metrics by which it was."""
        metrics = {}
        if self.validation_set:
            step, right = self.validated or (None, None)
            if step != self.progress.step or right is None:
                right = self._evaluate("matched")
            metrics = {"matched": right} | {
                vocals: self._evaluate(vocals) for vocals in ("mismatched", "unconditional")
            }
        write_results(
            self.run,
            self.ema,
            self.validation_set,
            metrics,
            self.statistics,
            self.progress.history,
            self.decode,
        )

    def _write(self, moment: Checkpoint, better: bool) -> None:
        checkpoint.save(self.run, moment, best=better)
        checkpoint.prune(self.run)

    def _wait_for_writer(self) -> None:
        if self.writing:
            self.writing.result()

    def _snapshot(self) -> Checkpoint:
        """Copies: training goes on while they are written."""
        return Checkpoint(
            config=self.config,
            model=_copied(self.model.state_dict()),
            ema=_copied(self.ema.state_dict()),
            statistics=self.statistics.to("cpu"),
            optimizer=_copied(self.optimizer.state_dict()),
            adversary=_copied(self.adversary.state_dict()) if self.adversary else {},
            progress=_copied(asdict(self.progress)),
        )

    def _resume(self, found: Checkpoint, where: str) -> None:
        found.config.require_equal(self.config, self.run)
        if not found.statistics.is_close(self.statistics.to("cpu")):
            raise checkpoint.CheckpointError(
                f"{where} was begun with its codec at hand, which tells how much each latent counts; name it with --codec"
            )
        checkpoint.load_strictly(self.model, found.model, where)
        checkpoint.load_strictly(self.ema, found.ema, where)
        self.optimizer.load_state_dict(found.optimizer)
        if self.adversary:
            self.adversary.load_state_dict(found.adversary)
        self.progress = TrainingProgress(**found.progress)

    def _make_validation_set(self, data: TrainingData) -> ValidationSet | None:
        pairs, items = data.validation, self.training.validation_items
        if pairs is None:
            return None
        chosen = sorted({index * len(pairs) // items for index in range(items)})
        held_out = pairs.chosen(torch.tensor(chosen)).to(self.device)
        return make_validation_set(
            self.statistics.conditions(held_out.vocals, held_out.guides),
            self.statistics.normalize(held_out.accompaniment, "accompaniment"),
            held_out.song_ids,
            items,
        )


def is_out_of_memory(error: BaseException) -> bool:
    """On a GPU it has its own type; on a CPU only its words tell."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _copied(state: Any) -> Any:
    """A deep copy on the CPU."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [_copied(value) for value in state]
    return state
