"""Where somebody sings."""

import pytest
import torch

from samuel.config import FRAME_SAMPLES
from samuel.separation.activity import frame_level, vocal_activity


def vocals_at(levels: list[tuple[int, float]]) -> torch.Tensor:
    """Noise: (frames, dBFS) one after the other."""
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(2, n * FRAME_SAMPLES, generator=generator) * 10 ** (db / 20) for n, db in levels]
    return torch.cat(parts, 1)


def test_level_is_rms_in_dbfs() -> None:
    level = frame_level(vocals_at([(3, -20.0), (2, -50.0)]))
    assert level.tolist() == pytest.approx([-20, -20, -20, -50, -50], abs=0.3)
    assert frame_level(torch.zeros(2, FRAME_SAMPLES + 1)).tolist() == [-120, -120]


def test_bleed_between_verses_is_not_singing() -> None:
    active = vocal_activity(vocals_at([(40, -18.0), (40, -42.0), (40, -25.0)]))
    expected = torch.tensor([True] * 40 + [False] * 40 + [True] * 40)
    assert (active != expected)[3:-3].sum() <= 2
    assert (active != expected).sum() <= 6


def test_short_breaths_are_kept_and_clicks_are_not() -> None:
    active = vocal_activity(
        vocals_at([(20, -18.0), (2, -70.0), (20, -18.0), (30, -70.0), (1, -18.0), (30, -70.0)])
    )
    assert active[3:39].all()
    assert not active[46:].any()


def test_a_quiet_song_is_judged_by_its_own_level_down_to_the_floor() -> None:
    assert vocal_activity(vocals_at([(50, -38.0)]))[2:-2].all()
    assert not vocal_activity(vocals_at([(50, -50.0)])).any()
    assert not vocal_activity(torch.zeros(2, 10 * FRAME_SAMPLES)).any()


def test_a_frame_for_each_started_2048_samples() -> None:
    assert vocal_activity(torch.zeros(2, 0)).shape == (0,)
    assert vocal_activity(torch.zeros(2, 1)).shape == (1,)
    assert vocal_activity(torch.zeros(2, 2 * FRAME_SAMPLES)).shape == (2,)
