"""The report's pictures and sounds, as data: URIs, so that the report is one file."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float
from numpy import ndarray as Array
from torch import Tensor

from samuel import audio
from samuel.config import SAMPLE_RATE

EXCERPT_SECONDS = 10.0
EXCERPT_KBPS = 128
PREVIEW_SECONDS = 6.0
PREVIEW_RATE, PREVIEW_KBPS = 24_000, 32
PALETTE = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2", "#97bbf5", "#9c6b4e")
GREY, AMBER = "#9498a0", "#b98a2e"
INK = "#7b7f8a"
"""Of a plot's words: reads on a light page and on a dark one."""
COLUMNS = 4


def excerpt(track: Float[Tensor, "2 samples"], start: float) -> Float[Tensor, "2 part"]:
    """Ten seconds from `start` on."""
    first = round(start * SAMPLE_RATE)
    return track[:, first : first + round(EXCERPT_SECONDS * SAMPLE_RATE)]


def preview(track: Float[Tensor, "2 samples"]) -> tuple[bytes, bytes]:
    """Six seconds from the middle of a track, small: an MP3 in mono (24 kB), and a WebP of its spectrogram (4 kB)."""
    wanted = round(PREVIEW_SECONDS * SAMPLE_RATE)
    first = max(0, (track.shape[1] - wanted) // 2)
    part = track[:, first : first + wanted]
    mono = audio.resample(part.mean(dim=0, keepdim=True), SAMPLE_RATE, PREVIEW_RATE)
    return mp3(mono, PREVIEW_RATE, PREVIEW_KBPS), webp(mel_picture(part), quality=60)


def sound(part: Float[Tensor, "2 samples"]) -> str:
    """An MP3, which every browser plays, as a URI."""
    return uri(mp3(part, SAMPLE_RATE, EXCERPT_KBPS), "audio/mpeg")


def mp3(part: Float[Tensor, "channel samples"], rate: int, kbps: int) -> bytes:
    """At a constant bit rate, clipped to [-1, 1]."""
    least, most = (32, 320) if rate >= 32_000 else (8, 160)
    samples = part.clamp(-1, 1).T.contiguous().numpy()
    encoded = io.BytesIO()
    level = (most - kbps) / (most - least)
    form: dict[str, Any] = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": level}
    with soundfile.SoundFile(encoded, "w", rate, len(part), "MPEG_LAYER_III", **form) as file:
        file.write(samples)
    return encoded.getvalue()


def spectrogram(part: Float[Tensor, "2 samples"]) -> str:
    """The mel spectrogram of a part, as a URI."""
    return uri(webp(mel_picture(part), quality=80), "image/webp")


def mel_picture(part: Float[Tensor, "2 samples"]) -> Float[Array, "band frame 4"]:
    """Pixels of the mel power from 30 Hz to 16 kHz: 80 dB from dark to bright, up to the level of a loud mix."""
    from matplotlib import colormaps

    from samuel.compiled import librosa

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
            colour = AMBER if kind == "published" else GREY
            colour = PALETTE[systems % len(PALETTE)] if kind == "system" else colour
            systems += kind == "system"
            known = values[~np.isnan(values)]
            spread = 0.4 * (np.random.default_rng(place).random(len(known)) - 0.5)
            if kind != "published":
                axis.scatter(known, place + spread, s=10, color=colour, alpha=0.5, linewidths=0)
            if len(known):
                axis.plot([known.mean()] * 2, [place - 0.38, place + 0.38], color=colour, linewidth=2.2)
        axis.set_title(label, fontsize=9, loc="left", color=INK)
        axis.set_yticks(range(len(names)), names, fontsize=8)
        axis.tick_params(axis="x", labelsize=7, color=INK, labelcolor=INK)
        axis.tick_params(axis="y", length=0, labelcolor=INK)
        axis.grid(axis="x", color=INK, alpha=0.25, linewidth=0.6)
        axis.spines[:].set_color(INK)
        axis.set_axisbelow(True)
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[0][0].invert_yaxis()
    return _saved(figure)


def _saved(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="webp", dpi=180, transparent=True, pil_kwargs={"lossless": True})
    return uri(buffer.getvalue(), "image/webp")


def webp(pixels: Float[Array, "row column 4"], quality: int) -> bytes:
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, pixels, format="webp", pil_kwargs={"quality": quality})
    return buffer.getvalue()


def uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
