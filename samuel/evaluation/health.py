"""The health of a signal, by numbers that need no other signal: level, clipping, spectrum, silence."""

from dataclasses import dataclass

import numpy as np
import scipy.signal
from jaxtyping import Float
from torch import Tensor

from samuel.audio.loudness import loudness, true_peak
from samuel.config import SAMPLE_RATE
from samuel.evaluation.dynamics import SILENT_DBFS
from samuel.evaluation.features import AudioFeatures

FULL_SCALE = 0.9999
CLIPPED_RUN = 3
"""So many samples at full scale in a row are clipping; one or two may be a loud moment."""
BANDWIDTH_DB = 60.0
TILT_HERTZ = (100.0, 10_000.0)


@dataclass(frozen=True)
class Health:
    loudness_lufs: float
    """Integrated, ITU-R BS.1770; -70 for silence."""
    true_peak_dbtp: float
    clipped_share: float
    """Share of samples that lie in runs of three and more at full scale."""
    rolloff_hz: float
    """95% of the power lies below."""
    bandwidth_hz: float
    """The highest third-octave band within 60 dB of the strongest."""
    tilt_db_per_octave: float
    """Slope from 100 Hz to 10 kHz over third-octave bands, none taken lower than 60 dB below the strongest. Pink noise has 0."""
    dc: float
    """The larger mean of both channels, full scale 1."""
    silent_share: float
    """Share of the time below -60 dBFS."""


def health(audio: Float[Tensor, "2 samples"], features: AudioFeatures) -> Health:
    """Of stereo at 44.1 kHz. Spectral figures are NaN for silence."""
    centres, power, rolloff = spectrum(audio)
    decibels = 10 * np.log10(np.maximum(power, 1e-20))
    audible = power.max() > 1e-12
    inside = (centres >= TILT_HERTZ[0]) & (centres <= TILT_HERTZ[1])
    floored = decibels.clip(decibels.max() - BANDWIDTH_DB)[inside]
    slope = np.polyfit(np.log2(centres[inside]), floored, 1)[0] if audible else np.nan
    strong = centres[decibels > decibels.max() - BANDWIDTH_DB]
    return Health(
        loudness_lufs=loudness(audio),
        true_peak_dbtp=true_peak(audio),
        clipped_share=clipped_share(audio),
        rolloff_hz=rolloff if audible else float("nan"),
        bandwidth_hz=float(strong.max()) if audible else float("nan"),
        tilt_db_per_octave=float(slope),
        dc=float(audio.mean(dim=1).abs().max()),
        silent_share=float((features.level < SILENT_DBFS).mean()),
    )


def clipped_share(audio: Float[Tensor, "2 samples"]) -> float:
    """Share of samples in runs of `CLIPPED_RUN` and more at full scale, both channels together."""
    full = (audio.abs() >= FULL_SCALE).numpy()
    ends = np.diff(np.pad(full, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, stops = np.nonzero(ends == 1)[1], np.nonzero(ends == -1)[1]
    lengths = stops - starts
    return float(lengths[lengths >= CLIPPED_RUN].sum() / full.size)


def spectrum(audio: Float[Tensor, "2 samples"]) -> tuple[np.ndarray, np.ndarray, float]:
    """Centres (Hz) of third-octave bands from 25 Hz to 20 kHz, their power, and the 95% roll-off (Hz)."""
    size = min(8192, audio.shape[-1])
    frequencies, density = scipy.signal.welch(audio.numpy(), SAMPLE_RATE, nperseg=size, axis=1)
    density = density.mean(axis=0)
    centres = 1000.0 * 2.0 ** (np.arange(-16, 14) / 3)
    power = np.array(
        [
            density[(frequencies >= c * 2 ** (-1 / 6)) & (frequencies < c * 2 ** (1 / 6))].sum()
            for c in centres
        ]
    )
    below = np.cumsum(density) / max(density.sum(), 1e-20)
    return (
        centres,
        power * frequencies[1],
        float(frequencies[np.searchsorted(below, 0.95).clip(0, len(below) - 1)]),
    )
