"""Scores into what people read: one self-contained HTML file, and the same tables in Markdown."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from samuel.evaluation import figures, paper
from samuel.evaluation.efficiency import Timing
from samuel.evaluation.metrics import AESTHETICS, GROUPS, Group, Metric
from samuel.evaluation.musicnn import NAME, PATCH_SECONDS
from samuel.evaluation.scores import values
from samuel.evaluation.statistics import CONFIDENCE, FEW, Estimate, estimate, paired_difference

TEMPLATE = Path(__file__).with_name("report.html.j2")
TRUTH_NAME = "truth"
"""A system of this name is what the others are compared with, and competes with none."""
MOST_ROWS = 500
"""Of the table of tracks: a browser sorts so many in no time. All are in scores.csv."""
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
    """Each other system minus the first, on the tracks that both have: the first, the others, a row a metric."""
    first, *others = [name for name, kind in systems_of(scores) if kind == "system"]
    tracks = sorted(set(scores["track"].to_pylist()))
    rows = []
    for metric in (metric for group in GROUPS for metric in group.metrics if known(scores, metric)):
        base = values(scores, first, metric.column, tracks)
        pairs = [paired_difference(values(scores, name, metric.column, tracks), base) for name in others]
        rows.append((metric, [cell(pair, metric, sign="+") for pair in pairs]))
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


def best_and_worst(scores: pa.Table, count: int) -> list[tuple[str, str]]:
    """(track, why) of the first system's best and worst tracks, `count` of each, by the first known of `RANKED_BY`."""
    names = [name for name, kind in systems_of(scores) if kind == "system"]
    names.sort(key=lambda name: name == TRUTH_NAME)  # its tracks are neither good nor bad
    metric = next(
        (
            m
            for column in RANKED_BY
            for g in GROUPS
            for m in g.metrics
            if m.column == column and known(scores, m)
        ),
        None,
    )
    if not names or metric is None:
        return []
    own = scores.filter(pc.and_(pc.equal(scores["system"], names[0]), pc.is_finite(scores[metric.column])))
    ranked = own.sort_by([(metric.column, "descending")])
    pairs = list(zip(ranked["track"].to_pylist(), ranked[metric.column].to_pylist(), strict=True))
    count = min(count, len(pairs) // 2)
    shown = (
        [(*pair, "among the best") for pair in pairs[:count]]
        + [(*pair, "among the worst") for pair in pairs[-count:]]
        if count
        else [(*pair, "") for pair in pairs]
    )
    return [
        (track, f"{why} of {names[0]}: {metric.label} {value:.{metric.digits}f}")
        for track, value, why in shown
    ]


def plot(scores: pa.Table, group: Group) -> str:
    """The distribution over tracks of each metric of a group that is known."""
    names = systems_of(scores)
    return figures.strips(
        [
            (m.label, [(name, kind, values(scores, name, m.column)) for name, kind in names])
            for m in group.metrics
        ]
    )


def markdown(scores: pa.Table, facts: Facts) -> str:
    """The report's tables, for a README or a pull request."""
    lines = [f"# Evaluation, {facts.made}", ""]
    lines += [f"- {notice}" for notice in facts.notices] + [""]
    for group, rows in tables(scores):
        lines += [f"## {group.title}", "", group.note, ""]
        lines += _markdown_table([m.label for m in group.metrics], rows)
        if group is AESTHETICS:
            lines += [
                f"| {q.system} (the paper's) | {paper.TRACKS} | {q.PQ} | {q.PC} | {q.CE} | {q.CU} |"
                for q in paper.TABLE_I
            ]
        lines.append("")
    if facts.frechet:
        lines += [
            f"## Fréchet distance ({NAME}, {facts.frechet_vectors} vectors a side)",
            "",
            "| | distance |",
            "|---|---|",
        ]
        lines += [f"| {name} | {distance:.1f} |" for name, distance in facts.frechet.items()] + [""]
    if facts.timings:
        lines += [
            "## Efficiency (Table II)",
            "",
            "| | parameters | seconds | audio | x real time | peak memory | on |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {t.system} | {t.parameters / 1e6:.1f} M | {t.seconds:.1f} | {t.audio_seconds:.2f} s | {t.real_time:.2f} | {t.peak_gb:.1f} GB | {t.hardware} |"
            for t in facts.timings
        ]
        lines += [
            f"| {s.system} (the paper's) | {s.parameters / 1e6:.0f} M | {s.seconds} | {paper.SECONDS} s | | | unnamed |"
            for s in paper.TABLE_II
        ]
    return "\n".join(lines) + "\n"


def html(scores: pa.Table, facts: Facts, examples: Sequence[Example] = ()) -> str:
    """The whole report as one page without outside files."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    shown = [metric for group in GROUPS for metric in group.metrics if known(scores, metric)]
    own = scores.filter(pc.is_in(scores["kind"], pa.array(["system"])))
    return environment.from_string(TEMPLATE.read_text()).render(
        facts=facts,
        few=[(name, n) for name, n in _counts(scores) if n < FEW],
        least=FEW,
        confidence=round(100 * CONFIDENCE),
        paper=paper,
        tables=[(group, rows, plot(scores, group)) for group, rows in tables(scores)],
        aesthetics=AESTHETICS,
        have_aesthetics=any(known(scores, m) for m in AESTHETICS.metrics),
        differences=differences(scores),
        embedding=f"{NAME}, a vector for each {PATCH_SECONDS:.1f} s",
        examples=examples,
        metrics=shown,
        rows=own.slice(0, MOST_ROWS).to_pylist(),
        row_count=len(own),
        errors=own.filter(pc.not_equal(own["error"], "")).to_pylist(),
    )


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


def _counts(scores: pa.Table) -> list[tuple[str, int]]:
    good = scores.filter(pc.and_(pc.equal(scores["kind"], "system"), pc.equal(scores["error"], "")))
    names = good["system"].to_pylist()
    return [(name, names.count(name)) for name in dict.fromkeys(names)]


def known(scores: pa.Table, metric: Metric) -> bool:
    return bool(pc.any(pc.is_finite(scores[metric.column])).as_py())


def _with_best(scores: pa.Table, group: Group, rows: list[Row]) -> list[Row]:
    """Marks the best mean among systems in each column where one way is better; none where only one system is."""
    systems = [row for row in rows if row.kind == "system" and row.name != TRUTH_NAME]
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


def _markdown_table(labels: Sequence[str], rows: Sequence[Row]) -> list[str]:
    lines = ["| | n | " + " | ".join(labels) + " |", "|---" * (len(labels) + 2) + "|"]
    for row in rows:
        cells = [f"{one.mean} ({one.interval})" if one.interval else one.mean for one in row.cells]
        lines.append(f"| {row.name} | {row.n} | " + " | ".join(cells) + " |")
    return lines
