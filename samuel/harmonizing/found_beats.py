"""Songs to learn chords from on beats as they are found, with all that goes wrong there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from samuel.harmonizing.beats import SPREAD, find_grid, voice_curves
from samuel.harmonizing.examples import Disturbance, Example, SongLesson, example_of
from samuel.harmonizing.harmonizer import bar_places, beat_edges
from samuel.harmonizing.key import KEYS
from samuel.harmonizing.melody import sung_on
from samuel.harmonizing.network import triad_of
from samuel.harmonizing.song_singing import sing_part
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.locks import Locks
from samuel.vocals.features import VocalFeatures

SECONDS = (30.0, 100.0)
UNTRUE = 0.3  # semitones: at most the standard deviation of a singer's notes
FREE = 0.5  # share that is sung freely
SPREADS = (SPREAD, 1.2, 0.4)  # octaves: with the others, more tempi are half or double


@dataclass(frozen=True)
class HeardSong:
    """A part of a song as the harmonizer hears it, beat by beat; `labels` are indices in CHORDS, -1 for none, `key` in KEYS."""

    key: int
    sung: np.ndarray
    places: np.ndarray
    metre_beats: int
    labels: np.ndarray


def hear(song: SongLesson, rng: np.random.Generator) -> HeardSong:
    """Sung by rules, its beats and bars found, its pitches laid on them. A beat's label is the chord in its middle."""
    seconds = float(rng.uniform(*SECONDS))
    part = sing_part(song, rng, seconds, untrue=float(rng.uniform(0, UNTRUE)), free=FREE)
    times = part.tempo.beat_seconds

    def beat_of(seconds: np.ndarray) -> np.ndarray:
        return np.interp(seconds, times, np.arange(len(times)) + part.first, -1, -1)

    return _heard(part.features, _found(part.features, seconds), song.key, song.chords, beat_of)


def hear_voice(features: VocalFeatures, seconds: float, true: LeadSheet) -> tuple[HeardSong, ...]:
    """A rendered voice on its beats: as they are found with each of `SPREADS`, and as they are. `true` has a key."""
    assert true.key is not None
    key = KEYS.index(true.key)
    chords = [(chord.start, chord.end, triad_of(chord)) for chord in true.chords]
    grids = [_found(features, seconds, spread) for spread in SPREADS]
    grids.append(LeadSheet(beats=true.beats, downbeats=true.downbeats, metre=true.metre))
    return tuple(_heard(features, grid, key, chords, lambda seconds: seconds) for grid in grids)


def _found(features: VocalFeatures, seconds: float, spread: float = SPREAD) -> LeadSheet:
    grid = find_grid(voice_curves(features, seconds), seconds, Locks(), spread)
    return LeadSheet(beats=grid.beats, downbeats=grid.downbeats, metre=grid.metre)


def _heard(
    features: VocalFeatures,
    grid: LeadSheet,
    key: int,
    chords: Sequence[tuple[float, float, int]],
    clock: Callable[[np.ndarray], np.ndarray],
) -> HeardSong:
    """`clock`: seconds -> where `chords` are."""
    edges = beat_edges(grid)
    middles = clock((edges[:-1] + edges[1:]) / 2)
    labels = np.full(len(middles), -1)
    for start, end, chord in chords:
        labels[(middles >= start) & (middles < end)] = chord
    sung = sung_on(features, edges).astype(np.float16)
    return HeardSong(key, sung, bar_places(grid), grid.metre.beats, labels)


def example_on_found_beats(
    heard: HeardSong, rng: np.random.Generator, how: Disturbance, most_beats: int
) -> Example:
    """Of `how` counts only what concerns the key."""
    first = int(rng.integers(0, max(1, len(heard.places) - most_beats // 2)))
    part = slice(first, first + most_beats)
    sung, places, labels = (each[part] for each in (heard.sung, heard.places, heard.labels))
    return example_of(heard.key, sung.astype(np.float32), places, heard.metre_beats, labels, rng, how)
