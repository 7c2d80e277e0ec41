"""Scores into what people read: one self-contained HTML file, and the same tables in Markdown."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from samuel.evaluation import figures, paper
from samuel.evaluation.efficiency import Timing
from samuel.evaluation.metrics import AESTHETICS, GROUPS, Group, Metric
from samuel.evaluation.musicnn import NAME, PATCH_SECONDS
from samuel.evaluation.record import TrackRecord
from samuel.evaluation.scores import values
from samuel.evaluation.statistics import CONFIDENCE, FEW, Estimate, estimate, paired_difference
from samuel.evaluation.tables import markdown_table

TEMPLATE = Path(__file__).with_name("report.html.j2")
REFERENCE_SYSTEM = "truth"
"""A system of this name is what the others are compared with, and competes with none."""
MOST_ERRORS = 10
MOST_ROWS = 300
"""Of the table of tracks, with a preview of some 40 kB each: the best and the worst tracks. All are in scores.csv."""
RANKED_BY = ("CE", "truth_chroma", "vocals_chroma")
"""The first of these that is known decides which tracks are the best and the worst."""


@dataclass(frozen=True)
class Sound:
    """A player in the report: who, ten seconds, and how they look."""

    name: str
    sound: str
    picture: str
    mix: str = ""
    """The same together with the vocals."""


@dataclass(frozen=True)
class Example:
    """A track to listen to: all systems' versions."""

    track: str
    why: str
    sounds: tuple[Sound, ...]


@dataclass(frozen=True)
class Facts:
    """What the report says beside the scores."""

    made: str
    notices: Sequence[str] = ()
    frechet: dict[str, float] = field(default_factory=dict)
    frechet_vectors: int = 0
    timings: Sequence[Timing] = ()
    tools: Sequence[str] = ()
    """What judged: packages, weights."""


@dataclass(frozen=True)
class Cell:
    """A mean with its interval as text; `best` marks the best system of its column."""

    mean: str
    interval: str = ""
    best: bool = False


@dataclass(frozen=True)
class Row:
    name: str
    kind: str
    n: int
    cells: tuple[Cell, ...]


def tables(scores: pa.Table) -> list[tuple[Group, list[Row]]]:
    """A table for each group with the metrics that any row has: systems first, then shuffles and anchors."""
    found = []
    for whole in GROUPS:
        group = replace(whole, metrics=tuple(metric for metric in whole.metrics if known(scores, metric)))
        rows = []
        for name, kind in systems_of(scores):
            estimates = [estimate(values(scores, name, metric.column)) for metric in group.metrics]
            if any(one.n for one in estimates):
                cells = tuple(cell(one, m) for one, m in zip(estimates, group.metrics, strict=True))
                rows.append(Row(name, kind, max(one.n for one in estimates), cells))
        if rows:
            found.append((group, _with_best(scores, group, rows)))
    return found


def differences(scores: pa.Table) -> tuple[str, list[str], list[tuple[Metric, list[Cell]]]]:
    """Each other system minus the first, on the tracks that both have: the first, the others, a row a metric.

    `best` marks a difference whose interval is on one side of 0.
    """
    first, *others = [name for name, kind in systems_of(scores) if kind == "system"]
    tracks = sorted(set(scores["track"].to_pylist()))
    rows = []
    for metric in (metric for group in GROUPS for metric in group.metrics if known(scores, metric)):
        base = values(scores, first, metric.column, tracks)
        pairs = [paired_difference(values(scores, name, metric.column, tracks), base) for name in others]
        cells = [replace(cell(pair, metric, sign="+"), best=pair.low * pair.high > 0) for pair in pairs]
        rows.append((metric, cells))
    return first, others, rows


def systems_of(scores: pa.Table) -> list[tuple[str, str]]:
    """Names and kinds in the order of the table: systems, then shuffles, then anchors."""
    seen = dict(zip(scores["system"].to_pylist(), scores["kind"].to_pylist(), strict=True))
    return sorted(seen.items(), key=lambda pair: ("system", "shuffled", "anchor").index(pair[1]))


def cell(one: Estimate, metric: Metric, sign: str = "") -> Cell:
    """An estimate as text; "–" where there is none."""
    if not one.n:
        return Cell("–")
    form = f"{{:{sign}.{metric.digits}f}}"
    interval = (
        ""
        if np.isnan(one.low) or one.low == one.high
        else f"{form.format(one.low)} to {form.format(one.high)}"
    )
    return Cell(form.format(one.mean), interval)


def ranking(scores: pa.Table) -> tuple[str, Metric | None, list[tuple[str, float]]]:
    """A system, the first known of `RANKED_BY`, and the system's tracks with their figure, the best first.

    The system is the first that is not the truth, whose tracks are neither good nor bad.
    """
    names = [name for name, kind in systems_of(scores) if kind == "system"]
    names.sort(key=lambda name: name == REFERENCE_SYSTEM)
    metrics = {m.column: m for group in GROUPS for m in group.metrics if known(scores, m)}
    metric = next((metrics[column] for column in RANKED_BY if column in metrics), None)
    if not names or metric is None:
        return "", None, []
    own = scores.filter(pc.and_(pc.equal(scores["system"], names[0]), pc.is_finite(scores[metric.column])))
    ranked = own.sort_by([(metric.column, "descending"), ("track", "ascending")])
    return (
        names[0],
        metric,
        list(zip(ranked["track"].to_pylist(), ranked[metric.column].to_pylist(), strict=True)),
    )


def best_and_worst(scores: pa.Table, count: int) -> list[tuple[str, str]]:
    """(track, why) of the `count` best and the `count` worst tracks of the `ranking`."""
    name, metric, pairs = ranking(scores)
    if metric is None:
        return []
    count = min(count, len(pairs) // 2)
    shown = (
        [(*pair, "among the best") for pair in pairs[:count]]
        + [(*pair, "among the worst") for pair in pairs[-count:]]
        if count
        else [(*pair, "") for pair in pairs]
    )
    return [
        (track, f"{why} of {name}: {metric.column.replace('_', ' ')} {value:.{metric.digits}f}")
        for track, value, why in shown
    ]


def rows_of(scores: pa.Table) -> list[dict[str, Any]]:
    """The systems' rows, track by track: in the order of the `ranking`, then what it lacks."""
    by_track: dict[str, list[dict[str, Any]]] = {track: [] for track, _ in ranking(scores)[2]}
    for row in scores.filter(pc.equal(scores["kind"], "system")).to_pylist():
        by_track.setdefault(row["track"], []).append(row)
    return [row for rows in by_track.values() for row in rows]


def overview(scores: pa.Table) -> list[tuple[str, int, int, float]]:
    """Each system's name, files, files that could not be heard, and minutes of audio."""
    counts: dict[str, tuple[int, int, float]] = {}
    for row in scores.filter(pc.equal(scores["kind"], "system")).to_pylist():
        files, bad, minutes = counts.get(row["system"], (0, 0, 0.0))
        counts[row["system"]] = files + 1, bad + bool(row["error"]), minutes + row["seconds"] / 60
    return [(name, *count) for name, count in counts.items()]


def plot(scores: pa.Table, group: Group) -> str:
    """The distribution over tracks of each metric of a group that is known, and the paper's means."""
    columns = [metric.column for metric in group.metrics]
    lines = [
        (name, kind, [values(scores, name, one) for one in columns]) for name, kind in systems_of(scores)
    ]
    lines = [line for line in lines if not all(np.isnan(one).all() for one in line[2])]
    if group.name == AESTHETICS.name:
        systems = sum(kind == "system" for _, kind, _ in lines)
        lines[systems:systems] = [
            (f"{q.system} (the paper's)", "published", [np.array([getattr(q, one)]) for one in columns])
            for q in paper.TABLE_I
        ]
    return figures.strips(
        [
            (metric.label, [(name, kind, found[place]) for name, kind, found in lines])
            for place, metric in enumerate(group.metrics)
        ]
    )


def markdown(scores: pa.Table, facts: Facts) -> str:
    """The report's tables, for a README or a pull request."""
    lines = [f"# Evaluation, {facts.made}", ""]
    errors = [row for row in rows_of(scores) if row["error"]]
    missing = [
        f"{row['system']}: {row['track']} could not be heard: {row['error']}" for row in errors[:MOST_ERRORS]
    ]
    if len(errors) > MOST_ERRORS:
        missing.append(f"and {len(errors) - MOST_ERRORS} more files; see scores.csv")
    lines += [f"- {notice}" for notice in (*warnings_of(scores), *facts.notices, *missing)] + [""]
    found = tables(scores)
    if AESTHETICS.name not in [group.name for group, _ in found]:
        found.insert(0, (AESTHETICS, []))
    for group, rows in found:
        lines += [f"## {group.title}", "", group.note, ""]
        cells = [_cells(row) for row in rows if row.kind == "system"]
        if group.name == AESTHETICS.name:
            cells += [
                (
                    f"{q.system} (the paper's)",
                    str(paper.TRACKS),
                    *(f"{one:.2f}" for one in (q.PQ, q.PC, q.CE, q.CU)),
                )
                for q in paper.TABLE_I
            ]
        cells += [_cells(row) for row in rows if row.kind != "system"]
        lines += [*markdown_table(["n", *(metric.label for metric in group.metrics)], cells), ""]
    if facts.frechet:
        lines += [f"## Fréchet distance ({NAME}, {facts.frechet_vectors} vectors a side)", ""]
        distances = [(name, f"{distance:.1f}") for name, distance in facts.frechet.items()]
        lines += [*markdown_table(["distance"], distances), ""]
    lines += ["## Efficiency (Table II)", "", *_efficiency(facts.timings)]
    return "\n".join(lines) + "\n"


def _efficiency(timings: Sequence[Timing]) -> list[str]:
    """What each system took here, then what the paper has."""
    rows: list[list[str]] = []
    for t in timings:
        rows.append([t.system, t.conditioning, f"{t.parameters / 1e6:.1f} M", f"{t.seconds:.1f}"])
        rows[-1] += [f"{t.audio_seconds:.2f} s", f"{t.real_time:.2f}", f"{t.peak_gb:.1f} GB", t.hardware]
    for s in paper.TABLE_II:
        rows.append([f"{s.system} (the paper's)", s.conditioning, f"{s.parameters / 1e6:.0f} M", s.time])
        rows[-1] += [f"{paper.SECONDS} s", s.real_time, "", "unnamed"]
    columns = ("hears", "parameters", "seconds", "audio", "x real time", "peak memory", "on")
    return markdown_table(columns, rows)


def html(
    scores: pa.Table,
    facts: Facts,
    examples: Sequence[Example] = (),
    previews: Mapping[tuple[str, str], TrackRecord] | None = None,
) -> str:
    """The whole report as one page without outside files. `previews`: records by (system, track)."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    rows = rows_of(scores)
    shown = rows if len(rows) <= MOST_ROWS else rows[: MOST_ROWS // 2] + rows[-MOST_ROWS // 2 :]
    groups = [(group, [m for m in group.metrics if known(scores, m)]) for group in GROUPS]
    return environment.from_string(TEMPLATE.read_text()).render(
        facts=facts,
        overview=overview(scores),
        warnings=warnings_of(scores),
        confidence=round(100 * CONFIDENCE),
        paper=paper,
        tables=[(group, rows, plot(scores, group)) for group, rows in tables(scores)],
        aesthetics=AESTHETICS,
        have_aesthetics=any(known(scores, m) for m in AESTHETICS.metrics),
        differences=differences(scores),
        embedding=f"{NAME}, a vector for each {PATCH_SECONDS:.1f} s",
        examples=examples,
        groups=[(group, metrics) for group, metrics in groups if metrics],
        rows=[(row, *_preview(previews or {}, row)) for row in shown],
        row_count=len(rows),
        errors=[row for row in rows if row["error"]],
        most_errors=MOST_ERRORS,
    )


def _preview(previews: Mapping[tuple[str, str], TrackRecord], row: dict[str, Any]) -> tuple[str, str]:
    """Sound and picture of a row as URIs, or nothing."""
    record = previews.get((row["system"], row["track"]))
    if record is None or not record.sound:
        return "", ""
    return figures.uri(record.sound, "audio/mpeg"), figures.uri(record.picture, "image/webp")


def csv_of(scores: pa.Table) -> bytes:
    """The scores for a spreadsheet."""
    from pyarrow.csv import write_csv

    buffer = io.BytesIO()
    write_csv(scores, buffer)
    return buffer.getvalue()


def parquet_of(scores: pa.Table) -> bytes:
    from pyarrow.parquet import write_table

    buffer = io.BytesIO()
    write_table(scores, buffer)
    return buffer.getvalue()


def warnings_of(scores: pa.Table) -> list[str]:
    """What a reader should know before believing a figure."""
    good = scores.filter(pc.and_(pc.equal(scores["kind"], "system"), pc.equal(scores["error"], "")))
    names = good["system"].to_pylist()
    few = [f"{name}: {names.count(name)}" for name in dict.fromkeys(names) if names.count(name) < FEW]
    said = (
        f"Few tracks ({', '.join(few)}): under {FEW}, intervals are rough and small differences mean nothing."
    )
    return [said] if few else []


def known(scores: pa.Table, metric: Metric) -> bool:
    return bool(pc.any(pc.is_finite(scores[metric.column])).as_py())


def _with_best(scores: pa.Table, group: Group, rows: list[Row]) -> list[Row]:
    """Marks the best mean among systems in each column where one way is better; none where only one system is."""
    systems = [row for row in rows if row.kind == "system" and row.name != REFERENCE_SYSTEM]
    if len(systems) < 2:
        return rows
    marked = {row.name: list(row.cells) for row in rows}
    for place, metric in enumerate(group.metrics):
        means = {row.name: estimate(values(scores, row.name, metric.column)).mean for row in systems}
        means = {name: mean for name, mean in means.items() if not np.isnan(mean)}
        if metric.better and len(set(means.values())) > 1:
            choose = max if metric.better == "higher" else min
            name = choose(means, key=means.__getitem__)
            old = marked[name][place]
            marked[name][place] = Cell(old.mean, old.interval, best=True)
    return [Row(row.name, row.kind, row.n, tuple(marked[row.name])) for row in rows]


def _cells(row: Row) -> tuple[str, ...]:
    means = (f"{one.mean} ({one.interval})" if one.interval else one.mean for one in row.cells)
    return row.name, str(row.n), *means
