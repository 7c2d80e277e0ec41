"""Phases for spectra of which only the magnitudes are known, and signals that need none to be found.

All that is chosen freely here, such as where a bin's phase starts, is a function of the frame's place in
the song, so that pieces of a song that are decoded apart fit together. Spectra, windows and hops are those of
`spectra`; `first` is the place of a signal's first short frame, counted in hops.
"""

from functools import cache

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor
from torch.nn import functional as F

GOLDEN_ANGLE = 2.399963
ACCELERATION = 0.99  # of fast Griffin-Lim: Perraudin et al. 2013, figure 2

CARRIER_FRAMES = 64  # short frames after which a carrier repeats itself: 1.5 s
CARRIER_ROUNDS = 60


def running(
    frames: int, bins: int, window: int, hop: int, first: Int[Tensor, " batch"]
) -> Float[Tensor, "batch frames bins"]:
    """Each bin's own frequency running through the frames, in radians; neighbours start far apart."""
    k = torch.arange(bins, device=first.device)
    place = (first[:, None] + torch.arange(frames, device=first.device)) % window
    turns = place[..., None] * (k * hop % window) % window / window
    return 2 * torch.pi * turns + GOLDEN_ANGLE * k * k % (2 * torch.pi)


def griffin_lim(
    magnitudes: Float[Tensor, "batch frames bins"],
    window: int,
    hop: int,
    iterations: int,
    first: Int[Tensor, " batch"] | None = None,
    known: Complex[Tensor, "batch frames low"] | None = None,
) -> Complex[Tensor, "batch frames bins"]:
    """Spectra with these magnitudes and phases that fit together (fast Griffin-Lim, Perraudin et al. 2013).

    Nothing is random: phases start as `running`, those of the lowest bins as in `known`. Not differentiable.
    """
    if first is None:
        first = torch.zeros(magnitudes.shape[0], dtype=torch.long, device=magnitudes.device)
    spectra = torch.polar(magnitudes, running(magnitudes.shape[1], magnitudes.shape[2], window, hop, first))
    if known is not None:
        low = known.shape[-1]
        spectra[..., :low] = _with_magnitudes(known, magnitudes[..., :low])
    project = _Projection(magnitudes.shape[1], window, hop, magnitudes.device)
    before = torch.zeros_like(spectra)
    for _ in range(iterations):
        now = project(spectra)
        spectra = _with_magnitudes(_lerp(before, now, 1 + ACCELERATION), magnitudes)
        before = now
    return spectra


class _Projection:
    """Spectra -> the spectra of the signal that is nearest to them (`spectrum` of `overlap_add`, but for a factor).

    A round of Griffin-Lim is two transforms of every frame; all else would cost more than they do if it were not
    done in as few passes over memory as here.
    """

    def __init__(self, frames: int, window: int, hop: int, device: torch.device):
        self.window, self.hop, self.parts = window, hop, window // hop
        shape = torch.hann_window(window, device=device)
        self.shape = shape.view(self.parts, hop)
        weight = torch.zeros(frames + self.parts - 1, hop, device=device)
        for part in range(self.parts):
            weight[part : part + frames] += self.shape[part].square()
        margin = (window - hop) // 2
        kept = F.pad(torch.ones(frames * hop, device=device), (margin, margin)).view_as(weight)
        self.scale = kept / weight.clamp(min=1e-3)

    def __call__(self, spectra: Complex[Tensor, "batch frames bins"]) -> Complex[Tensor, "batch frames bins"]:
        batch, frames, _ = spectra.shape
        pieces = torch.fft.irfft(spectra, n=self.window).view(batch, frames, self.parts, self.hop)
        total = pieces.new_zeros(batch, frames + self.parts - 1, self.hop)
        for part in range(self.parts):
            total[:, part : part + frames].addcmul_(pieces[:, :, part], self.shape[part])
        total *= self.scale
        for part in range(self.parts):
            torch.mul(total[:, part : part + frames], self.shape[part], out=pieces[:, :, part])
        return torch.fft.rfft(pieces.view(batch, frames, self.window))


def _lerp(start: Tensor, end: Tensor, weight: float) -> Tensor:
    """torch.lerp of complex numbers, in a third of its time."""
    return torch.view_as_complex(torch.lerp(torch.view_as_real(start), torch.view_as_real(end), weight))


def _with_magnitudes(spectra: Tensor, magnitudes: Tensor) -> Tensor:
    return torch.sgn(spectra).mul_(magnitudes)


@cache
def carrier(window: int, hop: int) -> Complex[Tensor, "place bins"]:
    """The spectra of a noise that repeats after `CARRIER_FRAMES` hops and has magnitudes of about 1 everywhere.

    Times magnitudes that change little from bin to bin and from frame to frame, it is a noise with about these
    magnitudes: what Griffin-Lim would find, but found once for all. (Noise with phases drawn at random does not:
    its magnitudes spread by 5 dB, the carrier's by 1 dB.)
    """
    bins, parts = window // 2 + 1, window // hop
    shape = torch.hann_window(window).view(parts, hop)
    flat = torch.ones(CARRIER_FRAMES, bins)
    flat[:, [0, -1]] = 0
    turns = torch.rand(flat.shape, generator=torch.Generator().manual_seed(0))
    spectra = torch.polar(flat, 2 * torch.pi * turns)
    before = torch.zeros_like(spectra)
    weight = shape.square().sum(dim=0)
    for _ in range(CARRIER_ROUNDS + 1):
        pieces = torch.fft.irfft(spectra, n=window).view(CARRIER_FRAMES, parts, hop) * shape
        total = sum(pieces[:, part].roll(part, 0) for part in range(parts)) / weight
        pieces = torch.stack([total.roll(-part, 0) for part in range(parts)], dim=1) * shape
        now = torch.fft.rfft(pieces.flatten(1))
        spectra, before = flat * torch.sgn(_lerp(before, now, 1 + ACCELERATION)), now
    return before
