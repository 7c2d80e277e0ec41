"""What one can hear being played: notes, roots in the bass, drums. A wash of steady tones under noise has few of them.

To be read beside the true band and the codec's round trip of it: more is not better.
"""

from collections.abc import Iterable, Mapping, Sequence

from jaxtyping import Float
from numpy import ndarray as Array

from samuel.evaluation.features import AudioFeatures
from samuel.evaluation.harmony import Chord, bass_roots
from samuel.evaluation.metrics import Metric
from samuel.evaluation.tables import markdown_table, mean_cell

PLAYED = (
    Metric("notes", "notes a second", "of which a transcriber (basic-pitch) is sure, by a confidence of 0.5"),
    Metric(
        "bass_roots",
        "roots in the bass",
        "share of the chords' time in which their root, or the bass they are written over, is the strongest pitch class below 150 Hz",
    ),
    Metric("onsets", "onsets a second", "as librosa finds them"),
    Metric(
        "contrast",
        "onsets stand out, dB",
        "how far their spectrum is above that of the second before, a mean over mel bands",
    ),
)


def played(reference: Sequence[Chord], estimated: AudioFeatures) -> dict[str, float]:
    """`PLAYED` of a band that was to play these chords; NaN where it is not known."""
    return {
        "notes": _a_second(estimated.notes, estimated.seconds),
        "bass_roots": bass_roots(reference, estimated.bass),
        "onsets": _a_second(estimated.onsets, estimated.seconds),
        "contrast": float(estimated.contrasts.mean()) if len(estimated.contrasts) else 0.0,
    }


def played_table(bands: Mapping[str, Iterable[tuple[Sequence[Chord], AudioFeatures]]]) -> list[str]:
    """Lines of Markdown: a row a band, with the chords that were asked for of each song, and what sounds."""
    rows = []
    for name, songs in bands.items():
        values = [played(chords, features) for chords, features in songs]
        rows.append((name, *(mean_cell([one[metric.column] for one in values]) for metric in PLAYED)))
    lines = markdown_table([metric.label for metric in PLAYED], rows)
    return [*lines, "", "; ".join(f"*{metric.label}*: {metric.meaning}" for metric in PLAYED) + "."]


def _a_second(times: Float[Array, " _"] | None, seconds: float) -> float:
    return float("nan") if times is None or not seconds else len(times) / seconds
