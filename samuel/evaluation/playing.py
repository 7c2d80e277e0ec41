"""What one can hear being played: notes, roots in the bass, drums. A wash of steady tones under noise has few of them.

To be read beside the true band and the codec's round trip of it: more is not better.
"""

from collections.abc import Iterable, Mapping, Sequence

from jaxtyping import Float
from numpy import ndarray as Array

from samuel.evaluation.dynamics import PAUSE_DB, PAUSE_SECONDS, rests, rests_shared
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
    Metric(
        "rests",
        "rests kept",
        f"of the time in which the true band pauses ({PAUSE_DB:g} dB below its loud level for {PAUSE_SECONDS:g} s and "
        "longer), the share in which this one does, too; over the songs with such pauses",
    ),
    Metric(
        "false_rests",
        "false rests",
        "of the time in which the true band plays, the share in which this one pauses",
    ),
)


def played(
    reference: Sequence[Chord], estimated: AudioFeatures, truth: AudioFeatures | None = None
) -> dict[str, float]:
    """`PLAYED` of a band that was to play these chords, beside the true band; NaN where it is not known."""
    kept, false = (float("nan"),) * 2 if truth is None else rests_shared(truth.level, estimated.level)
    return {
        "notes": _a_second(estimated.notes, estimated.seconds),
        "bass_roots": bass_roots(reference, estimated.bass),
        "onsets": _a_second(estimated.onsets, estimated.seconds),
        "contrast": float(estimated.contrasts.mean()) if len(estimated.contrasts) else 0.0,
        "rests": kept,
        "false_rests": false,
    }


def played_table(
    bands: Mapping[str, Iterable[tuple[Sequence[Chord], AudioFeatures]]], truths: Sequence[AudioFeatures] = ()
) -> list[str]:
    """Lines of Markdown: a row a band, with the chords that were asked for of each song, and what sounds.

    `truths`: the true bands, in the order of the songs; without them rests are not known.
    """
    rows = []
    for name, songs in bands.items():
        heard = list(songs)
        beside: Sequence[AudioFeatures | None] = truths or [None] * len(heard)
        values = [
            played(chords, features, truth) for (chords, features), truth in zip(heard, beside, strict=True)
        ]
        rows.append((name, *(mean_cell([one[metric.column] for one in values]) for metric in PLAYED)))
    lines = markdown_table([metric.label for metric in PLAYED], rows)
    told = "; ".join(f"*{metric.label}*: {metric.meaning}" for metric in PLAYED) + "."
    if truths:
        told += (
            f" {sum(bool(rests(one.level).any()) for one in truths)} of the {len(truths)} true bands pause."
        )
    return [*lines, "", told]


def _a_second(times: Float[Array, " _"] | None, seconds: float) -> float:
    return float("nan") if times is None or not seconds else len(times) / seconds
