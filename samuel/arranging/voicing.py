"""Which tones of a chord a player takes, and where: short ways from chord to chord."""

from dataclasses import replace
from functools import lru_cache

from samuel.lead_sheet.chord import QUALITIES, Chord

MOST_TONES = 4
LOWEST_THIRD = 48  # MIDI: seconds and thirds at the bottom of a chord are avoided below
FIFTH = 7
_LEFT_OUT = {"9": (7,), "maj9": (7,), "min9": (7,), "11": (4, 7), "13": (7, 2)}
"""Of chords with more than four tones: the intervals that are missed least. The third of an eleventh chord clashes."""


def tones_of(chord: Chord) -> tuple[int, ...]:
    """Up to four pitch classes, from the root upwards."""
    assert chord.root is not None
    left_out = _LEFT_OUT.get(chord.quality, ())
    return tuple((chord.root + step) % 12 for step in QUALITIES[chord.quality] if step not in left_out)[
        :MOST_TONES
    ]


def opened(chord: Chord) -> Chord:
    """Root and fifth alone, or the root where the fifth is none: right in major and minor, whatever else is meant."""
    if chord.root is None:
        return chord
    return replace(chord, quality="5" if FIFTH in QUALITIES[chord.quality] else "1", bass=None)


def voiced(chord: Chord, previous: tuple[int, ...], centre: int) -> tuple[int, ...]:
    """MIDI pitches, rising: the position whose voices move least from `previous`, not far from `centre`."""
    return _voiced(tones_of(chord), previous, centre)


@lru_cache(maxsize=4096)
def _voiced(tones: tuple[int, ...], previous: tuple[int, ...], centre: int) -> tuple[int, ...]:
    def cost(pitches: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
        distance = abs(sum(pitches) / len(pitches) - centre)
        muddy = max(0, LOWEST_THIRD - pitches[0]) if pitches[1:] and pitches[1] - pitches[0] <= 4 else 0
        if not previous:
            return distance + muddy, pitches
        moved = sum(min(abs(p - q) for q in previous) for p in pitches) / len(pitches)
        moved += sum(min(abs(p - q) for p in pitches) for q in previous) / len(previous)
        return moved + 0.25 * distance + max(0.0, distance - 5) + muddy, pitches

    return min(_positions(tones, centre), key=cost)


def _positions(tones: tuple[int, ...], centre: int) -> list[tuple[int, ...]]:
    """Close positions, and of four tones also those with the second highest an octave down."""
    found = []
    ordered = sorted(tones)
    for lowest in range(centre - 16, centre + 6):
        if lowest % 12 not in ordered:
            continue
        turn = ordered.index(lowest % 12)
        pitches = [lowest]
        for step in range(1, len(ordered)):
            above = ordered[(turn + step) % len(ordered)]
            pitches.append(pitches[-1] + ((above - pitches[-1]) % 12 or 12))
        found.append(tuple(pitches))
        if len(pitches) == MOST_TONES:
            found.append(tuple(sorted((pitches[0], pitches[1], pitches[2] - 12, pitches[3]))))
    return found
