"""One schedule: windows in order, and each piece once, when nothing in it changes any more."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from samuel.config import FRAME_SAMPLES
from samuel.generation import GenerationConfig, Material, Region, Schedule, pieces


@given(
    frames=some.integers(1, 3000),
    reach=some.integers(0, 40),
    region=some.tuples(some.floats(0, 1), some.floats(0, 1)) | some.none(),
)
def test_pieces_come_once_in_order_and_final(
    frames: int, reach: int, region: tuple[float, float] | None
) -> None:
    samples = frames * FRAME_SAMPLES
    anew = None
    if region:
        first, last = sorted(round(one * samples) for one in region)
        anew = Region(first, max(last, first + 1), samples) if first < samples else None
    material = Material(torch.zeros(64, frames))
    before = torch.zeros(64, frames) if anew else None
    song = Schedule(material, GenerationConfig(), samples, reach, before, anew)
    seen, counted = [], 0
    while (task := song.task()) is not None:
        counted += 1
        assert song.share() == pytest.approx((counted - 1) / len(song.windows))
        made = task.known.clone() if task.known is not None else torch.zeros_like(task.vocals)
        window = task.window
        held = len(made[0]) - window.held_after
        made[:, window.held : held] = counted
        final = [song.latents[:, max(0, start - reach) : stop + reach].clone() for start, stop in seen]
        song.place(made)
        for (start, stop), heard in zip(seen, final, strict=True):
            assert torch.equal(song.latents[:, max(0, start - reach) : stop + reach], heard)
        seen += list(song.finished())
    assert seen == pieces(samples)
    assert song.share() == 1
    made = song.latents[0] > 0
    first, last = anew.frames if anew else (0, frames)
    assert made[first:last].all()
    assert not made[:first].any()
    assert not made[last:].any()
