"""A score: what the rendering knows of a song before anything is drawn at random.

Time is in beats (the felt beat: a quarter in 4/4, a dotted quarter in 6/8), from 0, which is a
downbeat. Pitches are MIDI numbers (60 = middle C). The melody has one voice.
"""

from dataclasses import dataclass, replace

from samuel.lead_sheet.chord import Chord
from samuel.lead_sheet.notation.written import Note, ScoreError
from samuel.lead_sheet.signatures import Key, Metre

SLOWEST, FASTEST = 20.0, 400.0
"""Beats a minute. What a file gives outside of these is no tempo."""


def metre_of(beats: int, unit: int) -> tuple[Metre, float]:
    """The metre of a time signature such as 6/8, and the length of its beat in quarters.

    Eighths (and shorter) in threes make a compound metre: 6/8 has two beats of a dotted quarter.
    Raises ScoreError for what no bar can be made of.
    """
    if not 1 <= beats <= 64 or unit not in (1, 2, 4, 8, 16, 32, 64):
        raise ScoreError(f"expected a time signature such as 4/4 or 6/8, got {beats}/{unit}")
    if unit >= 8 and beats % 3 == 0:
        return Metre(beats // 3, 3), 12.0 / unit
    return Metre(beats), 4.0 / unit


def tempo_or_none(beats_per_minute: float | None) -> float | None:
    """None for a tempo that nobody can play."""
    known = beats_per_minute is not None and SLOWEST <= beats_per_minute <= FASTEST
    return beats_per_minute if known else None


@dataclass(frozen=True)
class Score:
    """`chords` cover the song without overlap; `accompaniment` maps a track's name to its notes."""

    title: str
    artist: str
    melody: tuple[Note, ...]
    chords: tuple[Chord, ...]
    metre: Metre
    key: Key
    beats_per_minute: float | None = None
    accompaniment: tuple[tuple[str, tuple[Note, ...]], ...] = ()

    @property
    def bars(self) -> int:
        """Bars up to the end of the melody."""
        return max(1, -int(-max(note.end for note in self.melody) // self.metre.beats))

    def transposed(self, semitones: int) -> "Score":
        return replace(
            self,
            melody=tuple(replace(note, pitch=note.pitch + semitones) for note in self.melody),
            chords=tuple(chord.transposed(semitones) for chord in self.chords),
            key=Key((self.key.tonic + semitones) % 12, self.key.mode),
            accompaniment=tuple(
                (name, tuple(replace(note, pitch=note.pitch + semitones) for note in notes))
                for name, notes in self.accompaniment
            ),
        )


def single_voice(notes: list[Note]) -> tuple[Note, ...]:
    """Sorts by onset and cuts each note where the next begins; of simultaneous notes the highest stays."""
    voice: list[Note] = []
    for note in sorted(notes, key=lambda n: (round(n.start, 3), -n.pitch)):
        if voice and note.start - voice[-1].start < 0.02:
            continue
        if voice and voice[-1].end > note.start:
            voice[-1] = replace(voice[-1], end=note.start)
        voice.append(note)
    return tuple(note for note in voice if note.end - note.start > 0.02)
