"""Vocals in, accompaniment out, of any length: `Generator` does it whole, or window by window."""

from samuel.generation.generator import PRETRAINED, Generator, WindowTask
from samuel.generation.recipe import QUALITIES, Recipe
from samuel.generation.windows import Window, plan_windows

__all__ = ["PRETRAINED", "QUALITIES", "Generator", "Recipe", "Window", "WindowTask", "plan_windows"]
