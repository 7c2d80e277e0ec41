"""What a network learns, in short runs on one POPDB: does it fit a few pairs, which setting learns more.

Each run is one of `samuel.training.loop`, in a folder of its own, and goes on where it was stopped. Errors are
those of x0, normalized, on fixed questions: 1 is what the mean accompaniment would get.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from tabulate import tabulate

from samuel.codec import codec_at_hand
from samuel.model.precision import autocast
from samuel.storage import Location, as_path
from samuel.training.callbacks import TrainingCallback
from samuel.training.checkpoint import RunConfig
from samuel.training.data import TrainingData
from samuel.training.loop import Trainer
from samuel.training.objective import ValidationMetrics, evaluate
from samuel.training.presets import Preset
from samuel.training.results import level_rows

FEW = 8
"""Pairs that a network must be able to overfit."""

ARMS: dict[str, dict[str, Any]] = {
    "mixing: prose, vocal noise 0.1": {},
    "mixing: equation": {"mixing": "equation"},
    "vocal noise 0": {"vocal_noise": 0.0},
    "vocal noise 0.3": {"vocal_noise": 0.3},
}
"""Settings that differ from the preset, by name: one thing at a time. The first is the preset itself."""


@dataclass(frozen=True)
class Learned:
    """A short run's end: metrics with the right vocals, another song's, and none."""

    name: str
    steps: int
    metrics: dict[str, ValidationMetrics]


def run_all(
    preset: Preset,
    name: str,
    data: TrainingData,
    out: Location,
    steps: int,
    overfit_steps: int,
    device: torch.device,
    callback: TrainingCallback,
) -> Iterator[Learned]:
    """Overfit a few pairs, then each of `ARMS` in `steps` steps with the same noise and batches."""
    few = few_pairs(data)
    overfit = {"vocal_noise": 0.0, "ema_decay": 0.99}  # an average over the last steps, as the run is short
    yield _run(preset, name, f"{FEW} pairs by heart", overfit, few, out, overfit_steps, device, callback)
    for arm, changes in ARMS.items():
        yield _run(preset, name, arm, changes, data, out, steps, device, callback)


def few_pairs(data: TrainingData) -> TrainingData:
    """The first `FEW` training pairs, which are the questions, too. Raises ValueError where there are fewer."""
    if data.training is None or len(data.training) < FEW:
        raise ValueError(
            f"expected at least {FEW} training pairs that fit in memory, got {data.training_pairs}"
        )
    pairs = data.training
    first = dataclasses.replace(
        pairs,
        song_ids=pairs.song_ids[:FEW],
        vocals=pairs.vocals[:FEW],
        accompaniment=pairs.accompaniment[:FEW],
    )
    return dataclasses.replace(data, training=first, validation=first, shard_sizes=(FEW,))


def _run(
    preset: Preset,
    preset_name: str,
    name: str,
    changes: dict[str, Any],
    data: TrainingData,
    out: Location,
    steps: int,
    device: torch.device,
    callback: TrainingCallback,
) -> Learned:
    changes = dict(changes)
    model = dataclasses.replace(preset.model, mixing=changes.pop("mixing", preset.model.mixing))
    pairs = max(1, data.training_pairs // preset.training.batch_size)
    training = preset.training.with_values(**changes, epochs=-(-steps // pairs))
    config = RunConfig(
        preset_name, model, training, data.identity.codec, data.fingerprint, vocals=data.identity.vocals
    )
    codec = codec_at_hand(data.identity.codec)
    perceptual_weight = codec.perceptual_weight if codec else None
    folder = as_path(out) / name.replace(":", "").replace(",", "").replace(" ", "-")
    trainer = Trainer(
        config, data, str(folder), device, callback=callback, perceptual_weight=perceptual_weight
    )
    if trainer.validation_set is None:
        raise ValueError(
            f"the POPDB at {data.root} has no songs in split 'validation' to evaluate on; add songs"
        )
    progress = trainer.train(steps)
    with autocast(device):
        metrics = {
            vocals: evaluate(trainer.ema, trainer.validation_set, vocals)
            for vocals in ("matched", "mismatched", "unconditional")
        }
    return Learned(name, progress.step, metrics)


def table(learned: list[Learned]) -> str:
    """Markdown: one row a run, errors over all noise levels; then by level for the first two."""
    rows = [
        [
            one.name,
            one.steps,
            *(
                float(one.metrics[vocals].x0_error.mean())
                for vocals in ("matched", "mismatched", "unconditional")
            ),
        ]
        for one in learned
    ]
    header = ["run", "steps", "right vocals", "another song's", "none"]
    text = tabulate(rows, header, tablefmt="pipe", floatfmt=("", ".0f", ".4f", ".4f", ".4f")) + "\n"
    for one in learned[:2]:
        levels = [row[:4] for row in level_rows(one.metrics)]
        text += f"\n{one.name}, by noise level:\n\n"
        text += tabulate(levels, ["timestep from", *header[2:]], tablefmt="pipe", floatfmt=".4f") + "\n"
    return text
