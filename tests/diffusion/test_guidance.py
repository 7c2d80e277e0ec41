"""Classifier-free guidance: its limits, its cost, rescale and interval."""

import pytest
import torch
from torch import Tensor, nn

from samuel.diffusion import Guidance, cosine_schedule, guided, sample, seeded_noise
from samuel.diffusion.guidance import rescaled
from samuel.model import SamuelUNet
from samuel.training.presets import PRESETS

SHAPE = (2, 64, 40)


class Counting:
    """A network that counts its forwards and the samples in each."""

    def __init__(self, model: SamuelUNet):
        self.model = model
        self.batches: list[int] = []
        self.encode_conditions = model.encode_conditions

    def denoise(self, x: Tensor, alpha: Tensor, context: list[Tensor]) -> Tensor:
        self.batches.append(len(x))
        return self.model.denoise(x, alpha, context)


@pytest.fixture(scope="module")
def model() -> SamuelUNet:
    torch.manual_seed(0)
    model = SamuelUNet(PRESETS["tiny"].model)
    nn.init.normal_(model.output.weight, std=0.1)
    return model.eval().requires_grad_(False)


X, VOCALS = seeded_noise((2, *SHAPE), 0)
LEVEL = torch.tensor([0.5, 0.5])


def test_scale_1_is_no_guidance(model: SamuelUNet) -> None:
    torch.testing.assert_close(guided(model, VOCALS, Guidance(scale=1.0))(X, LEVEL), model(X, LEVEL, VOCALS))


def test_guidance_is_the_formula_with_the_learned_null(model: SamuelUNet) -> None:
    free = model(X, LEVEL, VOCALS, torch.tensor([True, True]))
    expected = free + 3 * (model(X, LEVEL, VOCALS) - free)
    torch.testing.assert_close(guided(model, VOCALS, Guidance(scale=3.0, rescale=0.0))(X, LEVEL), expected)


def test_guidance_takes_one_forward_of_twice_the_batch(model: SamuelUNet) -> None:
    counting = Counting(model)
    sample(guided(counting, VOCALS, Guidance()), X, cosine_schedule(), steps=5)
    assert counting.batches == [4] * 5


def test_full_rescale_restores_the_deviation_of_the_conditioned_prediction(model: SamuelUNet) -> None:
    conditioned = model(X, LEVEL, VOCALS)
    restored = guided(model, VOCALS, Guidance(scale=5.0, rescale=1.0))(X, LEVEL)
    torch.testing.assert_close(restored.std(dim=(1, 2)), conditioned.std(dim=(1, 2)))


def test_rescale_is_lins_formula_for_each_sample() -> None:
    v, conditioned = X * 3, VOCALS
    for i in range(2):
        factor = 0.7 * (conditioned[i].std() / v[i].std()) + 0.3
        torch.testing.assert_close(rescaled(v, conditioned, 0.7)[i], factor * v[i])


def test_outside_of_the_interval_there_is_no_guidance(model: SamuelUNet) -> None:
    """Noise levels sqrt((1 - abar) / abar): 0.5 has 1.73, 0.9 has 0.48, 0 has no bound."""
    counting = Counting(model)
    denoise = guided(counting, VOCALS, Guidance(scale=3.0, interval=(0.3, 1.0)))
    for alpha in (0.0, 0.5, 0.9, 0.99):
        level = torch.tensor([alpha, alpha])
        inside = alpha == 0.9
        same = torch.allclose(denoise(X, level), model(X, level, VOCALS))
        assert same != inside
    assert counting.batches == [2, 2, 4, 2]


def test_guidance_moves_the_result_and_is_deterministic(model: SamuelUNet) -> None:
    def run(scale: float) -> Tensor:
        denoise = guided(model, VOCALS, Guidance(scale=scale))
        return sample(denoise, X, cosine_schedule(), steps=4)

    assert torch.equal(run(3.0), run(3.0))
    assert not torch.allclose(run(3.0), run(1.0))


@pytest.mark.parametrize("wrong", [{"rescale": 1.5}, {"interval": (2.0, 1.0)}])
def test_impossible_guidance_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="guidance"):
        Guidance(**wrong)


def test_a_network_that_says_nothing_stays_finite() -> None:
    """As one does before its first step of training: its output begins at zero."""
    silent = torch.zeros(2, 4, 8)
    assert torch.equal(rescaled(silent, silent, 0.7), silent)
