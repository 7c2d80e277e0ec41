"""Generators for the tests: a small network with random weights, and oracles that know what to play."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from samuel.codec import Codec, load_codec
from samuel.diffusion.process import sigma
from samuel.generation import Generator
from samuel.model import SamuelUNet
from samuel.training import Statistics, Trained
from samuel.training.checkpoint import RunConfig
from samuel.training.presets import PRESETS

TINY = PRESETS["tiny"]
STATISTICS = Statistics(
    torch.stack((torch.linspace(-1, 1, 64), torch.linspace(0.5, 1.5, 64))),
    torch.stack((torch.linspace(0.5, -0.5, 64), torch.linspace(1.2, 0.7, 64))),
)


def velocity_for(x0: Tensor, x: Tensor, alpha: Tensor) -> Tensor:
    """The v at `x` whose x0 is `x0`."""
    return (alpha[:, None, None] * x - x0) / sigma(alpha)[:, None, None]


class Echo(SamuelUNet):
    """Knows that the accompaniment is the vocals themselves, frame by frame."""

    def encode_conditions(self, vocals: Tensor, unconditional: Tensor | None = None) -> Tensor:
        return STATISTICS.normalize(STATISTICS.denormalize(vocals, "vocals"), "accompaniment")

    def denoise(self, x: Tensor, alpha: Tensor, context: Tensor) -> Tensor:
        return velocity_for(context, x, alpha)


class Monotone(SamuelUNet):
    """Plays the same frame on and on: the mean of a window's first frames, whatever the vocals."""

    def encode_conditions(self, vocals: Tensor, unconditional: Tensor | None = None) -> Tensor:
        return vocals

    def denoise(self, x: Tensor, alpha: Tensor, context: Tensor) -> Tensor:
        first = x[..., :16].mean(-1, keepdim=True) / alpha.clamp(min=0.1)[:, None, None]
        return velocity_for(first.expand_as(x), x, alpha)


def network(kind: type[SamuelUNet] = SamuelUNet) -> SamuelUNet:
    torch.manual_seed(0)
    made = kind(TINY.model)
    torch.nn.init.normal_(made.output.weight, std=0.1)
    return made.eval().requires_grad_(False)


def generator(kind: type[SamuelUNet] = SamuelUNet, codec: Codec | None = None) -> Generator:
    codec = codec or load_codec("mini")
    config = RunConfig("tiny", TINY.model, TINY.training, codec.identity, "fingerprint")
    return Generator(Trained(network(kind), STATISTICS, config), codec)


def write_checkpoint(folder: Path, dtype: torch.dtype = torch.float16, codec: str = "") -> Path:
    """A checkpoint as the package has it: no optimizer, weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    codec = codec or load_codec("mini").identity
    config = RunConfig("tiny", TINY.model, TINY.training, codec, "fingerprint")
    (folder / "config.json").write_text(config.to_json())
    weights = {name: one.to(dtype) for name, one in network().state_dict().items()}
    save_file(weights, folder / "ema.safetensors")
    save_file(STATISTICS.state(), folder / "statistics.safetensors")
    return folder
