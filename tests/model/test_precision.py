"""Weights kept as products take them."""

import copy

import pytest
import torch

from samuel.model import SamuelUNet, precision
from tests.generation.generators import network


def velocity(model: SamuelUNet) -> torch.Tensor:
    chance = torch.Generator().manual_seed(0)
    x, vocals = torch.randn(2, 1, model.config.latent_channels, 64, generator=chance)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        return model(x, torch.tensor([0.3]), vocals)


@pytest.mark.parametrize("has", [True, False])
def test_they_are_smaller_where_a_cpu_has_bfloat16_and_compute_the_same(
    has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: has)
    before = network()
    after = copy.deepcopy(before)
    precision.keep_as_multiplied(after)
    size = [sum(one.nbytes for one in model.parameters()) for model in (before, after)]
    assert size[1] < 0.55 * size[0] if has else size[1] == size[0]
    torch.testing.assert_close(velocity(after), velocity(before), rtol=1e-3, atol=1e-3)
