"""The whole network: its size and shapes, and how the vocals steer it."""

import pytest
import torch
from torch import Tensor, nn

from samuel.model import ModelConfig, SamuelUNet
from samuel.model.blocks import FiLM
from samuel.training.presets import PRESETS

AUTHORS_GFLOP = 5.50


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def tiny() -> SamuelUNet:
    """A tiny network whose last layer is not zero, as after some training."""
    torch.manual_seed(0)
    model = SamuelUNet(PRESETS["tiny"].model)
    nn.init.normal_(model.output.weight, std=0.1)
    return model.eval()


@pytest.fixture(scope="module")
def paper() -> SamuelUNet:
    torch.manual_seed(0)
    return SamuelUNet(PRESETS["paper"].model).eval()


def test_paper_has_15_million_parameters(paper: SamuelUNet) -> None:
    assert 14.5e6 <= sum(parameter.numel() for parameter in paper.parameters()) <= 15.5e6


def test_paper_needs_no_more_operations_than_the_authors_network(paper: SamuelUNet) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    x, vocals = randn(2, 1, 64, 1024)
    # The counter does not see into fused attention on a CPU.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        paper(x, torch.tensor([0.5]), vocals)
    assert counter.get_total_flops() / 1e9 <= AUTHORS_GFLOP


def test_paper_goes_through_the_papers_shapes(paper: SamuelUNet) -> None:
    with torch.no_grad():
        context = paper.encode_conditions(randn(1, 64, 1024))
    assert [tuple(level.shape[1:]) for level in context] == [(64, 1024), (128, 512), (256, 256), (512, 128)]
    assert len(paper.down_blocks) == len(paper.up_blocks) == 3


def test_paper_has_no_layer_norm_and_no_mlp_after_attention(paper: SamuelUNet) -> None:
    kinds = {type(module) for module in paper.modules()}
    assert nn.LayerNorm not in kinds
    linear = {
        name.rsplit(".", 1)[-1] for name, module in paper.named_modules() if isinstance(module, nn.Linear)
    }
    assert linear == {"widen", "narrow", "from_time"}, "linear layers are for the noise level alone"


def test_a_new_network_predicts_zero(paper: SamuelUNet) -> None:
    """The authors zero the last layer, then overwrite it."""
    with torch.no_grad():
        assert paper(randn(1, 64, 32), torch.tensor([0.5]), randn(1, 64, 32, seed=1)).count_nonzero() == 0


@pytest.mark.parametrize("frames", [1, 7, 8, 37, 100])
@pytest.mark.parametrize("batch", [1, 3])
def test_any_number_of_frames_and_any_batch(tiny: SamuelUNet, frames: int, batch: int) -> None:
    x, vocals = randn(2, batch, 64, frames)
    output = tiny(x, torch.linspace(0, 1, batch), vocals)
    assert output.shape == x.shape
    assert output.isfinite().all()


def test_a_sample_does_not_depend_on_its_batch(tiny: SamuelUNet) -> None:
    x, vocals = randn(2, 4, 64, 40)
    levels = torch.tensor([0.0, 0.3, 0.7, 1.0])
    alone = tiny(x[2:3], levels[2:3], vocals[2:3])
    torch.testing.assert_close(tiny(x, levels, vocals)[2:3], alone)


def test_vocals_encoded_once_give_the_same(tiny: SamuelUNet) -> None:
    x, vocals = randn(2, 2, 64, 40)
    levels = torch.tensor([0.2, 0.9])
    torch.testing.assert_close(
        tiny.denoise(x, levels, tiny.encode_conditions(vocals)), tiny(x, levels, vocals)
    )


def test_film_moves_the_frame_whose_vocals_moved_and_no_other() -> None:
    """The authors average the vocals over time: there, all frames move alike."""
    torch.manual_seed(0)
    film = FiLM(8, 16)
    x, vocals = randn(2, 1, 8, 30)
    time = randn(1, 16)
    changed = vocals.clone()
    changed[:, :, 11] += 1
    difference = film(x, changed, time) - film(x, vocals, time)
    assert difference.abs().amax(dim=(0, 1)).nonzero().flatten().tolist() == [11]


def test_film_depends_on_the_noise_level() -> None:
    torch.manual_seed(0)
    film = FiLM(8, 16)
    x, vocals = randn(2, 1, 8, 30)
    assert not torch.allclose(film(x, vocals, randn(1, 16)), film(x, vocals, randn(1, 16, seed=1)))


@pytest.mark.parametrize("alpha", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("frame", [40, 100, 200])
def test_the_output_moves_most_where_the_vocals_moved(tiny: SamuelUNet, frame: int, alpha: float) -> None:
    """Frame-aligned vocals reach the network at full resolution, wherever they are."""
    x, vocals = randn(2, 1, 64, 256)
    changed = vocals.clone()
    changed[:, :, frame] += 2
    level = torch.tensor([alpha])
    moved = (tiny(x, level, changed) - tiny(x, level, vocals)).abs().mean(dim=(0, 1))
    assert abs(int(moved.argmax()) - frame) <= 8
    near = moved[frame - 16 : frame + 17].mean()
    far = torch.cat((moved[: frame - 32], moved[frame + 33 :])).mean()
    assert near > 5 * far


def test_permuting_the_vocal_frames_changes_the_output(tiny: SamuelUNet) -> None:
    x, vocals = randn(2, 1, 64, 64)
    level = torch.tensor([0.5])
    shuffled = vocals[:, :, torch.randperm(64, generator=torch.Generator().manual_seed(0))]
    difference = tiny(x, level, shuffled) - tiny(x, level, vocals)
    assert difference.std() > 0.1 * tiny(x, level, vocals).std()


def test_dropped_vocals_do_not_reach_the_output(tiny: SamuelUNet) -> None:
    x, vocals, others = randn(3, 2, 64, 40)
    levels = torch.tensor([0.3, 0.6])
    unconditional = torch.tensor([True, False])
    first, second = tiny(x, levels, vocals, unconditional), tiny(x, levels, others, unconditional)
    torch.testing.assert_close(first[0], second[0])
    assert not torch.allclose(first[1], second[1])


def test_the_null_is_learned_and_is_neither_zero_nor_silence(tiny: SamuelUNet) -> None:
    """Zero vocals are average vocals after normalization: they may not stand for "no vocals"."""
    x = randn(1, 64, 40)
    level, silence = torch.tensor([0.5]), torch.zeros(1, 64, 40)
    without = tiny(x, level, silence, torch.tensor([True]))
    assert not torch.allclose(without, tiny(x, level, silence))
    without.square().sum().backward()
    assert tiny.encode.null.grad is not None
    assert tiny.encode.null.grad.abs().sum() > 0


def test_every_parameter_is_trained(tiny: SamuelUNet) -> None:
    x, vocals = randn(2, 2, 64, 40)
    tiny(x, torch.tensor([0.3, 0.7]), vocals, torch.tensor([True, False])).square().sum().backward()
    idle = [
        name
        for name, parameter in tiny.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    # A constant added to all keys does not change a softmax without zero padding; it does with it.
    assert idle == []


@pytest.mark.parametrize("mixing", ["prose", "equation"])
def test_the_noise_level_decides(mixing: str) -> None:
    from dataclasses import replace

    torch.manual_seed(0)
    model = SamuelUNet(replace(PRESETS["tiny"].model, mixing=mixing))
    nn.init.normal_(model.output.weight, std=0.1)
    x, vocals = randn(2, 1, 64, 40)
    assert not torch.allclose(model(x, torch.tensor([0.1]), vocals), model(x, torch.tensor([0.9]), vocals))


def test_bfloat16_autocast_gives_nearly_the_same(tiny: SamuelUNet) -> None:
    x, vocals = randn(2, 2, 64, 40)
    levels = torch.tensor([0.2, 0.9])
    exact = tiny(x, levels, vocals)
    with torch.autocast("cpu", torch.bfloat16):
        quick = tiny(x, levels, vocals)
    assert (quick.float() - exact).std() < 0.03 * exact.std()


def test_an_impossible_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="groups"):
        ModelConfig(channels=(10, 20), groups=8)
    with pytest.raises(ValueError, match="prose"):
        ModelConfig(mixing="both")
