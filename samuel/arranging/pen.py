"""How a player writes notes: a hand's small inaccuracies, each bar with a stream of random numbers of its own."""

from collections.abc import Sequence
from typing import TypeVar

from samuel.arranging.form import Bar, Form
from samuel.arranging.part import SHORTEST, Part, PlayedNote

T = TypeVar("T")

LOOSEST = 0.006  # seconds: the standard deviation of the least exact player's onsets
EARLIEST = 0.03  # seconds: so much before the recording is an inaccuracy of the first beat
RELEASE = 0.02  # seconds: a note ends before the next one can begin, however early that is
VELOCITIES = {"X": 112, "x": 88, "o": 58}
PUSH = 20  # of velocity, from energy 0 to 1
BETWEEN = {"X": 0.65, "x": 0.6}
"""Of the velocity: what a chord's strokes have between the beats, so that these are heard."""
BETWEEN_TONES = 0.7  # the same of a broken chord's and of the bass's
SWELL = (0, -3, -1, 1, -2, 0, 3, 5)  # of velocity, in the eight bars of a section
AWAY, BACK = 3, -6  # of velocity, in bars without and with singing


class Pen:
    """Writes into `part`. `decide` is for what a player settles once; after `turn_to` everything belongs to a bar."""

    def __init__(self, form: Form, part: Part) -> None:
        self.form = form
        self.part = part
        self.rng = form.rng(part.name)
        self.looseness = 0.001 + (LOOSEST - 0.001) * float(self.rng.random())
        self.push = 0

    def turn_to(self, bar: Bar, *, gives_way: bool = False) -> None:
        """`gives_way`: softer where somebody sings, louder where not."""
        self.rng = self.form.rng(self.part.name, bar.number)
        self.push = round(PUSH * (bar.energy - 0.5)) + SWELL[bar.place]
        if gives_way and self.form.singing.known:
            self.push += BACK if bar.sung > 0.5 else AWAY if bar.sung < 0.2 else 0

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.rng.integers(len(options)))]

    def happens(self, probability: float) -> bool:
        return float(self.rng.random()) < probability

    def play(
        self,
        beat: float,
        end_beat: float,
        pitch: int,
        velocity: int,
        late: float = 0.0,
        share: float = 1.0,
    ) -> None:
        """From beat to beat; `late` in seconds; `share`: of the velocity, after what the bar adds to it."""
        # Sums of uniform numbers, not normal ones: the same on every platform.
        drawn = self.rng.random(6)
        start = self.form.tempo.seconds(beat) + late + 2 * self.looseness * float(drawn[:3].sum() - 1.5)
        end = max(self.form.tempo.seconds(end_beat) - RELEASE, start + SHORTEST)
        if end <= 0 or (self.part.drums and start < -EARLIEST):
            return  # before the recording; a note that is held is heard from there on
        loud = share * (velocity + self.push) + 10 * float(drawn[3:].sum() - 1.5)
        self.part.notes.append(PlayedNote(max(0.0, start), end, pitch, min(max(round(loud), 1), 127)))


def share_at(beat: float, bar: Bar, letter: str = "") -> float:
    """Of the velocity: 1 on a beat, less between two."""
    inside = (beat - bar.start) % 1
    return 1.0 if min(inside, 1 - inside) < 0.01 else BETWEEN.get(letter, BETWEEN_TONES)


def strokes(steps: str, per_beat: int) -> list[tuple[float, float, str]]:
    """(start, length, letter) of each stroke of a bar, in beats; "-" prolongs the stroke before it."""
    found: list[tuple[float, float, str]] = []
    for index, letter in enumerate(steps):
        if letter == "-" and found:
            start, _, struck = found[-1]
            found[-1] = (start, (index + 1) / per_beat - start, struck)
        elif letter not in ".-":
            found.append((index / per_beat, 1 / per_beat, letter))
    return found
