"""The paper's network: a noisy accompaniment and the vocals in, the velocity v out."""

from samuel.model.config import ModelConfig
from samuel.model.unet import SamuelUNet

__all__ = ["ModelConfig", "SamuelUNet"]
