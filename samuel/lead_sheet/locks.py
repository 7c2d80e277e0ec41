"""What a user gives of a lead sheet: each part holds exactly, the rest is found around it."""

import math
from dataclasses import dataclass, replace

from samuel.lead_sheet.sheet import LeadSheet, LeadSheetError, parse_key, steady_beats
from samuel.lead_sheet.signatures import Key, Metre
from samuel.lead_sheet.text import Chart, parse_chart, parse_metre

BPM = (20.0, 400.0)


@dataclass(frozen=True)
class Locks:
    """None: not given. `first_beat` in seconds; `energy` as in a lead sheet. Raises LeadSheetError."""

    bpm: float | None = None
    first_beat: float | None = None
    metre: Metre | None = None
    key: Key | None = None
    chart: Chart | None = None
    style: str = ""
    energy: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.bpm is not None and not BPM[0] <= self.bpm <= BPM[1]:
            raise LeadSheetError(f"expected a tempo from {BPM[0]:g} to {BPM[1]:g} bpm, got {self.bpm:g}")
        if self.first_beat is not None and not 0 <= self.first_beat < math.inf:
            raise LeadSheetError(f"expected the first beat at 0 s or later, got {self.first_beat:g}")

    @classmethod
    def parse(
        cls,
        bpm: float | None = None,
        first_beat: float | None = None,
        metre: str | None = None,
        key: str | None = None,
        chords: str | None = None,
        style: str | None = None,
        energy: str | None = None,
    ) -> "Locks":
        """As a command line or a form gives them. Raises LeadSheetError."""
        return cls(
            bpm=bpm,
            first_beat=first_beat,
            metre=parse_metre(metre) if metre else None,
            key=parse_key(key) if key else None,
            chart=parse_chart(chords) if chords else None,
            style=style or "",
            energy=parse_energy(energy) if energy else (),
        )

    def apply(self, found: LeadSheet, seconds: float) -> LeadSheet:
        """`found` with what is given, for a recording of `seconds`.

        A given tempo makes steady beats from `first_beat`, or from the found beat that fits best. Raises
        LeadSheetError where chords are given and no tempo is known, and for a first beat after the end.
        """
        if self.first_beat is not None and self.first_beat >= seconds:
            raise LeadSheetError(
                f"the first beat was given at {self.first_beat:g} s, and the recording ends at {seconds:.4g} s"
            )
        sheet = replace(
            found,
            metre=self.metre or found.metre,
            key=self.key or found.key,
            style=self.style or found.style,
            energy=self.energy or found.energy,
            unsure=tuple(part for part in found.unsure if not (part == "key" and self.key)),
        )
        bpm = self.bpm or found.bpm
        if self.bpm or self.first_beat is not None or self.metre:
            if bpm is None:
                raise LeadSheetError(
                    "no beat was found in this recording; give its tempo, too, such as --bpm 92"
                )
            start = self.first_beat
            if start is None:
                start = found.downbeats[0] if found.downbeats else found.beats[0] if found.beats else 0.0
            if self.bpm or not found.beats:
                beats, downbeats = steady_beats(bpm, start, sheet.metre, seconds)
            else:  # the found beats, from the given first one on
                shift = min((beat - start for beat in found.beats), key=abs)
                beats = tuple(b - shift for b in found.beats if b - shift > start - 0.01)
                downbeats = beats[:: sheet.metre.beats]
            given = {"tempo", "beats"} if self.bpm else set()
            given |= {"downbeats"} if self.first_beat is not None else set()
            sheet = replace(
                sheet,
                beats=beats,
                downbeats=downbeats,
                unsure=tuple(part for part in sheet.unsure if part not in given),
            )
        if self.chart:
            if not sheet.downbeats:
                raise LeadSheetError(
                    "chords are given by the bar, but no beat was found in this recording; give its tempo, too, "
                    "such as --bpm 92 --first-beat 0.4"
                )
            sheet = replace(
                sheet,
                chords=self.chart.over(sheet.bars),
                guesses=(),
                unsure=tuple(part for part in sheet.unsure if part != "chords"),
            )
        return sheet

    @property
    def given(self) -> bool:
        return self != Locks()


def parse_energy(text: str) -> tuple[tuple[float, float], ...]:
    """ "0.7", or "0:0.3, 20:0.9" (second:value). Raises LeadSheetError."""
    points = []
    try:
        for word in text.replace(",", " ").split():
            second, colon, level = word.rpartition(":")
            points.append((float(second) if colon else 0.0, float(level)))
    except ValueError:
        points = []
    if not points or any(not 0 <= level <= 1 for _, level in points) or points != sorted(points):
        raise LeadSheetError(
            f'expected energy from 0 to 1, such as 0.7, or a list of second:value such as "0:0.3, 20:0.9"; got {text!r}'
        )
    return tuple(points)
