"""Training in plain torch: data, objective, loop, checkpoints. Who starts it (jobs/train.py) brings the workers."""

from samuel.training.checkpoint import Trained, load_for_generation
from samuel.training.config import TrainingConfig
from samuel.training.statistics import Statistics

__all__ = ["Statistics", "Trained", "TrainingConfig", "load_for_generation"]
