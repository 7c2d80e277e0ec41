"""What MIDI and MusicXML have in common."""

from dataclasses import dataclass

Signature = tuple[int, int]
"""Of time: (6, 8) is 6/8."""


MOST_QUARTERS = 20_000.0
"""Hours of music: nothing that anybody wrote as a song."""


class ScoreError(ValueError):
    """A score that cannot be read, or cannot become a song: no melody, or no chords."""


@dataclass(frozen=True)
class Note:
    """`start` and `end` in quarters of a file or in beats of a song, `pitch` in MIDI numbers; `lyric` is the syllable sung, or ""."""

    start: float
    end: float
    pitch: int
    lyric: str = ""


def refuse_endless(quarters: float) -> None:
    """Raises ScoreError for what lasts longer than any song."""
    if quarters > MOST_QUARTERS:
        raise ScoreError(f"it is longer than {MOST_QUARTERS:.0f} quarters: it is damaged, or no song")
