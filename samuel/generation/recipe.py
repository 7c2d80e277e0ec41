"""What a user chooses for one accompaniment."""

from dataclasses import dataclass
from typing import NamedTuple

from samuel.diffusion import Guidance


class Quality(NamedTuple):
    """A sampler of `samuel.diffusion.SAMPLERS` and its steps."""

    sampler: str
    steps: int


QUALITIES = {
    "draft": Quality("dpm-solver", 8),
    "standard": Quality("dpm-solver", 20),
    "best": Quality("dpm-solver", 50),
}
MOST_STEPS = 800
MOST_GUIDANCE = 20.0


@dataclass(frozen=True)
class Recipe:
    """The same recipe and vocals give the same accompaniment. Raises ValueError for values out of range."""

    quality: str = "standard"
    """draft, standard or best."""
    seed: int = 0
    """Another seed plays another accompaniment."""
    guidance: float | None = None
    """How much more to follow the vocals than the network does by itself; 1: not more. None: the default."""
    steps: int | None = None
    """In place of the quality's number of steps."""

    def __post_init__(self) -> None:
        if self.quality not in QUALITIES:
            raise ValueError(f"expected a quality of {', '.join(QUALITIES)}; got {self.quality!r}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"expected a seed from 0 to 2**63 - 1, got {self.seed}")
        if self.guidance is not None and not 0 <= self.guidance <= MOST_GUIDANCE:
            raise ValueError(f"expected a guidance from 0 to {MOST_GUIDANCE:g}, got {self.guidance:g}")
        if self.steps is not None and not 1 <= self.steps <= MOST_STEPS:
            raise ValueError(f"expected 1 to {MOST_STEPS} steps, got {self.steps}")

    @property
    def sampling(self) -> tuple[str, int, float]:
        """Sampler, steps and guidance scale: tasks that share them can be denoised together."""
        sampler, steps = QUALITIES[self.quality]
        guidance = Guidance().scale if self.guidance is None else self.guidance
        return sampler, self.steps or steps, guidance
