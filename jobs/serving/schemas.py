"""What requests carry and what answers hold, as the OpenAPI specification has it."""

import json
from typing import Annotated, Any, Literal

from fastapi import Path as InPath
from fastapi import Query, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from jobs.serving.arranger import Found
from jobs.serving.job import Edit, GenerationRequest, Job, State, region_of
from jobs.serving.job_manager import JobManager
from jobs.serving.problems import Problem, ProblemError
from jobs.serving.sheet_options import SheetOptions
from samuel import __version__
from samuel.generation import GenerationConfig, Mixdown
from samuel.generation.config import MOST_GUIDANCE, MOST_STEPS
from samuel.lead_sheet import LeadSheet
from samuel.lead_sheet.chord_names import chord_name

ACCOMPANIMENTS = "/v1/accompaniments"
RECORDINGS = "/v1/recordings"
LEAD_SHEETS = "/v1/lead-sheets"
MEDIA_TYPES = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg; codecs=opus",
}
MOST_SEED = 2**53 - 1
"""The largest integer that JSON's readers agree on."""

MOST_SHEET_BYTES = 1_000_000
SHEET_EXAMPLE = {
    "metre": {"beats": 4, "division": 2},
    "beats_per_minute": 92.0,
    "key": "A minor",
    "beats": [0.42, 1.0722, 1.7243, 2.3765],
    "downbeats": [0.42],
    "chords": [[0.42, 3.0287, "A:min"]],
    "energy": [],
    "style": "pop ballad",
    "unsure": ["key"],
}
BALANCE_DB = 24.0
USUAL_LUFS = Mixdown().lufs
LUFS = -40.0, -8.0

JobId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$", examples=["5f0c6f0e2f6a4d4f9d3f1f9a7c1b2e3d"])]
Variation = Annotated[int, Query(ge=0, le=99, description="Which one, from 0.")]
Format = Literal["wav", "flac", "mp3", "ogg", "opus"]
SheetFormat = Literal["json", "midi", "musicxml", "lab", "chordpro", "txt"]
SHEET_TYPES = {
    "json": "application/json",
    "midi": "audio/midi",
    "musicxml": "application/vnd.recordare.musicxml+xml",
    "lab": "text/plain; charset=utf-8",
    "chordpro": "text/plain; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}
Quality = Literal["draft", "standard", "best"]
Balance = Annotated[
    float, Query(ge=-BALANCE_DB, le=BALANCE_DB, description="dB by which the band is lifted.")
]

Loudness = Annotated[
    float,
    Query(ge=LUFS[0], le=LUFS[1], description="LUFS that the mix is brought to; streaming services' is -14."),
]


class DirectionForm(BaseModel):
    """What is given of lead sheet and arrangement: it holds exactly, the rest is found around it."""

    bpm: float | None = Field(None, ge=20, le=400, description="The tempo.", examples=[92])
    first_beat: float | None = Field(
        None, ge=0, le=86_400, description="When the first bar begins, in seconds.", examples=[0.42]
    )
    metre: str | None = Field(None, max_length=10, examples=["4/4", "6/8"])
    key: str | None = Field(None, max_length=20, examples=["A minor"])
    chords: str | None = Field(
        None,
        max_length=20_000,
        description="By bars, from the first bar of the song on, repeated to the end; `%` is the bar before, `N.C.` no chord.",
        examples=["| Am | F | C G/B | % |"],
    )
    style: str | None = Field(None, max_length=40, examples=["bossa nova"])
    energy: str | None = Field(
        None,
        max_length=20_000,
        description="How much of the band plays, 0 to 1: a number, or second:value.",
        examples=["0.7", "0:0.3, 20:0.9"],
    )
    lead_sheet: UploadFile | str | None = Field(
        None,
        description="Play from this one: a JSON, MIDI, MusicXML, .lab, .txt or ChordPro file, or JSON as text; what is "
        "given beside it holds.",
        examples=['{"beats": [0.4, 1.0, 1.6, 2.2], "downbeats": [0.4], "chords": [[0.4, 2.8, "A:min"]]}'],
    )

    async def options(self, manager: JobManager, **others: Any) -> SheetOptions:
        """Its words, read. Raises ProblemError, LeadSheetError."""
        sheet = None
        if isinstance(self.lead_sheet, str) and self.lead_sheet.strip():
            sheet = await read_sheet_of(self.lead_sheet.encode(), "lead-sheet.json", manager)
        elif self.lead_sheet is not None and not isinstance(self.lead_sheet, str):
            content = await self.lead_sheet.read(MOST_SHEET_BYTES + 1)
            sheet = await read_sheet_of(content, self.lead_sheet.filename or "", manager)
        options = SheetOptions(
            self.bpm,
            self.first_beat,
            self.metre,
            self.key,
            self.chords,
            self.style,
            self.energy,
            lead_sheet=sheet,
            **others,
        )
        options.direction()
        return options


async def read_sheet_of(content: bytes, name: str, manager: JobManager) -> str:
    """Raises a 413, or a LeadSheetError."""
    if len(content) > MOST_SHEET_BYTES:
        raise ProblemError(413, f"the lead sheet is larger than {MOST_SHEET_BYTES:,} bytes")
    return await manager.workers.coder("read_sheet", content, name)


class LeadSheetForm(DirectionForm):
    """A recording whose lead sheet is wanted; or one that an accompaniment was made of; or a lead sheet to convert."""

    model_config = ConfigDict(extra="forbid")

    recording: UploadFile | None = Field(None, description="As `vocals` of an accompaniment.")
    separate: bool = Field(False, description="The recording is a whole mix: take the voice out of it first.")
    reference: str | None = Field(
        None, pattern="^[0-9a-f]{32}$", description="Id of an accompaniment, whose voice is meant."
    )
    format: SheetFormat | None = Field(
        None, description="Answer with the lead sheet alone, as a file of this format."
    )


class LeadSheetFound(BaseModel):
    lead_sheet: dict[str, Any] = Field(
        description="As `lead_sheet` of an accompaniment takes it; times are seconds, chords [start, end, Harte's label].",
        examples=[SHEET_EXAMPLE],
    )
    text: str = Field(
        description="As a person would write it.", examples=["92 bpm, 4/4, A minor\n| Am | F |"]
    )
    chord_names: list[str] = Field(
        description="Of each chord, as musicians write it.", examples=[["Am", "F"]]
    )
    seconds: float = Field(examples=[47.55])
    melody: list[list[list[float]]] = Field(
        description="The sung line: [second, MIDI pitch], in stretches without a break.",
        examples=[[[[0.5, 57.0], [0.6, 57.1]]]],
    )
    remarks: list[str] = Field(description="What its owner should know.")

    @classmethod
    def of(cls, found: Found) -> "LeadSheetFound":
        sheet = LeadSheet.from_json(found.sheet)
        return cls(
            lead_sheet=sheet.to_dict(),
            text=found.text,
            chord_names=[chord_name(chord, sheet.key) for chord in sheet.chords],
            seconds=found.seconds,
            melody=found.melody,
            remarks=list(found.remarks),
        )


class AccompanimentForm(DirectionForm):
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
    strength: float = Field(
        GenerationConfig.strength,
        ge=0,
        le=1,
        description="Of the network over the arrangement, which rules make: 0 is the arrangement as it is, 1 the "
        "network alone.",
    )
    parts: str | None = Field(
        None,
        max_length=200,
        description="Who plays in the arrangement; default: everybody.",
        examples=["drums,bass"],
    )
    part_levels: str | None = Field(
        None,
        max_length=200,
        description="Of the arrangement's players, in dB, -60 to 60; `other`: all but drums and bass. The network "
        "starts from them, and the stems have them.",
        examples=["drums=-3, bass=+2, other=-6"],
    )
    vary_chords: bool = Field(False, description="Of variations: other likely chords in each, too.")
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
    audio: list[str] = Field(
        description="Of each variation: the network's band; at `strength` 0 the arrangement, by rules."
    )
    mix: list[str]
    lead_sheet: list[str] = Field(
        description="What each variation is played from. It and what follows is there once `arranged`."
    )
    click: list[str]
    arrangement: list[str] = Field(
        description="The arrangement's own sound, by rules: to be heard while the network works."
    )
    midi: list[str] = Field(description="The arrangement's notes, by rules.")
    stems: list[str] = Field(
        description="The arrangement's drums, bass and other, or with `by_part` its players, by rules: the network's band "
        "is one sound and has none."
    )


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
    strength: float = Field(
        description="0: the band is the arrangement itself, made by rules; above, the network plays it anew."
    )
    arranged: bool = Field(description="Whether lead sheet and arrangement can be fetched.")
    lead_sheets: list[dict[str, Any] | None] = Field(
        description="What each variation was played from, when it has succeeded."
    )
    stage_seconds: dict[str, float] = Field(
        description="Where the time went; the sum over variations, which are made side by side."
    )
    remarks: list[str] = Field(
        description="What there is to know of the recording: that no singing was found."
    )
    error: Problem | None
    links: Links

    @classmethod
    def of(cls, job: Job) -> "Accompaniment":
        here = f"{ACCOMPANIMENTS}/{job.id}"
        configs = job.request.configs
        return cls(
            id=job.id,
            state=job.state,
            stage=job.stage,
            progress=round(job.progress, 4),
            seconds=job.seconds,
            playable=job.playable,
            variations=len(configs),
            seeds=[config.seed for config in configs],
            quality=configs[0].quality,  # type: ignore[arg-type]
            strength=configs[0].strength,
            arranged=bool(job.played) and job.state in ("running", "succeeded"),
            lead_sheets=[
                json.loads(one.sheet) if one.sheet else None for one in job.played if job.state == "succeeded"
            ],
            remarks=job.remarks,
            stage_seconds=job.stage_seconds,
            error=Problem(**job.problem) if job.problem else None,
            links=Links(
                self=here,
                events=f"{here}/events",
                vocals=f"{here}/vocals",
                stream=[f"{here}/stream?variation={number}" for number in range(len(configs))],
                audio=[f"{here}/audio?variation={number}" for number in range(len(configs))],
                mix=[f"{here}/mix?variation={number}" for number in range(len(configs))],
                **{
                    name.replace("-", "_"): [f"{here}/{name}?variation={n}" for n in range(len(configs))]
                    for name in ("lead-sheet", "click", "arrangement", "midi", "stems")
                },
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
    styles: list[str] = Field(description="Of arrangements.")
    max_seconds: float
    max_bytes: int
    max_variations: int
    max_steps: int


class Models(BaseModel):
    data: list[Model]


class Health(BaseModel):
    status: Literal["ok"] = "ok"
    version: str = __version__


def generation_request(
    asked: AccompanimentForm,
    options: SheetOptions,
    manager: JobManager,
    owner: str,
    kept: bool,
) -> GenerationRequest:
    """What a request asks for. Raises ProblemError for what cannot be done."""
    settings = manager.settings
    if asked.variations > settings.max_variations:
        raise ProblemError(422, f"variations: at most {settings.max_variations} here")
    if asked.steps and asked.steps > settings.max_steps:
        raise ProblemError(422, f"steps: at most {settings.max_steps} here")
    if asked.vocals is None and asked.reference is None:
        raise ProblemError(
            422, "send a recording in the field `vocals`, or the `reference` of an earlier result"
        )
    edit = None
    if asked.reference:
        earlier = manager.find(asked.reference, owner)
        if earlier.state != "succeeded":
            raise ProblemError(409, f"the accompaniment to change is {earlier.state}")
        if asked.reference_variation >= len(earlier.request.configs):
            raise ProblemError(
                404, f"the accompaniment to change has no variation {asked.reference_variation}"
            )
        edit = edit_of(asked, options, earlier)
    elif asked.start is not None or asked.end is not None:
        raise ProblemError(422, "`start` and `end` name a region of a `reference`; there is none")
    if asked.seed + asked.variations - 1 > MOST_SEED:
        raise ProblemError(422, f"seed: the last variation's would be beyond {MOST_SEED}")
    configs = tuple(
        GenerationConfig(asked.quality, asked.seed + number, asked.guidance, asked.steps, asked.strength)
        for number in range(asked.variations)
    )
    return GenerationRequest(configs, asked.separate, edit, kept, owner, options)


def edit_of(asked: AccompanimentForm, options: SheetOptions, earlier: Job) -> Edit:
    """What is to change of `earlier`."""
    region = (asked.start, asked.end)
    if asked.vocals:
        if region != (None, None):
            raise ProblemError(
                422, "with a recording, a `reference` goes on where it ended; leave out `start` and `end`"
            )
        return Edit(earlier.id, asked.reference_variation, earlier.seconds or 0.0)
    if asked.start is None or asked.end is None:
        raise ProblemError(
            422,
            "a `reference` needs the region to make anew, `start` and `end` in seconds, or a longer recording "
            "in the field `vocals`",
        )
    if options.moves_beats:
        raise ProblemError(
            422,
            "`bpm`, `first_beat` and `metre` are of a whole accompaniment; leave out `reference` to change them",
        )
    if asked.separate:
        raise ProblemError(422, "`separate` is for a recording; the voice of a `reference` is there")
    edit = Edit(earlier.id, asked.reference_variation, asked.start, asked.end)
    region_of(edit, earlier.samples, earlier.samples)
    return edit
