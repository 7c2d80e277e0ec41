"""How a network is trained."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from samuel.config import CHUNK_FRAMES

MOST_STUDENT_STEPS = 50
DEFAULT_STUDENT_STEPS = 5


@dataclass(frozen=True)
class Student:
    """How a distilled network was made, and so is to be sampled: see `samuel.training.distillation`."""

    steps: int
    """From noise alone; from an arrangement, those below its noise level."""
    teacher: str
    """Fingerprint of its weights."""
    guidance: float = 1.0
    """Of the teacher: the student follows so by itself."""

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MOST_STUDENT_STEPS:
            raise ValueError(f"expected 1 to {MOST_STUDENT_STEPS} steps of a student, got {self.steps}")
        if self.guidance < 0:
            raise ValueError(f"expected a guidance of the teacher of 0 or more, got {self.guidance}")


@dataclass(frozen=True)
class TrainingConfig:
    """Section V of the paper, and what it leaves open. A step is one batch over all workers."""

    batch_size: int = 16
    crop_frames: int = CHUNK_FRAMES
    """Frames of each pair that a step sees, at random places; fewer for more steps in the same time."""
    epochs: int = 100
    learning_rate: float = 3.5e-4
    warmup_steps: int = 200
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    """Largest norm of all gradients together."""
    ema_decay: float = 0.999
    cond_dropout: float = 0.1
    """Share of the samples whose vocals are replaced by the learned null."""
    latent_weighting: float = 0.5
    """Variance of the normalized accompaniment's channels: their importance to the codec's sound to this power."""
    vocal_noise: float = 0.1
    """Standard deviation of the noise on normalized vocals in training (SingSong hides separation artefacts so)."""
    adversarial: float = 0.0
    """How hard a critic pulls at the guess, beside the error of v: see `samuel.training.adversarial`. 0: there is none."""
    validate_every: int = 1000
    """Steps between validations; each writes a checkpoint."""
    validation_items: int = 128
    patience: int = 20
    """Validations without a better loss, until training stops early."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "validate_every", "validation_items", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1, got {getattr(self, name)}")
        if not 1 <= self.crop_frames <= CHUNK_FRAMES:
            raise ValueError(f"expected crop_frames of 1 to {CHUNK_FRAMES}, got {self.crop_frames}")
        if self.adversarial < 0:
            raise ValueError(f"expected adversarial of 0 or more, got {self.adversarial}")
        if not 0 <= self.cond_dropout < 1:
            raise ValueError(f"expected cond_dropout in [0, 1), got {self.cond_dropout}")

    def with_values(self, **values: Any) -> "TrainingConfig":
        """A copy with those of `values` that are not None."""
        return dataclasses.replace(self, **{key: value for key, value in values.items() if value is not None})
