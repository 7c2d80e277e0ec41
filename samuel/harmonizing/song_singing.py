"""A song's notes -> a part of them as somebody sings it, at a tempo of its own, in seconds."""

from dataclasses import dataclass

import numpy as np

from samuel.arranging.tempo import Tempo
from samuel.harmonizing.examples import SongLesson
from samuel.harmonizing.phrasing import Phrasing, phrased
from samuel.harmonizing.singing import sing_features
from samuel.rendering.timing import draw_tempo
from samuel.vocals.features import VocalFeatures

SHORTEST_NOTES = 0.14  # seconds: a tempo at which a fifth of the notes is shorter cannot be sung
TEMPI = (55.0, 190.0)
SWING = 0.15  # beats


@dataclass(frozen=True)
class SungPart:
    """The song's beat `first`, a downbeat, is beat 0 of `tempo`."""

    features: VocalFeatures
    tempo: Tempo
    first: int


def sing_part(
    song: SongLesson, rng: np.random.Generator, seconds: float, untrue: float = 0.0, free: float = 0.0
) -> SungPart:
    """`seconds` of a song, at a tempo that it can be sung at. `untrue`: semitones that notes are off, one deviation.

    `free`: how likely its notes are placed as a pop singer does (`Phrasing`), 0 to 1.
    """
    lengths = [end - start for start, end, _ in song.notes]
    fastest = max(60.0, 60 * float(np.quantile(lengths, 0.2)) / SHORTEST_NOTES)
    bpm = float(np.exp(rng.uniform(np.log(TEMPI[0]), np.log(min(TEMPI[1], fastest)))))
    count = int(np.ceil(seconds * bpm / 60)) + 2
    bars = max(1, (song.beats - count) // song.metre_beats + 1)
    first = int(rng.integers(bars)) * song.metre_beats
    shift = float(rng.uniform(0, song.metre_beats * 60 / bpm))
    tempo = draw_tempo(
        rng,
        beats=count + 2 * song.metre_beats,
        beats_per_minute=bpm,
        drift=float(rng.choice([0.0, rng.uniform(0, 0.02)])),
        start=-shift,
        swing=float(rng.choice([0.0, 0.0, rng.uniform(0, SWING)])),
    )
    written = [
        (start - first, end - first, pitch)
        for start, end, pitch in song.notes
        if start >= first and end - first < count
    ]
    if free and rng.random() < free:
        written = phrased(written, rng, Phrasing.draw(rng))
    notes = [(tempo.seconds(start), tempo.seconds(end), float(pitch)) for start, end, pitch in written]
    if untrue:
        notes = [(start, end, pitch + untrue * rng.normal()) for start, end, pitch in notes]
    notes = [note for note in notes if 0 <= note[0] < seconds]
    return SungPart(sing_features(notes, seconds, rng), tempo, first)
