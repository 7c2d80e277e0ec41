"""Soft alignment attention against dense references, and what it may and may not see."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from samuel.model.attention import SoftAlignmentAttention, global_attention, local_attention, rotate
from samuel.model.attention_mix import ATTENTION_MIXES, equation, prose

WINDOW = 16


def heads(frames: int, count: int = 3, seed: int = 0, batch: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, 2, frames, 8, generator=generator) for _ in range(count)]


def dense_local(queries: Tensor, keys: Tensor, values: Tensor, window: int) -> Tensor:
    """Equation 1 as T x T attention under a band mask, over keys padded with `window` zeros at both ends."""
    frames = queries.shape[-2]
    padded_keys = torch.nn.functional.pad(keys, (0, 0, window, window))
    padded_values = torch.nn.functional.pad(values, (0, 0, window, window))
    offset = torch.arange(-window, frames + window) - torch.arange(frames)[:, None]
    band = (offset >= -window // 2) & (offset < window // 2)
    scores = queries @ padded_keys.transpose(-1, -2) / queries.shape[-1] ** 0.5
    return scores.masked_fill(~band, float("-inf")).softmax(-1) @ padded_values


@settings(deadline=None, max_examples=25)
@given(frames=st.integers(1, 70), window=st.sampled_from([2, 4, 16]), seed=st.integers(0, 9))
def test_local_attention_equals_dense_attention_under_a_band_mask(
    frames: int, window: int, seed: int
) -> None:
    queries, keys, values = heads(frames, seed=seed)
    expected = dense_local(queries, keys, values, window)
    torch.testing.assert_close(local_attention(queries, keys, values, window), expected)


def test_local_attention_costs_frames_times_window() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    def operations(frames: int) -> int:
        with FlopCounterMode(display=False) as counter:
            queries, keys, values = heads(frames, batch=1)
            local_attention(queries, keys, values, WINDOW)
        return counter.get_total_flops()

    assert operations(2048) == 2 * operations(1024)


@pytest.mark.parametrize("frame", [0, 7, 40, 63])
def test_local_attention_sees_its_window_and_nothing_else(frame: int) -> None:
    """The authors' code mixes time and channels in a reshape: there, a far frame changes."""
    queries, keys, values = heads(64)
    changed = keys.clone(), values.clone()
    for tensor in changed:
        tensor[:, :, frame] += 1
    difference = local_attention(queries, *changed, window=WINDOW) - local_attention(
        queries, keys, values, WINDOW
    )
    moved = difference.abs().amax(dim=(0, 1, 3)).nonzero().flatten().tolist()
    assert moved == [i for i in range(64) if -8 <= frame - i < 8]


def test_local_attention_is_equivariant_to_time_shifts() -> None:
    queries, keys, values = heads(96)
    shift = 5
    moved = local_attention(queries.roll(shift, 2), keys.roll(shift, 2), values.roll(shift, 2), WINDOW)
    still = local_attention(queries, keys, values, WINDOW).roll(shift, dims=2)
    inner = slice(WINDOW + shift, -WINDOW)
    torch.testing.assert_close(moved[:, :, inner], still[:, :, inner])


def test_global_attention_equals_dense_attention_of_rotated_queries_and_keys() -> None:
    queries, keys, values = heads(50)
    scores = rotate(queries) @ rotate(keys).transpose(-1, -2) / queries.shape[-1] ** 0.5
    torch.testing.assert_close(global_attention(queries, keys, values), scores.softmax(-1) @ values)


def test_rope_turns_each_pair_by_its_angle() -> None:
    """Closed form: as complex numbers, channel pair c of frame m is multiplied by exp(i m base^(-2c/d))."""
    (x,) = heads(20, count=1)
    as_complex = torch.complex(x[..., :4].double(), x[..., 4:].double())
    angle = torch.arange(20.0, dtype=torch.float64)[:, None] * 10_000 ** (-torch.arange(0, 8, 2) / 8)
    turned = as_complex * torch.exp(1j * angle)
    torch.testing.assert_close(
        rotate(x), torch.cat((turned.real, turned.imag), -1).float(), atol=1e-5, rtol=1e-5
    )


def test_rope_scores_depend_on_distance_alone() -> None:
    query, key = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    queries, keys = (vector.expand(1, 1, 30, 8) for vector in (query, key))
    scores = (rotate(queries) @ rotate(keys).transpose(-1, -2))[0, 0]
    for distance in (-7, 0, 3):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))


def test_prose_is_global_in_noise_and_equation_is_local_in_noise() -> None:
    noisy, clean = torch.tensor([0.0]), torch.tensor([1.0])
    assert (prose(noisy).item(), prose(clean).item()) == (1, 0)
    assert (equation(noisy).item(), equation(clean).item()) == (0, 1)


@pytest.mark.parametrize("mixing", sorted(ATTENTION_MIXES))
def test_where_the_mix_is_all_local_the_output_is_local(mixing: str) -> None:
    torch.manual_seed(0)
    attention = SoftAlignmentAttention(16, heads=2, head_channels=8, window=4, groups=4, mixing=mixing)
    x, context = torch.randn(2, 1, 16, 32)
    changed = context.clone()
    changed[:, :, 20] += 1

    def moved(alpha: float) -> list[int]:
        level = torch.tensor([alpha])
        difference = attention(x, level, changed) - attention(x, level, context)
        return difference.abs().amax(dim=(0, 1)).nonzero().flatten().tolist()

    all_local, all_global = (1.0, 0.0) if mixing == "prose" else (0.0, 1.0)
    assert moved(all_local) == [19, 20, 21, 22]
    assert len(moved(all_global)) == 32


def test_each_sample_is_mixed_by_its_own_noise_level() -> None:
    torch.manual_seed(0)
    attention = SoftAlignmentAttention(16, heads=2, head_channels=8, window=4, groups=4, mixing="prose")
    x, context = torch.randn(2, 3, 16, 32)
    levels = torch.tensor([0.0, 0.4, 1.0])
    together = attention(x, levels, context)
    one_by_one = [attention(x[i : i + 1], levels[i : i + 1], context[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(one_by_one))


def test_attention_keeps_a_residual() -> None:
    """The authors' bottleneck attention has none: what comes in is lost."""
    attention = SoftAlignmentAttention(16, heads=2, head_channels=8, window=4, groups=4, mixing="prose")
    for parameter in attention.to_output.parameters():
        torch.nn.init.zeros_(parameter)
    x, context = torch.randn(2, 1, 16, 32)
    torch.testing.assert_close(attention(x, torch.tensor([0.5]), context), x)
