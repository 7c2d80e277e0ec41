"""How a network is trained."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from samuel.config import CHUNK_FRAMES


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
    dropped: float = 0.1
    """Share of the samples whose vocals are replaced by the learned null."""
    emphasis: float = 0.5
    """Variance of the normalized accompaniment's channels: their importance to the codec's sound to this power."""
    vocal_noise: float = 0.1
    """Standard deviation of the noise on normalized vocals in training (SingSong hides separation artefacts so)."""
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
        if not 0 <= self.dropped < 1:
            raise ValueError(f"expected dropped in [0, 1), got {self.dropped}")

    def with_values(self, **values: Any) -> "TrainingConfig":
        """A copy with those of `values` that are not None."""
        return dataclasses.replace(self, **{key: value for key, value in values.items() if value is not None})
