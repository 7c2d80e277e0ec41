"""The diffusion: process, loss, guidance and samplers. Knows no network."""

from samuel.diffusion.guidance import Guidance, guided
from samuel.diffusion.process import cosine_schedule
from samuel.diffusion.sampler import SAMPLERS, InpaintMask, sample, seeded_noise

__all__ = ["SAMPLERS", "Guidance", "InpaintMask", "cosine_schedule", "guided", "sample", "seeded_noise"]
