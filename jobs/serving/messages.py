"""What requests carry and what answers hold, as the OpenAPI specification has it."""

from typing import Annotated, Any, Literal

from fastapi import Path as InPath
from fastapi import Query, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from jobs.serving.desk import Desk
from jobs.serving.job import Job, Order, Remake, State, region_frames
from jobs.serving.problems import Problem, ProblemError
from jobs.serving.settings import Settings
from samuel import __version__
from samuel.generation import Recipe
from samuel.generation.recipe import MOST_GUIDANCE, MOST_STEPS
from samuel.generation.recordings import Mixdown

ACCOMPANIMENTS = "/v1/accompaniments"
MEDIA_TYPES = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg; codecs=opus",
}
MOST_SEED = 2**53 - 1
"""The largest integer that JSON's readers agree on."""

BALANCE_DB = 24.0
USUAL_LUFS = Mixdown().lufs
LUFS = -40.0, -8.0

Responses = dict[int | str, dict[str, Any]]

JobId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$", examples=["5f0c6f0e2f6a4d4f9d3f1f9a7c1b2e3d"])]
Variation = Annotated[int, Query(ge=0, le=99, description="Which one, from 0.")]
Format = Literal["wav", "flac", "mp3", "ogg", "opus"]
Quality = Literal["draft", "standard", "best"]
Balance = Annotated[
    float, Query(ge=-BALANCE_DB, le=BALANCE_DB, description="dB by which the band is lifted.")
]

Loudness = Annotated[
    float,
    Query(ge=LUFS[0], le=LUFS[1], description="LUFS that the mix is brought to; streaming services' is -14."),
]


class Asked(BaseModel):
    """A recording, and what to make of it; a region of an earlier accompaniment, to make anew; or a longer recording,
    for which an earlier accompaniment goes on."""

    model_config = ConfigDict(extra="forbid")

    vocals: UploadFile | None = Field(
        None,
        description="The recording: WAV, FLAC, MP3, M4A, OGG, Opus, WebM. With `reference`, one that begins as the "
        "earlier one did and is longer.",
    )
    quality: Quality = Field("standard", description="Speed against care.", examples=["draft"])
    seed: int = Field(
        0, ge=0, le=MOST_SEED, description="Another seed, another band. Variations take the next ones."
    )
    guidance: float | None = Field(
        None,
        ge=0,
        le=MOST_GUIDANCE,
        description="How closely to follow the voice; 1: as the network does by itself.",
    )
    steps: int | None = Field(
        None, ge=1, le=MOST_STEPS, description="In place of the quality's; the service may allow fewer."
    )
    variations: int = Field(1, ge=1, le=16, description="How many to make; the service may allow fewer.")
    separate: bool = Field(False, description="The recording is a whole mix: take the voice out of it first.")
    format: Format = Field("wav", description="Of the audio in the answer.")
    output: Literal["band", "mix"] = Field(
        "band", description="The answer's audio: the band alone, or with the voice."
    )
    balance: float = Field(
        0.0, ge=-BALANCE_DB, le=BALANCE_DB, description="dB by which the band is lifted in a mix."
    )
    lufs: float = Field(USUAL_LUFS, ge=LUFS[0], le=LUFS[1], description="Loudness that a mix is brought to.")
    reference: str | None = Field(
        None,
        pattern="^[0-9a-f]{32}$",
        description="Id of an earlier accompaniment, of which a region is made anew, or which goes on.",
    )
    reference_variation: int = Field(0, ge=0, le=99)
    start: float | None = Field(None, ge=0, le=86_400, description="Where the region begins, in seconds.")
    end: float | None = Field(None, gt=0, le=86_400, description="Where it ends.")


class Links(BaseModel):
    self: str
    events: str
    vocals: str
    stream: list[str] = Field(description="Of each variation, while it is made.")
    audio: list[str] = Field(description="Of each variation.")
    mix: list[str]


class Accompaniment(BaseModel):
    """A job: how far it is, and where its audio will be."""

    id: str = Field(examples=["5f0c6f0e2f6a4d4f9d3f1f9a7c1b2e3d"])
    state: State
    stage: str = Field(description="What is being done.", examples=["sample"])
    progress: float = Field(ge=0, le=1)
    seconds: float | None = Field(description="Length of the vocals, once they are heard.", examples=[47.55])
    playable: list[float] = Field(
        description="Seconds of each variation that can be heard already, at `links.stream`.",
        examples=[[20.9]],
    )
    variations: int
    seeds: list[int]
    quality: Quality
    stage_seconds: dict[str, float] = Field(
        description="Where the time went; the sum over variations, which are made side by side."
    )
    error: Problem | None
    links: Links

    @classmethod
    def of(cls, job: Job) -> "Accompaniment":
        here = f"{ACCOMPANIMENTS}/{job.id}"
        recipes = job.order.recipes
        return cls(
            id=job.id,
            state=job.state,
            stage=job.stage,
            progress=round(job.progress, 4),
            seconds=job.seconds,
            playable=job.playable,
            variations=len(recipes),
            seeds=[recipe.seed for recipe in recipes],
            quality=recipes[0].quality,  # type: ignore[arg-type]
            stage_seconds=job.stage_seconds,
            error=Problem(**job.problem) if job.problem else None,
            links=Links(
                self=here,
                events=f"{here}/events",
                vocals=f"{here}/vocals",
                stream=[f"{here}/stream?variation={number}" for number in range(len(recipes))],
                audio=[f"{here}/audio?variation={number}" for number in range(len(recipes))],
                mix=[f"{here}/mix?variation={number}" for number in range(len(recipes))],
            ),
        )


class Model(BaseModel):
    id: str
    parameters: int
    codec: str
    device: str
    sample_rate: int
    qualities: dict[str, int] = Field(description="Name and sampling steps.")
    formats: list[str]
    max_seconds: float
    max_bytes: int
    max_variations: int
    max_steps: int


class Models(BaseModel):
    data: list[Model]


class Health(BaseModel):
    status: Literal["ok"] = "ok"
    version: str = __version__


def order_of(asked: Asked, desk: Desk, settings: Settings, owner: str, kept: bool) -> Order:
    """What a request asks for. Raises ProblemError for what cannot be done."""
    if asked.variations > settings.max_variations:
        raise ProblemError(422, f"variations: at most {settings.max_variations} here")
    if asked.steps and asked.steps > settings.max_steps:
        raise ProblemError(422, f"steps: at most {settings.max_steps} here")
    if asked.vocals is None and asked.reference is None:
        raise ProblemError(
            422, "send a recording in the field `vocals`, or the `reference` of an earlier result"
        )
    remake = None
    if asked.reference:
        earlier = desk.find(asked.reference, owner)
        if earlier.state != "succeeded":
            raise ProblemError(409, f"the accompaniment to change is {earlier.state}")
        if asked.reference_variation >= len(earlier.order.recipes):
            raise ProblemError(
                404, f"the accompaniment to change has no variation {asked.reference_variation}"
            )
        remake = remake_of(asked, earlier)
    elif asked.start is not None or asked.end is not None:
        raise ProblemError(422, "`start` and `end` name a region of a `reference`; there is none")
    if asked.seed + asked.variations - 1 > MOST_SEED:
        raise ProblemError(422, f"seed: the last variation's would be beyond {MOST_SEED}")
    recipes = tuple(
        Recipe(asked.quality, asked.seed + number, asked.guidance, asked.steps)
        for number in range(asked.variations)
    )
    return Order(recipes, asked.separate, remake, kept, owner)


def remake_of(asked: Asked, earlier: Job) -> Remake:
    """What is to change of `earlier`."""
    region = (asked.start, asked.end)
    if asked.vocals:
        if region != (None, None):
            raise ProblemError(
                422, "with a recording, a `reference` goes on where it ended; leave out `start` and `end`"
            )
        return Remake(earlier.id, asked.reference_variation, earlier.seconds or 0.0)
    if asked.start is None or asked.end is None:
        raise ProblemError(
            422,
            "a `reference` needs the region to make anew, `start` and `end` in seconds, or a longer recording "
            "in the field `vocals`",
        )
    if asked.separate:
        raise ProblemError(422, "`separate` is for a recording; the voice of a `reference` is there")
    remake = Remake(earlier.id, asked.reference_variation, asked.start, asked.end)
    region_frames(remake, earlier.samples)
    return remake
