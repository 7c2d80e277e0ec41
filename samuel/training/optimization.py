"""The optimizer, and the averaging of weights."""

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from samuel.training.config import TrainingConfig

Model = TypeVar("Model", bound=nn.Module)


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW; biases, norms and the null are not decayed."""
    parameters = list(model.parameters())
    return torch.optim.AdamW(
        [
            {"params": [one for one in parameters if one.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        fused=True,
    )


def make_ema(model: Model) -> Model:
    """A copy for the moving average, never trained."""
    return copy.deepcopy(model).eval().requires_grad_(False)


@torch.no_grad()
def update_ema(average: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    """Exponential moving average; in the first steps it forgets faster, so that short runs have one too."""
    warm = min(decay, (1 + step) / (10 + step))
    get_ema_multi_avg_fn(warm)(list(average.parameters()), list(model.parameters()), torch.tensor(step))
