"""The named settings of network and training. `paper` is the real one, `tiny` is for tests."""

from dataclasses import dataclass

from samuel.model import ModelConfig
from samuel.training import TrainingConfig


@dataclass(frozen=True)
class Preset:
    model: ModelConfig
    training: TrainingConfig


PRESETS = {
    "paper": Preset(ModelConfig(), TrainingConfig()),
    "tiny": Preset(
        ModelConfig(
            channels=(16, 16, 32, 32),
            heads=2,
            head_channels=8,
            time_channels=32,
            bottleneck_blocks=1,
            groups=4,
        ),
        TrainingConfig(
            batch_size=4,
            epochs=20,
            learning_rate=2e-3,
            warmup_steps=5,
            validate_every=10,
            validation_items=10,
        ),
    ),
}


def preset_named(name: str) -> Preset:
    """Raises ValueError for a name that is not there."""
    if name not in PRESETS:
        raise ValueError(f"expected a preset of {sorted(PRESETS)}, got {name!r}")
    return PRESETS[name]
