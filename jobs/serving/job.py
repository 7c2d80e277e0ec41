"""What is asked for, and what has become of it: `Order` and `Job`, which go to the spool as JSON."""

import dataclasses
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from jobs.serving.problems import ProblemError
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.generation import Recipe

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]

PIECE_FRAMES = 150
"""What is decoded at a time, 7 s: soon heard, and a short song does not wait for the decoding of a long one."""


@dataclass(frozen=True)
class Remake:
    """What changes of an earlier result: a region, in seconds, or without a `stop` all after its end."""

    job: str
    variation: int
    start: float
    stop: float | None = None


@dataclass(frozen=True)
class Order:
    """What was asked for. `recipes` has one for each variation."""

    recipes: tuple[Recipe, ...]
    separate: bool = False
    remake: Remake | None = None
    kept: bool = True
    """Whether the client comes back for the result; else the job ends with its connection."""
    owner: str = ""
    """Digest of the token it came with."""


@dataclass
class Job:
    id: str
    order: Order
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
        return -(-self.samples // (PIECE_FRAMES * FRAME_SAMPLES))

    def frames_of(self, piece: int) -> tuple[int, int]:
        """The first frame of a piece, and the one past its last."""
        start = piece * PIECE_FRAMES
        return start, min(start + PIECE_FRAMES, -(-self.samples // FRAME_SAMPLES))

    @property
    def playable(self) -> list[float]:
        """Seconds of each variation that can be heard."""
        return [min(self.samples, made * PIECE_FRAMES * FRAME_SAMPLES) / SAMPLE_RATE for made in self.made]

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Job":
        order = fields["order"]
        order["recipes"] = tuple(Recipe(**recipe) for recipe in order["recipes"])
        order["remake"] = order["remake"] and Remake(**order["remake"])
        return cls(**fields | {"order": Order(**order)})


def region_frames(remake: Remake, samples: int) -> tuple[int, int]:
    """The frames to make of vocals of so many samples. Raises a 422 for a region that is not within them."""
    seconds = samples / SAMPLE_RATE
    if remake.stop is None:
        if remake.start >= seconds:
            raise ProblemError(
                422,
                f"the recording has {seconds:.2f} s; expected more than the {remake.start:.2f} s that the "
                "accompaniment to go on from has",
            )
        return round(remake.start * SAMPLE_RATE) // FRAME_SAMPLES, -(-samples // FRAME_SAMPLES)
    if not 0 <= remake.start < remake.stop or remake.start >= seconds:
        raise ProblemError(
            422,
            f"expected a region within {seconds:.2f} s, from before to; got {remake.start:g} to {remake.stop:g} s",
        )
    frames = -(-samples // FRAME_SAMPLES)
    first = round(remake.start * SAMPLE_RATE / FRAME_SAMPLES)
    last = round(min(remake.stop, seconds) * SAMPLE_RATE / FRAME_SAMPLES)
    return min(first, frames - 1), min(frames, max(last, first + 1))
