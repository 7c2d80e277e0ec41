"""What a client gives of lead sheet and arrangement, in words, as the command line takes it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from samuel.arranging import part_levels, part_names
from samuel.arranging.styles import find_style
from samuel.generation import Direction
from samuel.lead_sheet import LeadSheet, LeadSheetError
from samuel.lead_sheet.locks import Locks


@dataclass(frozen=True)
class SheetOptions:
    """The options of `jobs/generate.py` of these names, with its meaning. `lead_sheet` is JSON."""

    bpm: float | None = None
    first_beat: float | None = None
    metre: str | None = None
    key: str | None = None
    chords: str | None = None
    style: str | None = None
    energy: str | None = None
    parts: str | None = None
    part_levels: str | None = None
    lead_sheet: str | None = None
    vary_chords: bool = False

    def direction(
        self,
        before: LeadSheet | None = None,
        parts: tuple[str, ...] = (),
        levels: Mapping[str, float] | None = None,
    ) -> Direction:
        """`before`, `parts` and `levels`: what holds where nothing is given. Raises LeadSheetError in a client's words."""
        try:
            style = find_style(self.style).name if self.style else None
            return Direction(
                Locks.parse(self.bpm, self.first_beat, self.metre, self.key, self.chords, style, self.energy),
                LeadSheet.from_json(self.lead_sheet) if self.lead_sheet else before,
                vary_chords=self.vary_chords,
                parts=part_names(self.parts) if self.parts else parts,
                levels=part_levels(self.part_levels) if self.part_levels else levels or {},
            )
        except ValueError as error:
            raise LeadSheetError(in_fields(str(error))) from None

    @property
    def anything(self) -> bool:
        return self != SheetOptions()

    @property
    def moves_beats(self) -> bool:
        return not (self.bpm is None and self.first_beat is None and self.metre is None)


def in_fields(words: str) -> str:
    """Words of the command line for those who send fields: `first_beat` for --first-beat."""
    return re.sub(r"--([a-z][a-z-]*)", lambda option: f"`{option[1].replace('-', '_')}`", words)
