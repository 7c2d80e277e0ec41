"""What is asked for, and what has become of it: `GenerationRequest` and `Job`, which the store keeps as JSON."""

import dataclasses
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from jobs.serving.arranger import Played
from jobs.serving.problems import ProblemError
from jobs.serving.sheet_options import SheetOptions
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.generation import PIECE_FRAMES, GenerationConfig, Region, pieces

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True)
class Edit:
    """What changes of an earlier result: a region, in seconds, or without a `stop` all after its end."""

    job: str
    variation: int
    start: float
    stop: float | None = None


@dataclass(frozen=True)
class GenerationRequest:
    """What was asked for. `configs` has one for each variation."""

    configs: tuple[GenerationConfig, ...]
    separate: bool = False
    edit: Edit | None = None
    kept: bool = True
    """Whether the client comes back for the result; else the job ends with its connection."""
    owner: str = ""
    """Digest of the token it came with."""
    options: SheetOptions = field(default_factory=SheetOptions)
    """Of lead sheet and arrangement."""


@dataclass
class Job:
    id: str
    request: GenerationRequest
    state: State = "queued"
    stage: str = "waiting"
    progress: float = 0.0
    seconds: float | None = None
    """Length of the vocals."""
    problem: dict[str, Any] | None = None
    created: float = field(default_factory=time.time)
    ended: float | None = None
    starts: int = 0
    stage_seconds: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    """What its owner should know of the recording."""
    played: list[Played] = field(default_factory=list)
    """What each variation is played from: there as soon as its arrangement can be heard."""
    made: list[int] = field(default_factory=list)
    """How many pieces of each variation can be heard."""

    @property
    def over(self) -> bool:
        return self.state in ("succeeded", "failed", "cancelled")

    @property
    def samples(self) -> int:
        return round((self.seconds or 0) * SAMPLE_RATE)

    @property
    def pieces(self) -> int:
        """How many each variation has when it is done."""
        return len(pieces(self.samples))

    @property
    def playable(self) -> list[float]:
        """Seconds of each variation that can be heard."""
        return [min(self.samples, made * PIECE_FRAMES * FRAME_SAMPLES) / SAMPLE_RATE for made in self.made]

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Job":
        """Raises TypeError, ValueError or KeyError for what another version of the service wrote."""
        fields = renamed(fields)
        request = {"edit": None} | renamed(fields["request"])
        request["configs"] = tuple(GenerationConfig(**config) for config in request["configs"])
        request["edit"] = request["edit"] and Edit(**request["edit"])
        request["options"] = SheetOptions(**request.get("options", {}))
        played = [Played(**one | {"parts": tuple(one["parts"])}) for one in fields.get("played", [])]
        return cls(**fields | {"request": GenerationRequest(**request), "played": played})


def renamed(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields by their names of today."""
    former = {"order": "request", "recipes": "configs", "remake": "edit", "given": "options"}
    return {former.get(name, name): value for name, value in fields.items()}


def region_of(edit: Edit, samples: int, kept: int) -> Region:
    """What to make anew of vocals of so many samples, of which `kept` samples of a band are there. Raises a 422."""
    try:
        return Region.of(samples, kept, None if edit.stop is None else (edit.start, edit.stop))
    except ValueError as error:
        raise ProblemError(422, str(error)) from None
