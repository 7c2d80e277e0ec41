"""Whether the lead sheet that a voice suggests is the song's own, and how well its chords carry the melody.

Apart from how well a band obeys it. Many harmonies fit one melody: so beside each agreement stands how well the found
chords carry the sung notes, and how well the song's own do (Yeh et al., arXiv 2001.02360).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import mir_eval
import numpy as np

from samuel.evaluation.metrics import Metric
from samuel.evaluation.rhythm import beat_f1
from samuel.evaluation.statistics import paired_difference, text
from samuel.evaluation.tables import markdown_table, mean_cell
from samuel.harmonizing.melody_fit import Notes, melody_fit
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.chord import Chord
from samuel.lead_sheet.chord_names import key_name

TEMPO_TOLERANCE = 0.04
MEASURES = (
    Metric(
        "triads", "triads right", "share of the time in which the triad is the song's (mir_eval)", "higher"
    ),
    Metric("roots", "roots right", "the same of roots", "higher"),
    Metric("key", "key", "MIREX score", "higher"),
    Metric("tempo", "tempo right", "within 4% of the song's, its half or its double", "higher"),
    Metric("beats", "beats F1", "within 70 ms, after five seconds", "higher"),
    Metric("beats_there", "beats F1 where the tempo is right", "the same, of those songs", "higher"),
    Metric("downbeats", "downbeats F1", "the same of first beats of bars", "higher"),
    Metric("metre", "metre", "share of songs with the right number of beats in a bar", "higher"),
)
CARRIED = (
    Metric("ctnctr", "CTnCTR", "chord tones, and steps on to them, of the sung notes", "higher"),
    Metric("pcs", "PCS", "consonance with the chord, -1 to 1", "higher"),
    Metric("mctd", "MCTD", "tonal distance from the chord", "lower"),
)


@dataclass(frozen=True)
class Choice:
    """Of one song: the found lead sheet, the song's own, another song's, and its sung notes in seconds."""

    found: LeadSheet
    own: LeadSheet
    another: LeadSheet
    notes: Notes
    seconds: float


def agreement(reference: LeadSheet, sheet: LeadSheet, seconds: float) -> dict[str, float]:
    """`MEASURES` of a lead sheet against the song's own; NaN where there is nothing to compare."""
    nan = float("nan")
    triads, roots = chords_right(reference.chords, sheet.chords, seconds)
    ratio = (sheet.bpm or nan) / (reference.bpm or nan)
    tempo = nan
    if not np.isnan(ratio):
        tempo = float(min(abs(ratio / octave - 1) for octave in (0.5, 1, 2)) <= TEMPO_TOLERANCE)
    beats = beat_f1(np.array(reference.beats), np.array(sheet.beats)) if reference.beats else nan
    downbeats = nan
    if reference.downbeats:
        downbeats = beat_f1(np.array(reference.downbeats), np.array(sheet.downbeats))
    key = nan
    if reference.key and sheet.key:
        key = float(mir_eval.key.weighted_score(key_name(reference.key), key_name(sheet.key)))
    return {
        "triads": triads,
        "roots": roots,
        "key": key,
        "tempo": tempo,
        "beats": beats,
        "beats_there": beats if tempo == 1 else nan,
        "downbeats": downbeats,
        "metre": float(reference.metre.beats == sheet.metre.beats) if reference.downbeats else nan,
    }


def carried(notes: Notes, sheet: LeadSheet) -> dict[str, float]:
    """`CARRIED` of the sung notes by a lead sheet's chords."""
    fit = melody_fit(notes, sheet.chords, 15 / (sheet.bpm or 120))
    return {"ctnctr": fit.ctnctr, "pcs": fit.pcs, "mctd": fit.mctd}


def chosen_table(choices: Sequence[Choice]) -> list[str]:
    """Lines of Markdown, with 95% intervals over songs."""
    sheets = {name: [getattr(one, name) for one in choices] for name in ("found", "own", "another")}
    agree = {
        name: [
            agreement(one.own, sheet, one.seconds) for one, sheet in zip(choices, sheets[name], strict=True)
        ]
        for name in ("found", "another")
    }
    carry = {
        name: [carried(one.notes, sheet) for one, sheet in zip(choices, sheets[name], strict=True)]
        for name in sheets
    }
    agreed = []
    for metric in MEASURES:
        found, another = (mean_cell([one[metric.column] for one in agree[name]]) for name in agree)
        agreed.append((metric.label, f"**{found}**", another))
    sung = []
    for metric in CARRIED:
        values = {name: np.array([one[metric.column] for one in carry[name]]) for name in sheets}
        found, own, another = (mean_cell(values[name]) for name in sheets)
        margin = text(paired_difference(values["found"], values["own"]), "+")
        sung.append((f"{metric.label} ({metric.better} is better)", f"**{found}**", own, another, margin))
    return [
        *markdown_table(("found in the voice", "another song's lead sheet"), agreed),
        "",
        "The sung notes under the chords:",
        "",
        *markdown_table(("found", "the song's own", "another song's", "found minus own"), sung),
    ]


def chords_right(reference: Sequence[Chord], found: Sequence[Chord], seconds: float) -> tuple[float, float]:
    """Shares of the time (mir_eval) in which the triad, and the root, is the reference's; NaN without a reference."""
    if not reference:
        return float("nan"), float("nan")
    sides = []
    for chords in (reference, found):
        times = np.array([[chord.start, chord.end] for chord in chords]).reshape(-1, 2)
        labels = [chord.label for chord in chords]
        if not labels:
            times, labels = np.array([[0.0, seconds]]), ["N"]
        sides.append(mir_eval.util.adjust_intervals(times, labels, 0.0, seconds, "N", "N"))
    times, one, other = mir_eval.util.merge_labeled_intervals(*sides[0], *sides[1])
    lengths = mir_eval.util.intervals_to_durations(times)
    triads, roots = (
        float(mir_eval.chord.weighted_accuracy(compare(one, other), lengths))
        for compare in (mir_eval.chord.triads, mir_eval.chord.root)
    )
    return triads, roots
