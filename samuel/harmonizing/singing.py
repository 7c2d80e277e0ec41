"""Notes -> the features of somebody singing them: what the beat network learns from beside rendered voices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from samuel.vocals.features import VocalFeatures

POINT = 0.016  # seconds between pitch points


@dataclass(frozen=True)
class Habits:
    """Of one singer in one recording: seconds, semitones, decibels."""

    late: float
    loose: float
    consonant: float
    glide: float
    scoop: float
    vibrato: float
    dip: float
    legato: float
    floor: float
    bleed: float
    missed: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Habits":
        return cls(
            late=rng.uniform(-0.01, 0.05),
            loose=rng.uniform(0.005, 0.04),
            consonant=rng.uniform(0.0, 0.1),
            glide=rng.uniform(0.02, 0.12),
            scoop=rng.uniform(0.0, 1.5),
            vibrato=rng.uniform(0.0, 0.5),
            dip=rng.uniform(2.0, 20.0),
            legato=rng.uniform(0.0, 0.3),
            floor=rng.uniform(-70.0, -30.0),
            bleed=rng.choice([0.0, 0.0, 0.1, 0.3]),
            missed=rng.uniform(0.0, 0.05),
        )


def sing_features(
    notes: Sequence[tuple[float, float, float]], seconds: float, rng: np.random.Generator
) -> VocalFeatures:
    """Notes as (start, end, MIDI pitch) in seconds, sung with habits drawn at random."""
    how = Habits.draw(rng)
    times = np.arange(0, seconds, POINT)
    pitch = np.full(len(times), np.nan)
    level = how.floor + rng.normal(0, 2, len(times))
    before: tuple[float, float] | None = None  # end and pitch of the note before
    for start, end, written in notes:
        if rng.random() < how.missed:
            continue
        begin = start + how.late + rng.normal(0, how.loose)
        end = max(begin + 0.05, end - rng.uniform(0, 0.3) * (end - start))
        voiced = begin + (rng.uniform(0, how.consonant) if rng.random() < 0.6 else 0.0)
        target = written + rng.normal(0, 0.15)
        first, last = np.searchsorted(times, [begin, end])
        since = times[first:last] - begin
        near = before is not None and begin - before[0] < 0.1
        joined = near and rng.random() < how.legato
        loud = rng.normal(0, 2) - rng.uniform(0, 8) * since / (end - begin)
        attack = np.minimum(1, since / rng.uniform(0.01, 0.06) + 0.2)
        level[first:last] = loud + (0 if joined else 20 * np.log10(attack))
        if near and not joined:
            gap = slice(max(0, first - int(rng.integers(1, 5))), first)
            level[gap] = np.minimum(level[gap], -how.dip)
        at = np.searchsorted(times, voiced)
        sung = times[at:last] - voiced
        curve = target + how.vibrato * np.minimum(1, sung / 0.4) * np.sin(
            2 * np.pi * rng.uniform(4.8, 6.8) * sung + rng.uniform(0, 6)
        )
        if near and before is not None:
            curve += (before[1] - target) * np.exp(-sung / (how.glide / 2))
        elif rng.random() < 0.4:
            curve -= how.scoop * np.exp(-sung / 0.06)
        pitch[at:last] = curve
        before = (end, target)
    silent = np.isnan(pitch)
    if how.bleed:
        patches = np.repeat(rng.random(len(times) // 12 + 1) < how.bleed, 12)[: len(times)] & silent
        pitch[patches] = np.repeat(rng.uniform(45, 75, len(times) // 12 + 1), 12)[: len(times)][patches]
        level[patches] = np.maximum(level[patches], rng.uniform(-35, -15))
    lost = np.repeat(rng.random(len(times) // 4 + 1) < rng.uniform(0, 0.04), 4)[: len(times)]
    pitch[lost] = np.nan
    return VocalFeatures(times, pitch, level - 20)
