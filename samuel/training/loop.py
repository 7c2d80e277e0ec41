"""The training loop, in plain torch: the same on a CPU, a GPU, or as one of several workers.

It begins where the run's newest checkpoint ends, and writes one with each validation. What a step
learns is a function of the run's configuration, its data and the step's number.
"""

import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from samuel.model import SamuelUNet
from samuel.precision import autocast
from samuel.storage import Location, absolute
from samuel.training import checkpoint
from samuel.training.checkpoint import Checkpoint, RunConfig, Trained
from samuel.training.data import Batches, TrainingData
from samuel.training.objective import Probe, ask, crop, draw, make_probe, part, training_loss
from samuel.training.optimization import learning_rate, make_average, make_optimizer, update_average
from samuel.training.plots import Losses
from samuel.training.results import write_results
from samuel.training.watch import STEPS_BETWEEN_LOGS, Journal, Silence, Watch
from samuel.training.workers import Workers

VALIDATIONS_BETWEEN_RESULTS = 5
"""Validations between two sets of plots and samples; there is one at the end, too."""


class TrainingError(RuntimeError):
    """Training cannot go on: says why, and what to change."""


@dataclass
class Progress:
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
        watch: Watch | None = None,
        decode: Callable[[Float[Tensor, "1 channel frame"]], Float[Tensor, "1 2 sample"]] | None = None,
        start: Trained | None = None,
        importance: Float[Tensor, " channel"] | None = None,
    ) -> None:
        """`decode`: latents of the codec to audio, for samples to listen to; without it they are only drawn.

        `start`: the weights to begin a new run with, those of `config.start`. `importance`: how much each latent
        of the codec changes the sound; None where that is not known, then all count alike.
        """
        self.config, self.training = config, config.training
        self.run, self.device = absolute(run), device
        self.workers, self.watch, self.decode = workers or Workers(), watch or Silence(), decode
        self.workers.require_shareable(self.training.batch_size)
        self.batches = Batches(data, self.training.batch_size, self.training.seed, device)
        self.total = self.training.epochs * self.batches.steps_per_epoch
        statistics = data.statistics
        if importance is not None:
            statistics = statistics.emphasized(importance, self.training.emphasis)
        self.statistics = statistics.to(device)
        self.probe = self._make_probe(data)

        torch.manual_seed(self.training.seed)
        self.model = SamuelUNet(config.model).to(device)
        if start:
            checkpoint.load_strictly(self.model, start.model.state_dict(), "the run to start from")
        self.average = make_average(self.model)
        self.optimizer = make_optimizer(self.model, self.training)
        self.progress = Progress()
        if newest := checkpoint.latest(self.run):
            self._resume(checkpoint.load(newest), newest)
        self.parallel = self.workers.wrap(self.model, device)

    def train(self, stop_at: int | None = None) -> Progress:
        """Train until the last step, `stop_at`, or early stopping. Raises TrainingError."""
        end = self.total if stop_at is None else min(stop_at, self.total)
        if self.progress.step >= end or self.progress.stopped_early:
            return self.progress
        batches = self.batches.from_step(self.progress.step, self.workers.rank, self.workers.count)
        journal = Journal(self.run) if self.workers.leads else None
        with ThreadPoolExecutor(1) as self.writer:
            self.writing: Future[None] | None = None
            began, first = time.monotonic(), self.progress.step
            losses: list[Tensor] = []
            while self.progress.step < end and not self.progress.stopped_early:
                loss, norm = self._step(*next(batches))
                losses.append(loss)
                self.progress.step += 1
                step = self.progress.step
                if step % STEPS_BETWEEN_LOGS == 0 or step % self.training.validate_every == 0 or step == end:
                    rate = (step - first) / (time.monotonic() - began)
                    self._log(losses, norm, rate, journal)
                    losses = []
                if step % self.training.validate_every == 0 or step == end:
                    self._validate(journal)
            self._wait_for_writer()
        if journal:
            journal.close()
            self._write_results()
        return self.progress

    def _step(self, vocals: Tensor, accompaniment: Tensor) -> tuple[Tensor, Tensor]:
        """One update. Returns the loss of this worker's part and the norm of the gradients."""
        config, step = self.training, self.progress.step
        shape = (config.batch_size, vocals.shape[1], config.crop_frames)
        draws = part(
            draw(shape, config.seed, step, config.dropped, self.device), self.workers.rank, self.workers.count
        )
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.total, config)
        try:
            with autocast(self.device):
                loss = training_loss(
                    self.parallel,
                    self.statistics.normalize(crop(vocals, draws.places, config.crop_frames), "vocals"),
                    self.statistics.normalize(
                        crop(accompaniment, draws.places, config.crop_frames), "accompaniment"
                    ),
                    draws,
                    config.vocal_noise,
                )
            loss.backward()
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise TrainingError(
                f"out of memory at {len(vocals)} pairs a worker; lower --batch-size (now {config.batch_size}), "
                f"or share it between more --workers"
            ) from error
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        update_average(self.average, self.model, step, config.ema_decay)
        return loss.detach(), norm

    def _log(self, losses: list[Tensor], norm: Tensor, rate: float, journal: Journal | None) -> None:
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
        if journal:
            journal.write("training", kept.step, values)
            self.watch.trained(kept.step, self.total, values)

    def _validate(self, journal: Journal | None) -> None:
        """Ask the averaged network, decide about early stopping (all workers alike), write a checkpoint."""
        kept = self.progress
        with autocast(self.device):
            answers = ask(self.average, self.probe)
        loss = float(self.workers.mean(answers.loss.mean().to(self.device)))
        kept.validation.append([kept.step, loss])
        better = loss < kept.best_loss
        if better:
            kept.best_loss, kept.best_step, kept.stale = loss, kept.step, 0
        else:
            kept.stale += 1
            kept.stopped_early = kept.stale >= self.training.patience
        if not journal:
            return
        levels = {f"x0_error_{band}": error for band, error in enumerate(answers.by_level("x0_error"))}
        journal.write("validation", kept.step, {"loss": loss, **levels})
        self.watch.validated(kept.step, {"loss": loss, "best_loss": kept.best_loss, **levels})
        if len(kept.validation) % VALIDATIONS_BETWEEN_RESULTS == 0:
            self._write_results()
        journal.store()
        moment = self._snapshot()
        self._wait_for_writer()
        self.writing = self.writer.submit(self._write, moment, better)

    def _write_results(self) -> None:
        write_results(self.run, self.average, self.probe, self.statistics, self.progress.history, self.decode)

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
            ema=_copied(self.average.state_dict()),
            statistics=self.statistics.to("cpu"),
            optimizer=_copied(self.optimizer.state_dict()),
            progress=_copied(asdict(self.progress)),
        )

    def _resume(self, found: Checkpoint, where: str) -> None:
        found.config.require_equal(self.config, self.run)
        if not found.statistics.is_close(self.statistics.to("cpu")):
            raise checkpoint.CheckpointError(
                f"{where} was begun with its codec at hand, which tells how much each latent counts; name it with --codec"
            )
        checkpoint.load_strictly(self.model, found.model, where)
        checkpoint.load_strictly(self.average, found.ema, where)
        self.optimizer.load_state_dict(found.optimizer)
        self.progress = Progress(**found.progress)

    def _make_probe(self, data: TrainingData) -> Probe:
        pairs, items = data.validation, self.training.validation_items
        chosen = sorted({index * len(pairs) // items for index in range(items)})
        return make_probe(
            self.statistics.normalize(pairs.vocals[chosen].to(self.device), "vocals"),
            self.statistics.normalize(pairs.accompaniment[chosen].to(self.device), "accompaniment"),
            [pairs.song_ids[index] for index in chosen],
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
