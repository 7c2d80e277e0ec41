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


@pytest.mark.parametrize(("reach", "batch"), [(0, 1), (1, 1), (1, 3), (2, 2)])
def test_a_product_is_its_convolution(reach: int, batch: int) -> None:
    torch.manual_seed(0)
    convolution = torch.nn.Conv1d(5, 7, 2 * reach + 1, padding=reach)
    x = torch.randn(batch, 5, 11)
    assert precision.is_product(convolution)
    torch.testing.assert_close(precision.Product(convolution)(x), convolution(x))


@pytest.mark.parametrize(
    "other",
    [
        torch.nn.Conv1d(4, 4, 3, padding=1, stride=2),
        torch.nn.Conv1d(4, 4, 3, padding=2, dilation=2),
        torch.nn.Conv1d(4, 4, 3, padding=1, groups=4),
        torch.nn.Conv1d(4, 4, 3),
        torch.nn.Conv1d(4, 4, 3, padding=1, padding_mode="replicate"),
        torch.nn.Conv1d(4, 4, 3, padding=1, bias=False),
        torch.nn.ConvTranspose1d(4, 4, 4, stride=2, padding=1),
    ],
)
def test_what_is_no_product_of_one_matrix_stays_as_it_is(other: torch.nn.Module) -> None:
    assert not precision.is_product(other)
