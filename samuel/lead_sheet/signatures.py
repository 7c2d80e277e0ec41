"""Key and time signature."""

from dataclasses import dataclass

from samuel.lead_sheet.chord import NOTE_NAMES


@dataclass(frozen=True)
class Metre:
    """`beats` in a bar; a beat splits into 2 (simple metre) or 3 (compound metre, such as 6/8)."""

    beats: int
    division: int = 2


@dataclass(frozen=True)
class Key:
    """`tonic` is a pitch class; `mode` is "major" or "minor"."""

    tonic: int
    mode: str

    @property
    def label(self) -> str:
        """As mir_eval.key writes it: "Eb major"."""
        return f"{NOTE_NAMES[self.tonic]} {self.mode}"
