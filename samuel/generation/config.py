"""What a user chooses for one accompaniment, and for its mix."""

from dataclasses import dataclass
from typing import NamedTuple

from samuel.audio.loudness import check_levels


class SamplerPreset(NamedTuple):
    """A sampler of `samuel.diffusion.SAMPLERS` and its steps."""

    sampler: str
    steps: int


QUALITIES = {
    "draft": SamplerPreset("dpm-solver", 2),
    "standard": SamplerPreset("dpm-solver", 5),
    "best": SamplerPreset("dpm-solver", 20),
}
"""From noise alone: of 5 steps the default strength leaves 2. What each gives is in the package's checkpoint's card."""
MOST_STEPS = 800
MOST_GUIDANCE = 20.0


@dataclass(frozen=True)
class GenerationConfig:
    """The same config and vocals give the same accompaniment. Raises ValueError for values out of range."""

    quality: str = "standard"
    """draft, standard or best."""
    seed: int = 0
    """Another seed plays another accompaniment."""
    guidance: float | None = None
    """How much more to follow what is given than the network does by itself; 1: not more. None: the network's default."""
    steps: int | None = None
    """In place of the quality's number of steps."""
    strength: float = 0.7
    """Of the network over the arrangement it starts from: 0 leaves the arrangement as it is, 1 starts from noise alone.
    Without an arrangement it is 1."""

    def __post_init__(self) -> None:
        if self.quality not in QUALITIES:
            raise ValueError(f"expected a quality of {', '.join(QUALITIES)}; got {self.quality!r}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"expected a seed from 0 to 2**63 - 1, got {self.seed}")
        if self.guidance is not None and not 0 <= self.guidance <= MOST_GUIDANCE:
            raise ValueError(f"expected a guidance from 0 to {MOST_GUIDANCE:g}, got {self.guidance:g}")
        if self.steps is not None and not 1 <= self.steps <= MOST_STEPS:
            raise ValueError(f"expected 1 to {MOST_STEPS} steps, got {self.steps}")
        if not 0 <= self.strength <= 1:
            raise ValueError(f"expected a strength from 0 to 1, got {self.strength:g}")

    @property
    def sampling(self) -> tuple[str, int, float | None, float]:
        """Sampler, steps, guidance scale and strength: tasks that share them can be denoised together."""
        sampler, steps = QUALITIES[self.quality]
        return sampler, self.steps or steps, self.guidance, self.strength


@dataclass(frozen=True)
class Mixdown:
    """Of voice and band. Raises ValueError for levels out of range."""

    balance_db: float = 0.0
    lufs: float = -14.0

    def __post_init__(self) -> None:
        check_levels({"balance": self.balance_db, "loudness": self.lufs})
