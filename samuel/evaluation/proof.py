"""Whether generation follows the singer: measures against a song's reference, beside four anchors.

Of each song and measure there are
- `truth`: the true accompaniment, the most one can ask for;
- `codec`: the codec's round trip of it, the most that these latents can carry;
- `generated`: from the song's own vocals;
- `from another`: what was generated from other songs' vocals, against this song's reference;
- `shuffled`: the true accompaniments of other songs, against this song's reference: the least.

The last two are means over up to `OTHERS` other songs. "Closed" is the share of the distance from shuffled to truth
that the right vocals close.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from samuel.evaluation.metrics import Metric
from samuel.evaluation.record import TrackRecord
from samuel.evaluation.reference import MEASURES, ReferenceAnnotations, scores_of
from samuel.evaluation.scores import frechet_distances, others_of
from samuel.evaluation.statistics import Estimate, estimate, paired_difference, share_closed, text
from samuel.evaluation.tables import markdown_table

OTHERS = 8
ANCHORS = ("truth", "codec", "generated", "from another", "shuffled")

Values = Float[Array, " song"]


@dataclass(frozen=True)
class ProofRecords:
    """The records of one variation, by song: all have the same songs."""

    reference: Mapping[str, TrackRecord]
    codec: Mapping[str, TrackRecord]
    generated: Mapping[str, TrackRecord]


@dataclass(frozen=True)
class Result:
    """One measure of one variation: values by song for each of `ANCHORS`, in the order of the songs."""

    metric: Metric
    aspect: str
    """harmony, rhythm or dynamics."""
    values: Mapping[str, Values]

    @property
    def closed(self) -> Estimate:
        return share_closed(self.values["shuffled"], self.values["generated"], self.values["truth"])

    @property
    def closed_by_codec(self) -> Estimate:
        return share_closed(self.values["shuffled"], self.values["codec"], self.values["truth"])

    @property
    def margin(self) -> Estimate:
        """How much more the right vocals give than another song's."""
        return paired_difference(self.values["generated"], self.values["from another"])

    def mean(self, anchor: str) -> Estimate:
        return estimate(self.values[anchor])


def prove(made: ProofRecords, references: Mapping[str, ReferenceAnnotations]) -> list[Result]:
    """The measures of one variation that its songs know."""
    songs = list(references)
    own = {
        name: [scores_of(references[song], records[song].features) for song in songs]
        for name, records in {
            "truth": made.reference,
            "codec": made.codec,
            "generated": made.generated,
        }.items()
    }
    others = {
        name: [
            _mean(
                [scores_of(references[song], records[one].features) for one in others_of(songs, song, OTHERS)]
            )
            for song in songs
        ]
        for name, records in {"from another": made.generated, "shuffled": made.reference}.items()
    }
    fits = own | others
    results = [
        Result(
            metric, aspect, {name: np.array([one[metric.column] for one in fits[name]]) for name in ANCHORS}
        )
        for aspect, metric in MEASURES
    ]
    return [
        result for result in results if result.mean("truth").n
    ]  # songs that never rest have no rests to keep


def frechet(made: ProofRecords) -> tuple[dict[str, float], int]:
    """Fréchet distance of each kind of sound from the true accompaniments of the other half of the songs, and the
    number of vectors a side. `truth` is what chance leaves."""
    kinds = {"truth": made.reference, "codec": made.codec, "generated": made.generated}
    distances, size = frechet_distances(kinds, made.reference)
    return {name: distances.get(name, float("nan")) for name in kinds}, size


def table(results: list[Result]) -> list[str]:
    """Lines of Markdown: a row a measure, a column an anchor, the margin and the share closed."""
    rows = []
    for result in results:
        means = [text(result.mean(anchor)) for anchor in ANCHORS]
        means[2] = f"**{means[2]}**"
        shares = [text(one, percent=True) for one in (result.closed, result.closed_by_codec)]
        rows.append((result.metric.label, *means, text(result.margin, "+"), *shares))
    anchors = ("true", "codec round trip", "**generated**", "from another's vocals", "another song's band")
    return markdown_table((*anchors, "margin of the right vocals", "share closed", "by the codec"), rows)


def verdict(results: list[Result]) -> list[str]:
    """Where the right vocals win beyond chance, and where they close at least half of the distance."""
    told = []
    for result in results:
        if result.aspect == "dynamics" or not result.margin.n:
            continue
        wins = result.margin.low > 0
        half = result.closed.mean >= 0.5
        told.append(
            f"- {result.metric.label}: the right vocals "
            + ("beat" if wins else "do not beat")
            + f" another song's, by the interval over {result.margin.n} songs"
            + f", and close {100 * result.closed.mean:.0f}% of the distance"
            + (" (half or more)." if half else ".")
        )
    return told


def _mean(fits: list[dict[str, float]]) -> dict[str, float]:
    if not fits:
        return {metric.column: float("nan") for _, metric in MEASURES}
    with np.errstate(invalid="ignore"):
        columns = {key: np.array([one[key] for one in fits]) for key in fits[0]}
    return {
        key: float(np.mean(known)) if len(known := column[~np.isnan(column)]) else float("nan")
        for key, column in columns.items()
    }
