"""The lead sheet: beats, downbeats, chords, key, metre and energy of a song, on its own clock.

All times are seconds from the start of the recording. Chord labels in JSON are Harte's (`samuel.lead_sheet.chord`).
"""

import json
import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from samuel.lead_sheet.chord import Chord, parse_chord, pitch_class
from samuel.lead_sheet.signatures import Key, Metre

FOUR = Metre(4)
SAME_TIME = 0.005  # seconds: a downbeat is a beat up to here, and chords may touch


class LeadSheetError(ValueError):
    """A lead sheet that cannot be played: says what is wrong, and where."""


@dataclass(frozen=True)
class LeadSheet:
    """What a band is told. Empty `beats` or `chords` mean that they are not known.

    Raises LeadSheetError for beats that do not rise, downbeats that are no beats, chords that overlap.
    """

    beats: tuple[float, ...] = ()
    downbeats: tuple[float, ...] = ()
    """The first beats of the bars; each is one of `beats`."""
    chords: tuple[Chord, ...] = ()
    """In seconds, rising, without overlap; where there is none, nothing is known of the harmony."""
    key: Key | None = None
    metre: Metre = FOUR
    energy: tuple[tuple[float, float], ...] = ()
    """(second, level): how much of the band plays, 0 to 1, linear between the points; empty: as it likes."""
    style: str = ""
    """A name of `samuel.arranging.styles`, or "" for any."""
    unsure: tuple[str, ...] = ()
    """Parts that were found with little certainty: of "tempo", "beats", "downbeats", "key", "chords"."""
    guesses: tuple[tuple[float, float], ...] = ()
    """(start, end), rising: where the chords are little more than guesses."""

    def __post_init__(self) -> None:
        for name in ("beats", "downbeats"):
            times = getattr(self, name)
            if not all(math.isfinite(time) for time in times):
                raise LeadSheetError(f"expected {name} in seconds, got a time that is no number")
            for number, (one, following) in enumerate(pairwise(times), 2):
                if following <= one:
                    raise LeadSheetError(
                        f"expected {name} that rise, but number {number} is at {following:.3f} s and the one before at "
                        f"{one:.3f} s"
                    )
        beats = np.array(self.beats)
        for number, time in enumerate(self.downbeats, 1):
            if not len(beats) or np.abs(beats - time).min() > SAME_TIME:
                raise LeadSheetError(f"downbeat {number}, at {time:.3f} s, is none of the beats")
        for number, chord in enumerate(self.chords, 1):
            if not chord.start < chord.end:
                raise LeadSheetError(
                    f"chord {number}, {chord.label}, ends at {chord.end:.3f} s, not after its start at {chord.start:.3f} s"
                )
        for number, (before, chord) in enumerate(pairwise(self.chords), 2):
            if chord.start < before.end - SAME_TIME:
                raise LeadSheetError(
                    f"chord {number}, {chord.label}, begins at {chord.start:.3f} s, before chord {number - 1}, "
                    f"{before.label}, ends at {before.end:.3f} s"
                )
        for start, end in self.guesses:
            if not (math.isfinite(start) and start < end):
                raise LeadSheetError(f"expected guesses as [start, end] in seconds, got {start:g} to {end:g}")
        for second, level in self.energy:
            if not (math.isfinite(second) and 0 <= level <= 1):
                raise LeadSheetError(f"expected energy from 0 to 1, got {level:g} at {second:g} s")

    @property
    def bpm(self) -> float | None:
        """Beats a minute in the median, or None without beats."""
        return None if len(self.beats) < 2 else float(60 / np.median(np.diff(self.beats)))

    @property
    def bars(self) -> tuple[tuple[float, float], ...]:
        """From each downbeat to the next; the last bar is as long as the one before, or as its beats say."""
        if not self.downbeats:
            return ()
        beat = 60 / (self.bpm or 120)
        last = self.downbeats[-1] + (
            self.downbeats[-1] - self.downbeats[-2] if len(self.downbeats) > 1 else self.metre.beats * beat
        )
        return tuple(pairwise([*self.downbeats, last]))

    def chord_at(self, second: float) -> Chord | None:
        """The chord that sounds at a time, or None where none is known."""
        index = bisect_right([chord.start for chord in self.chords], second + SAME_TIME / 10) - 1
        if index < 0 or second >= self.chords[index].end:
            return None
        return self.chords[index]

    def is_guess(self, chord: Chord) -> bool:
        """Whether most of a chord lies where chords are guesses."""
        shared = sum(max(0.0, min(end, chord.end) - max(start, chord.start)) for start, end in self.guesses)
        return shared > 0.5 * (chord.end - chord.start)

    def energy_at(self, seconds: Float[np.ndarray, " times"]) -> Float[np.ndarray, " times"]:
        """Energy at times; half where none is given."""
        if not self.energy:
            return np.full(len(seconds), 0.5)
        return np.interp(seconds, *np.array(self.energy).T)

    def transposed(self, semitones: int) -> "LeadSheet":
        key = self.key and Key((self.key.tonic + semitones) % 12, self.key.mode)
        return replace(self, chords=tuple(chord.transposed(semitones) for chord in self.chords), key=key)

    def shifted(self, seconds: float) -> "LeadSheet":
        """Everything later by so much."""
        return replace(
            self,
            beats=tuple(time + seconds for time in self.beats),
            downbeats=tuple(time + seconds for time in self.downbeats),
            chords=tuple(replace(c, start=c.start + seconds, end=c.end + seconds) for c in self.chords),
            energy=tuple((second + seconds, level) for second, level in self.energy),
            guesses=tuple((start + seconds, end + seconds) for start, end in self.guesses),
        )

    def between(self, start: float, stop: float) -> "LeadSheet":
        """The part from `start` to `stop`, on a clock that begins at `start`. Chords are cut there."""
        chords = tuple(
            replace(c, start=max(c.start, start), end=min(c.end, stop))
            for c in self.chords
            if min(c.end, stop) - max(c.start, start) > SAME_TIME
        )
        energy: tuple[tuple[float, float], ...] = ()
        if self.energy:
            times = [start, *(second for second, _ in self.energy if start < second < stop), stop]
            energy = tuple(zip(times, self.energy_at(np.array(times)).tolist(), strict=True))
        cut = replace(
            self,
            beats=tuple(time for time in self.beats if start <= time < stop),
            downbeats=tuple(time for time in self.downbeats if start <= time < stop),
            chords=chords,
            energy=energy,
            guesses=tuple(
                (max(first, start), min(last, stop))
                for first, last in self.guesses
                if min(last, stop) - max(first, start) > SAME_TIME
            ),
        )
        return cut.shifted(-start)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, with the names that the annotations of a rendered song have."""
        return {
            "metre": self.metre.fields,
            "beats_per_minute": self.bpm and round(self.bpm, 3),
            "key": self.key and self.key.label,
            "beats": [round(time, 4) for time in self.beats],
            "downbeats": [round(time, 4) for time in self.downbeats],
            "chords": [[round(c.start, 4), round(c.end, 4), c.label] for c in self.chords],
            "energy": [[round(second, 3), round(level, 3)] for second, level in self.energy],
            "style": self.style,
            "unsure": list(self.unsure),
            "guesses": [[round(start, 4), round(end, 4)] for start, end in self.guesses],
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "LeadSheet":
        """What `to_dict` gives, or annotations of a rendered song. Raises LeadSheetError for anything else."""
        try:
            metre = fields.get("metre", {"beats": 4})
            return cls(
                beats=tuple(float(time) for time in fields.get("beats") or ()),
                downbeats=tuple(float(time) for time in fields.get("downbeats") or ()),
                chords=tuple(
                    parse_chord(str(label), float(start), float(end))
                    for start, end, label in fields.get("chords") or ()
                ),
                key=parse_key(fields["key"]) if fields.get("key") else None,
                metre=Metre(int(metre["beats"]), int(metre.get("division", 2)), int(metre.get("unit", 0))),
                energy=tuple((float(second), float(level)) for second, level in fields.get("energy") or ()),
                style=str(fields.get("style") or ""),
                unsure=tuple(map(str, fields.get("unsure") or ())),
                guesses=tuple((float(start), float(end)) for start, end in fields.get("guesses") or ()),
            )
        except LeadSheetError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LeadSheetError(
                'expected a lead sheet with "beats" and "downbeats" (seconds), "chords" ([start, end, "A:min"]), "key" '
                f'("A minor") and "metre" ({{"beats": 4}}); a field is wrong: {error}'
            ) from error

    @classmethod
    def from_json(cls, text: str) -> "LeadSheet":
        """Raises LeadSheetError."""
        try:
            fields = json.loads(text)
        except ValueError as error:
            raise LeadSheetError(f"the lead sheet is no JSON: {error}") from error
        if not isinstance(fields, dict):
            raise LeadSheetError(f"expected a lead sheet as a JSON object, got {type(fields).__name__}")
        return cls.from_dict(fields)


def parse_key(text: str) -> Key:
    """ "A minor", "Bb major", "F#m", "C". Raises LeadSheetError."""
    words = text.replace("♭", "b").replace("♯", "#").split()
    name, mode = (words[0], " ".join(words[1:]).lower()) if words else ("", "")
    if name[1:].endswith("m") and not mode:
        name, mode = name[:-1], "minor"
    try:
        tonic = pitch_class(name[:1].upper() + name[1:])
    except ValueError:
        raise LeadSheetError(f'expected a key such as "A minor" or "Bb major", got {text!r}') from None
    if mode not in ("", "major", "maj", "minor", "min"):
        raise LeadSheetError(f'expected a key in major or minor, such as "A minor"; got {text!r}')
    return Key(tonic, "minor" if mode.startswith("min") else "major")


def steady_beats(
    bpm: float, first_beat: float, metre: Metre, seconds: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Beats and downbeats of a steady tempo from `first_beat`, a downbeat, up to `seconds`."""
    count = max(1, math.ceil((seconds - first_beat) * bpm / 60 - 1e-9))
    beats = tuple(first_beat + number * 60 / bpm for number in range(count))
    return beats, beats[:: metre.beats]
