"""A song's notes as pop singers place them: before the beat, behind it, in more syllables than are written.

Scores have their notes on the beat. Singers anticipate: a note, or a whole phrase, comes an eighth or a sixteenth before
its beat and is held over it; phrases begin with what leads to them; lines are spoken rather than sung, in sixteenths.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from samuel.harmonizing.examples import SongLesson

Note = tuple[float, float, int]
"""Start and end in beats, MIDI number."""

REST = 0.4  # beats: what is longer parts two phrases
LONGEST_PHRASE = 8.0  # beats
SHORTEST = 0.2  # beats: no syllable is shorter


@dataclass(frozen=True)
class Phrasing:
    """How somebody sings one song. Probabilities, and beats.

    `unit`: how far before its beat a note comes. `early`: of a note on a beat (of two units) to come before it. `moved`: of a
    phrase to come before or after its place as a whole. `behind`: how late phrases are, mean. `led`: of a phrase to begin with
    notes more. `spoken`: of a phrase to be cut into syllables; `repeated`: of a note elsewhere.
    """

    unit: float
    early: float
    moved: float
    behind: float
    led: float
    spoken: float
    repeated: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Phrasing":
        return cls(
            unit=float(rng.choice([0.5, 0.5, 0.25])),
            early=rng.uniform(0.0, 0.8),
            moved=rng.choice([0.0, rng.uniform(0.0, 0.4)]),
            behind=rng.choice([0.0, rng.uniform(-0.03, 0.1)]),
            led=rng.uniform(0.0, 0.4),
            spoken=rng.choice([0.0, rng.uniform(0.0, 0.6)]),
            repeated=rng.uniform(0.0, 0.3),
        )


def phrased(notes: Sequence[Note], rng: np.random.Generator, how: Phrasing) -> list[Note]:
    """The notes, one voice sorted by start, moved and cut; what would begin before 0 is left out."""
    found: list[Note] = []
    for phrase in phrases(notes):
        sung = _syllables(_early(phrase, rng, how), rng, how)
        if rng.random() < how.led:
            sung = _led(sung, rng, how)
        by = how.behind + rng.normal(0, 0.03)
        if rng.random() < how.moved:
            by += how.unit * (-1 if rng.random() < 0.7 else 1)
        for start, end, pitch in sung:
            start, end = start + by, end + by
            if start < 0 or (found and start < found[-1][0] + SHORTEST):
                continue
            if found and found[-1][1] > start:
                found[-1] = (found[-1][0], start, found[-1][2])
            found.append((start, max(end, start + SHORTEST), pitch))
    return found


def phrases(notes: Sequence[Note]) -> list[list[Note]]:
    """Notes between rests, cut where they go on for too long."""
    found: list[list[Note]] = []
    for note in notes:
        rest = not found or note[0] - found[-1][-1][1] > REST
        if rest or note[0] - found[-1][0][0] >= LONGEST_PHRASE:
            found.append([])
        found[-1].append(note)
    return found


def slowed(song: SongLesson) -> SongLesson:
    """The same song as somebody would write it with half as many beats: its eighths are sixteenths."""

    def half(spans: Sequence[Note]) -> tuple[Note, ...]:
        return tuple((start / 2, end / 2, what) for start, end, what in spans)

    bars = song.beats // (2 * song.metre_beats)
    return replace(song, beats=bars * song.metre_beats, notes=half(song.notes), chords=half(song.chords))


def _early(phrase: Sequence[Note], rng: np.random.Generator, how: Phrasing) -> list[Note]:
    """Notes on a beat, or on what is two units, come a unit before; what is there gives way."""
    sung: list[Note] = []
    for start, end, pitch in phrase:
        on = abs(start / (2 * how.unit) - round(start / (2 * how.unit))) < 0.1
        if on and rng.random() < how.early * (1.0 if end - start >= how.unit else 0.5):
            start -= how.unit
            while sung and sung[-1][0] > start - SHORTEST:
                earlier = sung.pop()
                if not sung or earlier[0] - how.unit > sung[-1][0] + SHORTEST:  # it comes before, too
                    sung.append((earlier[0] - how.unit, start, earlier[2]))
                    break
        if sung and sung[-1][1] > start:
            sung[-1] = (sung[-1][0], start, sung[-1][2])
        sung.append((start, end, pitch))
    return sung


def _syllables(phrase: Sequence[Note], rng: np.random.Generator, how: Phrasing) -> list[Note]:
    spoken = rng.random() < how.spoken
    sung: list[Note] = []
    for start, end, pitch in phrase:
        length = float(rng.choice([0.25, 0.5])) if spoken else 0.5
        count = max(1, int((end - start) / length + 0.2))
        if count == 1 or rng.random() >= (0.7 if spoken else how.repeated):
            sung.append((start, end, pitch))
            continue
        count = int(rng.integers(2, min(count, 4) + 1))
        edges = [start + n * length for n in range(count)] + [end]
        for low, high in pairwise(edges):
            sung.append((low, high, pitch + int(rng.choice([0, 0, 0, -2, 2]) if low > start else 0)))
    return sung


def _led(phrase: Sequence[Note], rng: np.random.Generator, how: Phrasing) -> list[Note]:
    first = phrase[0]
    count = int(rng.integers(1, 4))
    lead = [(first[0] - n * how.unit, first[0] - (n - 1) * how.unit) for n in range(count, 0, -1)]
    return [(low, high, first[2] + int(rng.choice([0, 0, -2, -1, 2]))) for low, high in lead] + [*phrase]
