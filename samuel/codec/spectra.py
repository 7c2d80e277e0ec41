"""Short-time spectra on the latent grid, and back; filter banks on logarithmic axes.

A spectrum of window n and hop h has its frame i centred on sample h i + h / 2, so that samples / h frames
cover the audio exactly and frame i of 2048 samples always holds the same 2048 / h short frames. Windows are
Hann; amplitudes are divided by n / 4, so that a sine of amplitude 1 has a peak of 1 at any n.
"""

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional as F

from samuel.config import SAMPLE_RATE


def spectrum(
    audio: Float[Tensor, "*batch samples"], window: int, hop: int
) -> Complex[Tensor, "*batch frames bins"]:
    """Spectra of samples / hop frames; the audio is taken to be silent before its start and after its end."""
    margin = (window - hop) // 2
    frames = F.pad(audio, (margin, margin)).unfold(-1, window, hop)
    return torch.fft.rfft(frames * (torch.hann_window(window, device=audio.device) / (window / 4)))


def overlap_add(
    spectra: Complex[Tensor, "batch frames bins"], window: int, hop: int
) -> Float[Tensor, "batch samples"]:
    """The audio whose spectra are nearest, in squares (Griffin and Lim 1984, eq. 6)."""
    frames = spectra.shape[1]
    shape = torch.hann_window(window, device=spectra.device)
    audio = _added(torch.fft.irfft(spectra, n=window) * (shape * (window / 4)), hop)
    weight = _added((shape**2).expand(1, frames, window), hop)
    margin = (window - hop) // 2
    return (audio / weight.clamp(min=1e-3))[:, margin : margin + frames * hop]


def _added(pieces: Float[Tensor, "batch frames window"], hop: int) -> Float[Tensor, "batch samples"]:
    """The sum of pieces, each `hop` after the one before; a tenth of the time of torch's fold."""
    batch, frames, window = pieces.shape
    parts = window // hop
    total = pieces.new_zeros(batch, frames + parts - 1, hop)
    for part in range(parts):
        total[:, part : part + frames] += pieces[..., part * hop : (part + 1) * hop]
    return total.flatten(1)


def power(spectra: Complex[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Squares of magnitudes, without the roots that `abs` takes first."""
    return torch.addcmul(spectra.real.square(), spectra.imag, spectra.imag)


def log_axis(window: int, low: float, high: float, per_octave: float, min_bins: float = 1.0) -> list[float]:
    """Frequencies in Hz from `low` to below `high`, evenly spaced by pitch but never closer than the bins."""
    least = min_bins * SAMPLE_RATE / window
    axis = [low]
    while (following := axis[-1] + max(least, axis[-1] * (2 ** (1 / per_octave) - 1))) < high:
        axis.append(following)
    return axis


def triangles(axis: list[float], window: int) -> Float[Tensor, "bands bins"]:
    """Triangular filters that peak at the inner points of `axis` and end at its neighbours."""
    bins = np.arange(window // 2 + 1) * SAMPLE_RATE / window
    low, peak, high = (np.asarray(axis)[i : len(axis) - 2 + i, None] for i in range(3))
    filters = np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak)).clip(min=0)
    return torch.from_numpy(filters).float()


def averaging(filters: Float[Tensor, "bands bins"]) -> Float[Tensor, "bands bins"]:
    """Each filter as a weighted mean over its bins."""
    return filters / filters.sum(dim=1, keepdim=True).clamp(min=1e-9)


def interpolating(filters: Float[Tensor, "bands bins"]) -> Float[Tensor, "bands bins"]:
    """Each bin as a weighted mean of the filters over it; bins under no filter are 0."""
    return filters / filters.sum(dim=0, keepdim=True).clamp(min=1e-9)
