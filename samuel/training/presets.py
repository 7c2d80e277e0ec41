"""The named settings of network and training.

`band` plays lead sheets and arrangements, and is wide where the frames are: what the package ships. `paper` has the
paper's shape and hears the vocals alone. `tiny` is for tests.
"""

from dataclasses import dataclass

from samuel.model import ModelConfig
from samuel.model.conditions import CONDITION_CHANNELS
from samuel.training import TrainingConfig


@dataclass(frozen=True)
class Preset:
    model: ModelConfig
    training: TrainingConfig


PRESETS = {
    "paper": Preset(ModelConfig(), TrainingConfig()),
    "band": Preset(
        ModelConfig(
            channels=(256, 256, 320, 320),
            time_channels=320,
            condition_channels=CONDITION_CHANNELS,
            preconditioned=True,
        ),
        TrainingConfig(batch_size=12, crop_frames=256, learning_rate=1e-3, validate_every=250),
    ),
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
