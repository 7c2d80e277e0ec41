"""Records of all systems into scores: one row a track and system, ready for Parquet, CSV and the report.

A row's `kind` is "system", "anchor" (silence, noise, click track, the vocals) or "shuffled": a system's track beside
the vocals and the reference of `SHUFFLES` other tracks, their mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float
from numpy import ndarray as Array

from samuel.evaluation.agreement import with_reference, with_vocals
from samuel.evaluation.distribution import frechet_distance
from samuel.evaluation.metrics import METRICS
from samuel.evaluation.musicnn import DIMENSIONS
from samuel.evaluation.record import TrackRecord

Tracks = Mapping[str, TrackRecord]
"""A system's records by track."""

SHUFFLES = 5
SHUFFLED = "{}, shuffled"

SCHEMA = pa.schema(
    [("system", pa.string()), ("kind", pa.string()), ("track", pa.string()), ("source", pa.string())]
    + [("error", pa.string()), ("seconds", pa.float64())]
    + [(metric.column, pa.float64()) for metric in METRICS]
)


@dataclass(frozen=True)
class EvaluationRecords:
    """All records of an evaluation, by system and track; vocals and reference may be empty."""

    systems: Mapping[str, Tracks]
    vocals: Tracks
    reference: Tracks
    anchors: Mapping[str, TrackRecord]
    sources: Mapping[tuple[str, str], str]
    """Where a (system, track) came from."""

    def anchor_tracks(self) -> dict[str, Tracks]:
        """Each anchor beside every track that has something to be compared with, and the vocals as an anchor."""
        first = next(iter(self.systems.values()), {})
        tracks = {**self.vocals, **self.reference} or first
        anchors: dict[str, Tracks] = {name: dict.fromkeys(tracks, one) for name, one in self.anchors.items()}
        return anchors | ({"the vocals themselves": self.vocals} if self.vocals else {})


def uncompared(compared: Mapping[str, Tracks]) -> list[str]:
    """A line for each group of records that lacks some, with the first one's reason: nothing is compared with those."""
    lines = []
    for name, tracks in compared.items():
        errors = {track: record.error for track, record in tracks.items() if record.error}
        if errors:
            first, reason = next(iter(errors.items()))
            lines.append(
                f"{name}: {len(errors)} of {len(tracks)} could not be heard, so nothing is compared with them: "
                f"{first}: {reason}{', ...' if len(errors) > 1 else ''}"
            )
    return lines


def score(evaluation: EvaluationRecords) -> pa.Table:
    """One row a track and system, anchor or shuffle; what a row lacks is null."""
    rows = []
    for name, tracks in evaluation.systems.items():
        rows += score_tracks(name, "system", tracks, evaluation)
        rows += score_shuffled(name, tracks, evaluation)
    for name, tracks in evaluation.anchor_tracks().items():
        rows += score_tracks(name, "anchor", tracks, evaluation)
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def score_tracks(
    system: str, kind: str, records: Tracks, evaluation: EvaluationRecords
) -> list[dict[str, object]]:
    """A row for each record, compared with the vocals and the reference of its own track where they are known."""
    rows = []
    for track, record in records.items():
        row: dict[str, object] = {"system": system, "kind": kind, "track": track, "error": record.error}
        row |= {
            "source": evaluation.sources.get((system, track), ""),
            "seconds": record.seconds,
        } | record.figures
        if not record.error:
            row |= _compared(record, evaluation, track)
        rows.append(row)
    return rows


def score_shuffled(system: str, records: Tracks, evaluation: EvaluationRecords) -> list[dict[str, object]]:
    """A row for each track, compared with vocals and reference of other tracks; none where there is one track only."""
    good = [track for track, record in records.items() if not record.error]
    rows = []
    for track in good:
        compared = [
            _compared(records[track], evaluation, other) for other in others_of(good, track, SHUFFLES)
        ]
        columns = {column for one in compared for column in one}
        means = {
            column: float(np.mean([one[column] for one in compared if column in one])) for column in columns
        }
        if means:
            name = {"system": SHUFFLED.format(system), "kind": "shuffled", "track": track, "error": ""}
            rows.append(name | {"source": "", "seconds": records[track].seconds} | means)
    return rows


def others_of(tracks: list[str], track: str, most: int) -> list[str]:
    """Up to `most` mismatched tracks: those that follow in the list, from its start again."""
    place = tracks.index(track)
    return [tracks[(place + step) % len(tracks)] for step in range(1, min(most, len(tracks) - 1) + 1)]


def values(
    table: pa.Table, system: str, column: str, tracks: list[str] | None = None
) -> Float[Array, " track"]:
    """A system's figures by track (in the order of `tracks`, if given); NaN where it has none."""
    own = table.filter(pc.equal(table["system"], system))
    figures = {
        track: np.nan if value is None else value
        for track, value in zip(own["track"].to_pylist(), own[column].to_pylist(), strict=True)
    }
    return np.array([figures.get(track, np.nan) for track in (tracks or list(figures))], dtype=np.float64)


def frechet_distances(systems: Mapping[str, Tracks], reference: Tracks) -> tuple[dict[str, float], int]:
    """Each system's Fréchet distance from the reference, and the number of vectors a side.

    The tracks are dealt into two halves, and a system's tracks of one half stand beside the reference of the other, both
    ways, so that no song is on both sides: the true tracks themselves get what sheer chance leaves, the best that
    a system can do. Distances fall with the number of vectors, so all are of as many (taken evenly) as the
    smallest half of any has.
    """
    halves = {name: _halves(tracks) for name, tracks in systems.items()}
    halves = {name: both for name, both in halves.items() if min(map(len, both)) > 1}
    real = _halves(reference)
    size = min([len(half) for both in (real, *halves.values()) for half in both], default=0)
    if size < 2:
        return {}, size
    one, other = (_evenly(half, size) for half in real)
    return {
        name: (frechet_distance(_evenly(first, size), other) + frechet_distance(_evenly(second, size), one))
        / 2
        for name, (first, second) in halves.items()
    }, size


def _compared(record: TrackRecord, evaluation: EvaluationRecords, track: str) -> dict[str, float]:
    compared: dict[str, float] = {}
    vocals, reference = evaluation.vocals.get(track), evaluation.reference.get(track)
    if vocals and not vocals.error:
        compared |= with_vocals(vocals.features, record.features)
    if reference and not reference.error:
        compared |= with_reference(reference.features, record.features)
    return compared


def _halves(tracks: Tracks) -> tuple[Array, Array]:
    """The vectors of every second track, from the first and from the second."""
    good = [tracks[name].embedding for name in sorted(tracks) if not tracks[name].error]
    nothing = [np.zeros((0, DIMENSIONS), dtype=np.float32)]
    return np.concatenate(nothing + good[::2]), np.concatenate(nothing + good[1::2])


def _evenly(vectors: Array, count: int) -> Array:
    return vectors[np.linspace(0, len(vectors) - 1, count).round().astype(int)]
