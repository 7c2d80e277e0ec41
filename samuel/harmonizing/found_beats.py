"""Songs to learn chords from on beats as they are found, with all that goes wrong there."""

from dataclasses import dataclass

import numpy as np

from samuel.harmonizing.beats import find_grid, voice_curves
from samuel.harmonizing.examples import Disturbance, Example, SongLesson, example_of
from samuel.harmonizing.harmonizer import bar_places, beat_edges
from samuel.harmonizing.melody import sung_on
from samuel.harmonizing.song_singing import sing_part
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.locks import Locks

SECONDS = (30.0, 100.0)
UNTRUE = 0.3  # semitones: at most the standard deviation of a singer's notes


@dataclass(frozen=True)
class HeardSong:
    """A part of a song as the harmonizer hears it, beat by beat; `labels` are indices in CHORDS, -1 for none."""

    song: SongLesson
    sung: np.ndarray
    places: np.ndarray
    metre_beats: int
    labels: np.ndarray


def hear(song: SongLesson, rng: np.random.Generator) -> HeardSong:
    """Sung by rules, its beats and bars found, its pitches laid on them. A beat's label is the chord in its middle."""
    seconds = float(rng.uniform(*SECONDS))
    part = sing_part(song, rng, seconds, untrue=float(rng.uniform(0, UNTRUE)))
    grid = find_grid(voice_curves(part.features, seconds), seconds, Locks())
    sheet = LeadSheet(beats=grid.beats, downbeats=grid.downbeats, metre=grid.metre)
    edges, places = beat_edges(sheet), bar_places(sheet)
    times = part.tempo.beat_seconds
    middles = np.interp((edges[:-1] + edges[1:]) / 2, times, np.arange(len(times)) + part.first, -1, -1)
    labels = np.full(len(places), -1)
    for start, end, chord in song.chords:
        labels[(middles >= start) & (middles < end)] = chord
    sung = sung_on(part.features, edges).astype(np.float16)
    return HeardSong(song, sung, places, grid.metre.beats, labels)


def example_on_found_beats(
    heard: HeardSong, rng: np.random.Generator, how: Disturbance, most_beats: int
) -> Example:
    """Of `how` counts only what concerns the key."""
    first = int(rng.integers(0, max(1, len(heard.places) - most_beats // 2)))
    part = slice(first, first + most_beats)
    sung, places, labels = (each[part] for each in (heard.sung, heard.places, heard.labels))
    return example_of(heard.song, sung.astype(np.float32), places, heard.metre_beats, labels, rng, how)
