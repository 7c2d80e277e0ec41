"""What a region changes of a song, and what it never does."""

import pytest
import torch

from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.generation.regions import FADE, Region

SONG = 10 * SAMPLE_RATE


def test_all_outside_the_region_and_its_fades_stays_and_all_inside_is_new() -> None:
    region = Region.of(SONG, SONG, (4.0, 6.0))
    kept, made = torch.randn(2, 2, SONG, generator=torch.Generator().manual_seed(0)).unbind(0)
    blended = region.blend(kept, made)
    begin, end = region.audible
    assert (begin, end) == (4 * SAMPLE_RATE - FADE, 6 * SAMPLE_RATE + FADE)
    assert torch.equal(blended[:, :begin], kept[:, :begin])
    assert torch.equal(blended[:, end:], kept[:, end:])
    inside = slice(4 * SAMPLE_RATE, 6 * SAMPLE_RATE + 1)
    assert torch.equal(blended[:, inside], made[:, inside])


def test_parts_are_blended_as_the_whole() -> None:
    region = Region.of(SONG, SONG, (1.0, 7.5))
    kept, made = torch.randn(2, 2, SONG, generator=torch.Generator().manual_seed(1)).unbind(0)
    size = 30 * FRAME_SAMPLES
    parts = [
        region.blend(kept[:, start : start + size], made[:, start : start + size], start)
        for start in range(0, SONG, size)
    ]
    assert torch.equal(torch.cat(parts, dim=1), region.blend(kept, made))


def test_powers_add_up_in_the_fades() -> None:
    region = Region.of(SONG, SONG, (4.0, 6.0))
    ones, none = torch.ones(2, SONG), torch.zeros(2, SONG)
    power = region.blend(ones, none) ** 2 + region.blend(none, ones) ** 2
    torch.testing.assert_close(power, torch.ones_like(power))


def test_a_region_at_the_ends_has_no_fade_there() -> None:
    whole = Region.of(SONG, SONG, (0.0, 99.0))
    made = torch.ones(2, SONG)
    assert torch.equal(whole.blend(torch.zeros(2, SONG), made), made)
    assert whole.frames == (0, -(-SONG // FRAME_SAMPLES))


def test_a_band_goes_on_where_it_ended() -> None:
    region = Region.of(SONG, 3 * SAMPLE_RATE, None)
    assert (region.first, region.last) == (3 * SAMPLE_RATE, SONG)
    with pytest.raises(ValueError, match="as long as the vocals"):
        Region.of(SONG, SONG, None)
    with pytest.raises(ValueError, match=r"has 10\.00 s, its vocals only 1\.00 s"):
        Region.of(SAMPLE_RATE, SONG, None)
    with pytest.raises(ValueError, match="leaves more of it"):
        Region.of(SONG, 3 * SAMPLE_RATE, (1.0, 5.0))
