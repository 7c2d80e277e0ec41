"""Key and time signature."""

from dataclasses import dataclass

from samuel.lead_sheet.chord import NOTE_NAMES

UNITS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Metre:
    """`beats` in a bar; a beat splits into 2 (simple metre) or 3 (compound metre, such as 6/8).

    `unit` is the lower number of the signature: 4 in simple metre, 8 in compound metre, where nothing else is said. In
    11/8 a beat is an eighth, in 2/2 a half, in 6/8 a dotted quarter. Raises ValueError for a unit that is no note's.
    """

    beats: int
    division: int = 2
    unit: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "unit", self.unit or self._usual_unit)
        if self.unit not in UNITS:
            raise ValueError(f"expected a metre in {', '.join(map(str, UNITS))}, got one in {self.unit}")

    @property
    def _usual_unit(self) -> int:
        return 8 if self.division == 3 else 4

    @property
    def ratio(self) -> tuple[int, int]:
        """The signature's two numbers: (4, 4), (6, 8)."""
        return self.beats * (3 if self.division == 3 else 1), self.unit

    @property
    def quarters(self) -> float:
        """The quarters of a beat: 1 in 4/4, 1.5 in 6/8, 0.5 in 11/8."""
        return (3 if self.division == 3 else 1) * 4 / self.unit

    @property
    def fields(self) -> dict[str, int]:
        """As it is stored; the unit where it is not the usual one."""
        stored = {"beats": self.beats, "division": self.division}
        return stored if self.unit == self._usual_unit else stored | {"unit": self.unit}


@dataclass(frozen=True)
class Key:
    """`tonic` is a pitch class; `mode` is "major" or "minor"."""

    tonic: int
    mode: str

    @property
    def label(self) -> str:
        """As mir_eval.key writes it: "Eb major"."""
        return f"{NOTE_NAMES[self.tonic]} {self.mode}"
