"""What is known of a song's harmony, pulse and rests, and how well a recording fits it.

Of rendered songs it is written beside their stems (annotations.json); of real songs it is estimated from the true
accompaniment, which then fits it by construction: there, only the distance from other songs says something.
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from samuel.evaluation.dynamics import level_agreement, rests_kept
from samuel.evaluation.features import FRAME_RATE, AudioFeatures
from samuel.evaluation.harmony import Chord, chord_accuracy, chord_fit, key_fit, key_of, key_score, triad
from samuel.evaluation.metrics import Metric
from samuel.evaluation.rhythm import accent, beat_continuity, beat_f1
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.chord_names import key_name

HARMONY, RHYTHM, DYNAMICS = "harmony", "rhythm", "dynamics"
MEASURES: tuple[tuple[str, Metric], ...] = (
    (
        HARMONY,
        Metric(
            "chord_fit", "chord fit", "mean correlation of the chroma with the true chords' tones", "higher"
        ),
    ),
    (
        HARMONY,
        Metric(
            "chord_accuracy", "chords right", "share of the time in which the best triad is right", "higher"
        ),
    ),
    (
        HARMONY,
        Metric("key_fit", "key fit", "correlation of the mean chroma with the true key's profile", "higher"),
    ),
    (HARMONY, Metric("key_score", "key", "MIREX score of the key that is heard", "higher")),
    (
        RHYTHM,
        Metric(
            "accent",
            "accent on beats",
            "onset strength at the true beats, in deviations above its mean",
            "higher",
        ),
    ),
    (
        RHYTHM,
        Metric("beat_f1", "beat F1", "beats that librosa tracks, within 70 ms of the true ones", "higher"),
    ),
    (
        RHYTHM,
        Metric("beat_continuity", "beats AMLt", "the same at any metrical level (mir_eval AMLt)", "higher"),
    ),
    (DYNAMICS, Metric("level", "level", "correlation with the true band's level, in seconds", "higher")),
    (DYNAMICS, Metric("rests", "rests", "share of the true band's rests that are kept", "higher")),
)


@dataclass(frozen=True)
class ReferenceAnnotations:
    """Of one song, times in seconds from the start of the excerpt."""

    beats: Float[Array, " beat"]
    chords: tuple[Chord, ...]
    key: str
    accompaniment: AudioFeatures
    """The true accompaniment."""
    estimated: bool = False


def from_annotations(text: str, start: float, seconds: float, band: AudioFeatures) -> ReferenceAnnotations:
    """The part of a song from `start` on, `seconds` long, of an annotations.json."""
    about: dict[str, Any] = json.loads(text)
    stop = start + seconds
    beats = np.array([beat - start for beat in about["beats"] if start <= beat < stop], dtype=np.float32)
    chords = tuple(
        (max(start, first) - start, min(stop, last) - start, name)
        for first, last, name in about["chords"]
        if first < stop and last > start
    )
    return ReferenceAnnotations(beats, chords, about["key"], band)


def asked_for(sheet: LeadSheet, band: AudioFeatures) -> ReferenceAnnotations:
    """A lead sheet as the reference: what a band that was given it should play."""
    chords = tuple((chord.start, chord.end, chord.label) for chord in sheet.chords)
    return ReferenceAnnotations(
        np.array(sheet.beats), chords, key_name(sheet.key) if sheet.key else "X", band
    )


def estimate_reference(band: AudioFeatures) -> ReferenceAnnotations:
    """Beats as librosa tracks them, the best triad of each two beats, and the key, all from the true accompaniment."""
    borders = band.beats[::2].tolist()
    chords = []
    for first, last in pairwise(borders):
        frames = slice(int(first * FRAME_RATE), max(int(first * FRAME_RATE) + 1, int(last * FRAME_RATE)))
        chords.append((first, last, triad(band.chroma[:, frames].mean(axis=1))))
    return ReferenceAnnotations(band.beats, tuple(chords), key_of(band.chroma), band, estimated=True)


def scores_of(reference: ReferenceAnnotations, estimated: AudioFeatures) -> dict[str, float]:
    """`MEASURES` of a recording against a song; NaN where the song has nothing to compare with."""
    return {
        "chord_fit": chord_fit(reference.chords, estimated.chroma),
        "chord_accuracy": chord_accuracy(reference.chords, estimated.chroma),
        "key_fit": key_fit(reference.key, estimated.chroma) if reference.key != "X" else float("nan"),
        "key_score": key_score(reference.key, key_of(estimated.chroma))
        if reference.key != "X"
        else float("nan"),
        "accent": accent(reference.beats, estimated.onset_strength),
        "beat_f1": beat_f1(reference.beats, estimated.beats),
        "beat_continuity": beat_continuity(reference.beats, estimated.beats),
        "level": level_agreement(reference.accompaniment.level, estimated.level),
        "rests": rests_kept(reference.accompaniment.level, estimated.level),
    }
