"""The report's pictures and sounds, as data: URIs, so that the report is one file."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import librosa
import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from torch import Tensor

from samuel import audio
from samuel.config import SAMPLE_RATE

EXCERPT_SECONDS = 10.0
PALETTE = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2", "#97bbf5", "#9c6b4e")
GREY = "#9498a0"
COLUMNS = 4


def excerpt(track: Float[Tensor, "2 samples"], start: float) -> Float[Tensor, "2 part"]:
    """Ten seconds from `start` on."""
    first = round(start * SAMPLE_RATE)
    return track[:, first : first + round(EXCERPT_SECONDS * SAMPLE_RATE)]


def sound(part: Float[Tensor, "2 samples"]) -> str:
    """An MP3, which every browser plays."""
    encoded = io.BytesIO()
    audio.write(encoded, part, "mp3")
    return _uri(encoded.getvalue(), "audio/mpeg")


def spectrogram(part: Float[Tensor, "2 samples"]) -> str:
    """The mel spectrogram of a part."""
    return _png(mel_picture(part))


def mel_picture(part: Float[Tensor, "2 samples"]) -> Float[Array, "band frame 4"]:
    """Pixels of the mel power from 30 Hz to 16 kHz: 80 dB from dark to bright, up to the level of a loud mix."""
    from matplotlib import colormaps

    band: dict[str, Any] = {"n_mels": 96, "fmin": 30.0, "fmax": 16_000.0}
    mono = part.mean(dim=0).numpy()
    power = librosa.feature.melspectrogram(y=mono, sr=SAMPLE_RATE, n_fft=4096, hop_length=1024, **band)
    decibels = 10 * np.log10(np.maximum(power, 1e-10)) - 30  # a loud mix reaches 30 dB in a band
    return colormaps["magma"](((decibels + 80) / 80).clip(0, 1)[::-1])


def strips(groups: Sequence[tuple[str, Sequence[tuple[str, str, Float[Array, " _"]]]]]) -> str:
    """Small plots, one a metric: (label, [(system, kind, values)]). A dot a track, a bar the mean."""
    from matplotlib.figure import Figure

    names = [name for name, _, _ in groups[0][1]]
    lines = -(-len(groups) // COLUMNS)
    figure = Figure(figsize=(11.3, lines * (0.21 * len(names) + 0.7)), layout="constrained")
    axes: Any = figure.subplots(lines, COLUMNS, sharey=True, squeeze=False)
    for axis in axes.ravel()[len(groups) :]:
        axis.set_visible(False)
    for axis, (label, rows) in zip(axes.ravel(), groups, strict=False):
        systems = 0
        for place, (_, kind, values) in enumerate(rows):
            colour = PALETTE[systems % len(PALETTE)] if kind == "system" else GREY
            systems += kind == "system"
            known = values[~np.isnan(values)]
            spread = 0.4 * (np.random.default_rng(place).random(len(known)) - 0.5)
            axis.scatter(known, place + spread, s=10, color=colour, alpha=0.5, linewidths=0)
            if len(known):
                axis.plot([known.mean()] * 2, [place - 0.38, place + 0.38], color=colour, linewidth=2.2)
        axis.set_title(label, fontsize=9, loc="left")
        axis.set_yticks(range(len(names)), names, fontsize=8)
        axis.tick_params(axis="x", labelsize=7)
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="x", color="#e4e4e8", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[0][0].invert_yaxis()
    return _saved(figure)


def _saved(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return _uri(buffer.getvalue(), "image/png")


def _png(pixels: Array) -> str:
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png")
    return _uri(buffer.getvalue(), "image/png")


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
