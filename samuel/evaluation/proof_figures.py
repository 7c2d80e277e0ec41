"""What a proof looks like: values by song beside the anchors, and spectrograms."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from samuel.config import SAMPLE_RATE
from samuel.evaluation.figures import PALETTE, mel_picture
from samuel.evaluation.proof import ANCHORS
from samuel.evaluation.proof_report import SongResults
from samuel.evaluation.record import load
from samuel.evaluation.statistics import estimate
from samuel.evaluation.trial import MAX_SECONDS, AlignmentRun

COLOURS = {
    "truth": "#3ca951",
    "codec": "#6cc5b0",
    "generated": PALETTE[0],
    "from another": "#efb118",
    "shuffled": "#9498a0",
}


def plots(parts: Sequence[SongResults]) -> bytes:
    """A panel for each measure and part: a dot a song, for each anchor; of the first variation."""
    from matplotlib.figure import Figure

    shown = [next(iter(part.results.values())) for part in parts]  # some songs have no rests to keep
    columns = max(len(results) for results in shown)
    figure = Figure(figsize=(2.3 * columns, 2.3 * len(parts) + 0.3), layout="constrained")
    axes: Any = figure.subplots(len(parts), columns, squeeze=False)
    for line, part, results in zip(axes, parts, shown, strict=True):
        for axis in line[len(results) :]:
            axis.set_axis_off()
        for axis, result in zip(line, results, strict=False):
            for place, anchor in enumerate(ANCHORS):
                values = result.values[anchor]
                known = values[~np.isnan(values)]
                spread = 0.4 * (np.random.default_rng(place).random(len(known)) - 0.5)
                axis.scatter(place + spread, known, s=12, color=COLOURS[anchor], alpha=0.55, linewidths=0)
                mean = estimate(values)
                if mean.n:
                    axis.plot(
                        [place - 0.35, place + 0.35], [mean.mean] * 2, color=COLOURS[anchor], linewidth=2.5
                    )
            axis.set_title(f"{result.metric.label}", fontsize=9, loc="left")
            axis.set_xticks(range(len(ANCHORS)), ANCHORS, fontsize=7, rotation=40, ha="right")
            axis.tick_params(axis="y", labelsize=7)
            axis.grid(axis="y", color="#e4e4e8", linewidth=0.6)
            axis.set_axisbelow(True)
            axis.spines[["top", "right"]].set_visible(False)
        line[0].set_ylabel(part.name, fontsize=8)
    return _png(figure)


def spectrograms(part: SongResults, trial: AlignmentRun) -> bytes:
    """The true band above what was made of its vocals, for the first three songs."""
    from matplotlib.figure import Figure

    shown = part.songs[:3]
    codec = f"codec-{next(iter(trial.codecs()))}"
    kinds = {"true": "truth", "codec": codec, "generated": next(iter(part.fingerprints.values()))}
    figure = Figure(figsize=(5.2 * len(shown), 6.2), layout="constrained")
    axes: Any = figure.subplots(len(kinds), len(shown), squeeze=False)
    for column, song in enumerate(shown):
        stems = trial.stems(song)
        for line, (label, what) in enumerate(kinds.items()):
            sound = (
                stems.accompaniment
                if what == "truth"
                else load(trial.audio_path(song.song_id, what), MAX_SECONDS)
            )
            axis = axes[line][column]
            axis.imshow(mel_picture(sound[:, : 20 * SAMPLE_RATE]), aspect="auto", interpolation="nearest")
            axis.set_title(f"{label}: {song.title}" if not line else label, fontsize=9, loc="left")
            axis.set_axis_off()
    return _png(figure)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
