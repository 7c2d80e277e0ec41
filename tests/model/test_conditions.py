"""The channels that a network is given, and the preconditioning by latent."""

import pytest
import torch

from samuel.diffusion.process import add_noise, velocity
from samuel.lead_sheet import frames
from samuel.model import ModelConfig, SamuelUNet
from samuel.model.conditions import (
    CONDITION_CHANNELS,
    FEATURE_CHANNELS,
    GROUPS,
    SHEET_CHANNELS,
)
from samuel.model.preconditioning import preconditioning
from samuel.training.objective import UNKNOWN, hidden
from samuel.training.presets import PRESETS
from samuel.vocals import features


def test_channels_are_those_of_their_modules() -> None:
    assert frames.SHEET_CHANNELS == SHEET_CHANNELS
    assert features.FEATURE_CHANNELS == FEATURE_CHANNELS
    covered = sorted(channel for group in GROUPS.values() for channel in range(group.start, group.stop))
    assert covered == list(range(CONDITION_CHANNELS))


def test_hidden_parts_are_hidden_in_their_samples_alone() -> None:
    conditions = torch.ones(len(UNKNOWN) + 1, CONDITION_CHANNELS, 4)
    told = hidden(conditions, torch.cat((torch.eye(len(UNKNOWN)), torch.zeros(1, len(UNKNOWN)))).bool())
    for sample, (channels, _) in enumerate(UNKNOWN.values()):
        assert not told[sample, list(channels)].any()
        assert told[sample].sum() == 4 * (CONDITION_CHANNELS - len(channels))
    assert torch.equal(told[-1], conditions[-1])


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.8, 0.999])
def test_preconditioned_inputs_and_targets_have_unit_variance(alpha: float) -> None:
    deviation = torch.tensor([0.4, 1.0, 2.6])
    generator = torch.Generator().manual_seed(0)
    x0 = deviation[:, None] * torch.randn(1, 3, 200_000, generator=generator)
    noise = torch.randn(x0.shape, generator=generator)
    level = torch.tensor([alpha])
    x, v = add_noise(x0, noise, level), velocity(x0, noise, level)
    c_in, c_skip, c_out = preconditioning(level, deviation)
    assert (c_in * x).std(dim=-1) == pytest.approx(torch.ones(1, 3), abs=0.02)
    assert ((v - c_skip * x) / c_out).std(dim=-1) == pytest.approx(torch.ones(1, 3), abs=0.02)


def test_unit_deviation_is_plain_v_prediction() -> None:
    c_in, c_skip, c_out = preconditioning(torch.tensor([0.0, 0.6, 1.0]), torch.ones(4))
    assert torch.allclose(c_in, torch.ones_like(c_in))
    assert torch.allclose(c_out, torch.ones_like(c_out))
    assert not c_skip.any()


def test_a_new_network_gives_the_wiener_guess() -> None:
    """Its output layer begins at zero, so that only the skip is left."""
    tiny = PRESETS["tiny"].model
    config = ModelConfig(**{**vars(tiny), "condition_channels": CONDITION_CHANNELS, "preconditioned": True})
    model = SamuelUNet(config)
    model.deviation.fill_(2.0)
    x, level = torch.randn(1, 64, 16), torch.tensor([0.6])
    v = model(x, level, torch.zeros(1, CONDITION_CHANNELS, 16))
    assert torch.allclose(0.6 * x - 0.8 * v, 0.6 * 4 / (0.36 * 4 + 0.64) * x, atol=1e-5)


def test_another_number_of_conditions_is_refused() -> None:
    with pytest.raises(ValueError, match="condition_channels of 64"):
        ModelConfig(condition_channels=70)
