"""How right the lead sheets are that a POPDB's real songs get, on rendered songs whose lead sheets are known, and what they cost.

Writes one Markdown table: the band itself, the band out of its latents (what `build_popdb.py` hears), and what
librosa and templates of chroma find. One thread.
"""

import json
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import torch
import typer
from jaxtyping import Float
from torch import Tensor

from jobs.benchmarks.page import Record, app_of, publish
from samuel.codec import load_codec
from samuel.config import SAMPLE_RATE
from samuel.evaluation.chosen import MEASURES, agreement
from samuel.evaluation.features import audio_features
from samuel.evaluation.reference import estimate_reference
from samuel.evaluation.tables import markdown_table, mean_cell
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.chord import parse_chord
from samuel.lead_sheet.sheet import parse_key
from samuel.rendering.song import ANNOTATIONS
from samuel.stems.reading import read_stems
from samuel.transcription import transcribe


def by_templates(audio: Float[Tensor, "2 samples"]) -> LeadSheet:
    """Beats by librosa, and the triad of every two of them that fits the chroma best; no downbeats."""
    found = estimate_reference(audio_features(audio))
    edges = pairwise(dict.fromkeys(round(float(beat), 4) for beat in found.beats))
    beats = tuple(start for start, _ in edges)
    chords = tuple(
        parse_chord(name, float(start), float(end)) for start, end, name in found.chords if start < end
    )
    return LeadSheet(beats=beats, chords=chords, key=parse_key(found.key) if found.key != "X" else None)


def main(
    songs: Annotated[list[Path], typer.Option(help="Stems folders of render_songs.py; may be repeated.")],
    limit: Annotated[int | None, typer.Option(min=2, help="Only so many songs.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "--output", help="Write the table into this file.")
    ] = None,
    record: Record = False,
) -> None:
    torch.set_num_threads(1)
    codec = load_codec("mini", "cpu")
    ways = {
        "the band": transcribe,
        "the band out of its latents": transcribe,
        "librosa, chroma templates": by_templates,
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    spent, seconds = dict.fromkeys(ways, 0.0), 0.0
    paths = sorted(
        (path for folder in songs for path in folder.glob(f"*/{ANNOTATIONS}")),
        key=lambda one: one.parent.name[-8:],
    )
    transcribe(torch.zeros(2, 1))
    for path in paths[:limit]:
        band = read_stems(str(path.parent)).accompaniment
        length = band.shape[-1] / SAMPLE_RATE
        reference = replace(LeadSheet.from_dict(json.loads(path.read_text())), energy=()).between(0.0, length)
        decoded = codec.decode(codec.encode(band[None]))[0, :, : band.shape[-1]]
        seconds += length
        for name, way in ways.items():
            start = time.process_time()
            sheet = way(decoded if "latents" in name else band)
            spent[name] += time.process_time() - start
            found[name].append(agreement(reference, sheet, length))
    lines = [
        f"{len(paths[:limit])} rendered songs of {seconds / len(paths[:limit]):.0f} s; means with 95% intervals over songs:",
        "",
    ]
    rows = [
        (metric.label, *(mean_cell([one[metric.column] for one in some]) for some in found.values()))
        for metric in MEASURES
    ]
    rows.append(("x real time", *(f"{seconds / max(one, 1e-9):.0f}" for one in spent.values())))
    lines += markdown_table(list(ways), rows)
    publish("\n".join(lines), out, record)


if __name__ == "__main__":
    app_of(main)()
