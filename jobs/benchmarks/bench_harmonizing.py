"""How right the lead sheets are that are found in voices, and where the loss is: with parts of the true one given.

Writes one Markdown table, of rendered songs whose truth is known. One thread.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from jobs.benchmarks.page import Out, Record, app_of, publish
from samuel.audio import decode
from samuel.config import SAMPLE_RATE
from samuel.evaluation.chosen import MEASURES, agreement
from samuel.evaluation.statistics import estimate, paired_difference, text
from samuel.harmonizing import find_lead_sheet
from samuel.harmonizing.harmonizer import harmonized
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.locks import Locks
from samuel.rendering.library import score_name
from samuel.rendering.song import ANNOTATIONS
from samuel.vocals import VocalFeatures, extract_features, normal_form


def sheets(features: VocalFeatures, seconds: float, true: LeadSheet) -> Iterator[tuple[str, LeadSheet]]:
    """What was given, and the lead sheet found around it."""
    found = find_lead_sheet(features, seconds)
    key = Locks(key=true.key)
    yield "nothing", found
    yield "metre", find_lead_sheet(features, seconds, Locks(metre=true.metre))
    phases = [replace(found, downbeats=found.beats[n :: found.metre.beats]) for n in range(found.metre.beats)]
    best = max(phases, key=lambda one: agreement(true, one, seconds)["downbeats"])
    yield "which found beat is the first of the bar", harmonized(replace(best, chords=()), features)
    yield "key", find_lead_sheet(features, seconds, key)
    grid = LeadSheet(beats=true.beats, downbeats=true.downbeats, metre=true.metre)
    yield "beats, downbeats", harmonized(grid, features)
    yield "beats, downbeats, key", harmonized(grid, features, key)


def main(
    songs: Annotated[list[Path], typer.Option(help="Stems folders of render_songs.py; may be repeated.")],
    only: Annotated[
        Path | None,
        typer.Option(help="A file of song ids, one a line: only these. Default: all that are there."),
    ] = None,
    out: Out = None,
    record: Record = False,
) -> None:
    torch.set_num_threads(1)
    wanted = {score_name(one) for one in only.read_text().split()} if only else None
    paths = [path for folder in songs for path in sorted(folder.glob(f"*/{ANNOTATIONS}"))]
    paths = [path for path in paths if wanted is None or score_name(path.parent.name) in wanted]
    rows: dict[str, list[dict[str, float]]] = {}
    for path in paths:
        vocals = decode(path.parent / "vocals.flac")
        seconds = vocals.shape[-1] / SAMPLE_RATE
        features = extract_features(normal_form(vocals))
        true = LeadSheet.from_dict(json.loads(path.read_text())).between(0.0, seconds)
        for given, sheet in sheets(features, seconds, true):
            rows.setdefault(given, []).append(agreement(true, sheet, seconds))
    lines = [
        f"{len(paths)} voices; means with 95% intervals over songs:",
        "",
        "| given | "
        + " | ".join(metric.label for metric in MEASURES)
        + " | triads, more than with nothing given |",
        "|---" * (len(MEASURES) + 2) + "|",
    ]
    without = np.array([row["triads"] for row in rows.get("nothing", [])])
    for given, found in rows.items():
        cells = [text(estimate(np.array([one[metric.column] for one in found]))) for metric in MEASURES]
        more = paired_difference(np.array([one["triads"] for one in found]), without)
        lines.append(f"| {given} | " + " | ".join([*cells, text(more, "+")]) + " |")
    publish("\n".join(lines) + "\n", out, record)


if __name__ == "__main__":
    app_of(main)()
