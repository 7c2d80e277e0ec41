"""A player and its notes. Times are in seconds, pitches in MIDI numbers, velocities in 1 to 127."""

from dataclasses import dataclass, field, replace

STEMS = ("drums", "bass", "other")
SHORTEST = 0.03  # seconds


@dataclass(frozen=True)
class PlayedNote:
    """`start` and `end` in seconds."""

    start: float
    end: float
    pitch: int
    velocity: int


@dataclass
class Part:
    """One player. `stem` is one of `STEMS`; `program` as in General MIDI, from 0 (of `drums`: the kit); `pan` from -1
    (left) to 1; `level` and `louder`, which a user asks for, in decibels."""

    name: str
    stem: str
    program: int
    drums: bool = False
    pan: float = 0.0
    level: float = 0.0
    louder: float = 0.0
    notes: list[PlayedNote] = field(default_factory=list)

    def tidied(self, seconds: float) -> "Part":
        """In order, up to `seconds`, each note ending before its pitch is struck again."""
        kept: list[PlayedNote] = []
        ends: dict[int, float] = {}  # of pitches: when they are struck next
        for note in sorted(self.notes, key=lambda n: (n.start, n.pitch), reverse=True):
            end = min(note.end, ends.get(note.pitch, seconds), seconds)
            if end - note.start >= SHORTEST / 2:
                kept.append(replace(note, start=round(note.start, 6), end=round(end, 6)))
                ends[note.pitch] = note.start
        return replace(self, notes=sorted(kept, key=lambda n: (n.start, n.pitch)))  # as rounded
