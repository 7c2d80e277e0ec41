"""The named settings: network and training together. `paper` is the real one, `tiny` is for tests."""

from dataclasses import dataclass

from samuel.model import ModelConfig


@dataclass(frozen=True)
class Preset:
    model: ModelConfig


PRESETS = {
    "paper": Preset(model=ModelConfig()),
    "tiny": Preset(
        model=ModelConfig(
            channels=(16, 16, 32, 32),
            heads=2,
            head_channels=8,
            time_channels=32,
            bottleneck_blocks=1,
            groups=4,
        )
    ),
}
