"""Vocals in, accompaniment out, of any length: `Generator` does it whole, or window by window."""

from samuel.generation.config import QUALITIES, GenerationConfig, Mixdown
from samuel.generation.direction import Directed, Direction, Director
from samuel.generation.generator import PRETRAINED, Generator
from samuel.generation.regions import Region
from samuel.generation.schedule import PIECE_FRAMES, Material, Schedule, WindowTask, pieces
from samuel.generation.windows import Window, plan_windows

__all__ = [
    "PIECE_FRAMES",
    "PRETRAINED",
    "QUALITIES",
    "Directed",
    "Direction",
    "Director",
    "GenerationConfig",
    "Generator",
    "Material",
    "Mixdown",
    "Region",
    "Schedule",
    "Window",
    "WindowTask",
    "pieces",
    "plan_windows",
]
