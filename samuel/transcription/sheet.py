"""A band's recording -> its lead sheet."""

from itertools import pairwise

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samuel.audio import is_silent, resample
from samuel.config import SAMPLE_RATE
from samuel.harmonizing.beats import find_grid
from samuel.harmonizing.chords import joined
from samuel.harmonizing.key import find_key
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.chord import parse_chord
from samuel.lead_sheet.energy import energy_of
from samuel.lead_sheet.locks import Locks
from samuel.transcription import beats, chords


def transcribe(accompaniment: Float[Tensor, "2 samples"]) -> LeadSheet:
    """Beats, downbeats, metre, chords, key and energy of a band at 44.1 kHz, as well as they are heard.

    Nothing is known of silence, and of less than a second.
    """
    seconds = accompaniment.shape[-1] / SAMPLE_RATE
    if seconds < chords.LEAST_SECONDS or is_silent(accompaniment):
        return LeadSheet()
    mono = accompaniment.mean(dim=0, keepdim=True)
    onsets = beats.onset_curves(resample(mono, SAMPLE_RATE, beats.RATE)[0].numpy())
    names, scores = chords.chord_scores(resample(mono, SAMPLE_RATE, chords.RATE)[0].numpy())
    changes = np.flatnonzero(np.diff(chords.chord_path(scores, chords.CHANGE))) + 1
    seconds_of = (changes * chords.FRAME).tolist()
    curves = np.stack([beats.beat_curve(onsets, seconds_of), beats.downbeat_curve(onsets, seconds_of)])
    grid = find_grid(curves, seconds, Locks(), beats.SPREAD)
    edges = np.append(grid.beats, seconds)
    path = chords.chord_path(chords.by_beats(scores, edges), chords.CHANGE_BY_BEATS)
    found = joined(
        [
            parse_chord(names[at], float(start), float(end))
            for at, (start, end) in zip(path.tolist(), pairwise(edges), strict=True)
            if end > start
        ]
    )
    weights = np.zeros(12)
    for chord in found:
        weights[list(chord.pitch_classes)] += chord.end - chord.start
    key, _ = find_key(weights)
    return LeadSheet(
        beats=grid.beats,
        downbeats=grid.downbeats,
        chords=found,
        key=key if weights.any() else None,
        metre=grid.metre,
        energy=energy_of(accompaniment),
        unsure=grid.unsure,
    )
