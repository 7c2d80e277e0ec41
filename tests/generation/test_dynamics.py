"""The band is as loud as its arrangement, and what is held stays as it was."""

import pytest
import torch

from samuel.codec import Codec, GainLaw, load_codec
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.generation.dynamics import MOST_SOFTER_DB, at_level
from tests.evaluation import signals

FRAMES = 240
THIRD = FRAMES // 3
NONE_HELD = torch.zeros(FRAMES, dtype=torch.bool)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec("mini")


@pytest.fixture(scope="module")
def law(codec: Codec) -> GainLaw:
    assert codec.gain_law
    return codec.gain_law


def sung(gains: tuple[float, float, float], transpose: int = 0) -> torch.Tensor:
    """A band with another level in each third."""
    audio = signals.band(FRAMES * FRAME_SAMPLES / SAMPLE_RATE + 1, transpose)[:, : FRAMES * FRAME_SAMPLES]
    return audio * torch.tensor(gains).repeat_interleave(THIRD * FRAME_SAMPLES)


def levels(audio: torch.Tensor) -> torch.Tensor:
    """dB of the middle of each third."""
    thirds = audio.square().mean(dim=0).unflatten(0, (3, -1))
    return 10 * torch.log10(thirds[:, thirds.shape[1] // 3 : 2 * thirds.shape[1] // 3].mean(dim=1) + 1e-12)


@pytest.mark.parametrize("gain", [0.125, 0.5, 2.0])
def test_a_gain_shows_in_the_latents_as_the_law_says(codec: Codec, law: GainLaw, gain: float) -> None:
    audio = 0.3 * sung((1.0, 1.0, 1.0))
    latents, expected = codec.encode(torch.stack((audio, gain * audio)))
    amplified = law.amplified(latents, torch.full((FRAMES,), gain))
    unchanged = (latents - expected).norm()
    assert (amplified - expected).norm() < 0.15 * unchanged


def test_power_is_that_of_the_sound(codec: Codec, law: GainLaw) -> None:
    power = law.power(codec.encode(sung((1.0, 0.25, 0.5))[None]))[0]
    decibels = 10 * torch.log10(power.unflatten(0, (3, -1))[:, THIRD // 3 : 2 * THIRD // 3].mean(dim=1))
    torch.testing.assert_close(decibels - decibels[0], torch.tensor([0.0, -12.04, -6.02]), rtol=0, atol=2.5)


def test_a_band_takes_the_level_of_its_arrangement(codec: Codec, law: GainLaw) -> None:
    made, arrangement = sung((0.5, 0.5, 0.5)), sung((0.25, 1.0, 0.5), transpose=5)
    latents = at_level(*codec.encode(torch.stack((made, arrangement))), NONE_HELD, law)
    found, asked = levels(codec.decode(latents[None])[0]), levels(arrangement)
    torch.testing.assert_close(found, asked, rtol=0, atol=2.0)


def test_held_frames_stay_to_the_bit_and_no_gain_is_without_bounds(codec: Codec, law: GainLaw) -> None:
    made, arrangement = codec.encode(torch.stack((sung((0.5, 0.5, 0.5)), sung((0.0, 0.0, 0.0)))))
    held = torch.arange(FRAMES) < THIRD
    latents = at_level(made, arrangement, held, law)
    assert torch.equal(latents[:, held], made[:, held])
    softest = law.amplified(made, torch.full((FRAMES,), 10 ** (-MOST_SOFTER_DB / 20)))
    torch.testing.assert_close(latents[:, ~held], softest[:, ~held])
    louder = at_level(arrangement, made, NONE_HELD, law)
    assert louder.isfinite().all()


def test_where_the_arrangement_rests_the_band_is_silent(codec: Codec, law: GainLaw) -> None:
    made, arrangement = codec.encode(torch.stack((sung((0.5, 0.5, 0.5)), sung((0.5, 0.0, 0.5)))))
    found = levels(codec.decode(at_level(made, arrangement, NONE_HELD, law)[None])[0])
    assert found[1] < found[0] - 30
    assert found[2] == pytest.approx(found[0], abs=2.0)
