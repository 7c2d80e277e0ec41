"""Averaged weights against their closed form."""

import pytest
from torch import nn

from samuel.training import TrainingConfig
from samuel.training.optimization import make_ema, make_optimizer, update_ema


def test_average_is_exponential_after_its_warm_up() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = make_ema(model)
    nn.init.zeros_(average.weight)
    expected = 0.0
    for step in range(50):
        nn.init.constant_(model.weight, step)
        update_ema(average, model, step, decay=0.9)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert average.weight.item() == pytest.approx(expected, rel=1e-5)
    assert not average.weight.requires_grad


def test_only_matrices_are_decayed() -> None:
    model = nn.Sequential(nn.Conv1d(4, 4, 3), nn.GroupNorm(2, 4))
    decayed, kept = make_optimizer(model, TrainingConfig()).param_groups
    assert [tuple(one.shape) for one in decayed["params"]] == [(4, 4, 3)]
    assert len(kept["params"]) == 3
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.01, 0)


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"cond_dropout": 1.0}, {"patience": 0}])
def test_impossible_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        TrainingConfig(**wrong)


def test_values_that_are_none_change_nothing() -> None:
    assert TrainingConfig().with_values(epochs=3, seed=None) == TrainingConfig(epochs=3)
