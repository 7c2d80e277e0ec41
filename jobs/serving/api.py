"""HTTP: routes, what they take and answer, and the page. Nothing here knows Ray or the model."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Form, Header, Query, Request, UploadFile
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

from jobs.serving.desk import Desk, Job, Order, Remake, State, WorkerLost, region_frames
from jobs.serving.guard import ACCOMPANIMENTS, Guard
from jobs.serving.problems import Problem, ProblemError, answer_with_problems, documented
from jobs.serving.settings import Settings
from jobs.serving.spool import VOCALS, band_file
from samuel import __version__
from samuel.config import SAMPLE_RATE
from samuel.generation import QUALITIES, Recipe
from samuel.generation.recipe import MOST_GUIDANCE

PAGE = Path(__file__).parents[2] / "samuel" / "studio"
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

Responses = dict[int | str, dict[str, Any]]

JobId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$", examples=["5f0c6f0e2f6a4d4f9d3f1f9a7c1b2e3d"])]
Variation = Annotated[int, Query(ge=0, le=99, description="Which one, from 0.")]
Format = Literal["wav", "flac", "mp3", "ogg", "opus"]
Quality = Literal["draft", "standard", "best"]
Balance = Annotated[
    float, Query(ge=-BALANCE_DB, le=BALANCE_DB, description="dB by which the band is lifted.")
]


class Asked(BaseModel):
    """A recording, and what to make of it; or a region of an earlier accompaniment, to make anew."""

    model_config = ConfigDict(extra="forbid")

    vocals: UploadFile | None = Field(
        None,
        description="The recording: WAV, FLAC, MP3, M4A, OGG, Opus, WebM. Left out when `reference` is given.",
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
    variations: int = Field(1, ge=1, le=16, description="How many to make; the service may allow fewer.")
    separate: bool = Field(False, description="The recording is a whole mix: take the voice out of it first.")
    format: Format = Field("wav", description="Of the audio in the answer.")
    output: Literal["band", "mix"] = Field(
        "band", description="The answer's audio: the band alone, or with the voice."
    )
    balance: float = Field(
        0.0, ge=-BALANCE_DB, le=BALANCE_DB, description="dB by which the band is lifted in a mix."
    )
    reference: str | None = Field(
        None,
        pattern="^[0-9a-f]{32}$",
        description="Id of an earlier accompaniment, of which a region is made anew.",
    )
    reference_variation: int = Field(0, ge=0, le=99)
    start: float | None = Field(None, ge=0, le=86_400, description="Where the region begins, in seconds.")
    end: float | None = Field(None, gt=0, le=86_400, description="Where it ends.")


class Links(BaseModel):
    self: str
    events: str
    vocals: str
    audio: list[str] = Field(description="Of each variation.")
    mix: list[str]


class Accompaniment(BaseModel):
    """A job: how far it is, and where its audio will be."""

    id: str = Field(examples=["5f0c6f0e2f6a4d4f9d3f1f9a7c1b2e3d"])
    state: State
    stage: str = Field(description="What is being done.", examples=["sample"])
    progress: float = Field(ge=0, le=1)
    seconds: float | None = Field(description="Length of the vocals, once they are heard.", examples=[47.55])
    variations: int
    seeds: list[int]
    quality: Quality
    stage_seconds: dict[str, float] = Field(description="Where the time went.")
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
            variations=len(recipes),
            seeds=[recipe.seed for recipe in recipes],
            quality=recipes[0].quality,  # type: ignore[arg-type]
            stage_seconds=job.stage_seconds,
            error=Problem(**job.problem) if job.problem else None,
            links=Links(
                self=here,
                events=f"{here}/events",
                vocals=f"{here}/vocals",
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


class Models(BaseModel):
    data: list[Model]


class Health(BaseModel):
    status: Literal["ok"] = "ok"
    version: str = __version__


AUDIO: Responses = {
    200: {"description": "Audio", "content": {one.split(";")[0]: {} for one in MEDIA_TYPES.values()}}
}
EVENTS = "text/event-stream"
SENT_EVENTS: Responses = {200: {"description": "Events", "content": {EVENTS: {}}}}


def build_api(desk: Desk, settings: Settings) -> Any:
    """The ASGI application around a desk."""
    api = FastAPI(
        title="SAMUeL",
        version=__version__,
        summary="A singer's voice in, a band out.",
        docs_url=None,
        redoc_url=None,
    )
    answer_with_problems(api)

    @api.get("/healthz", tags=["service"])
    async def healthz() -> Health:
        """The server is alive."""
        return Health()

    @api.get("/readyz", tags=["service"], responses=documented(503))
    async def readyz() -> Health:
        """All workers answer."""
        if not await desk.workers.ready():
            raise ProblemError(503, "the workers are starting; try again soon", {"Retry-After": "5"})
        return Health()

    @api.get("/v1/models", tags=["accompaniments"], responses=documented(401, 503))
    async def models() -> Models:
        """The model, and the limits of the service."""
        try:
            card = await desk.workers.card()
        except WorkerLost as error:
            raise ProblemError(503, str(error), {"Retry-After": "10"}) from None
        return Models(
            data=[
                Model(
                    id=card.id,
                    parameters=card.parameters,
                    codec=card.codec,
                    device=card.device,
                    sample_rate=SAMPLE_RATE,
                    qualities={name: quality.steps for name, quality in QUALITIES.items()},
                    formats=list(MEDIA_TYPES),
                    max_seconds=settings.max_seconds,
                    max_bytes=settings.max_bytes,
                    max_variations=settings.max_variations,
                )
            ]
        )

    @api.post(
        ACCOMPANIMENTS,
        tags=["accompaniments"],
        response_class=Response,
        responses=AUDIO
        | {202: {"model": Accompaniment, "description": "Accepted; the answer to `Prefer: respond-async`"}}
        | documented(401, 404, 408, 409, 413, 422, 429, 500, 503, 504),
    )
    async def accompany(
        request: Request,
        asked: Annotated[Asked, Form(media_type="multipart/form-data")],
        prefer: Annotated[str, Header(description="`respond-async`: answer 202 at once.")] = "",
        accept: Annotated[str, Header(description="`text/event-stream`: answer with events.")] = "",
    ) -> Response:
        """Make an accompaniment.

        Answers with the audio of the first variation; the header `Location` says where the rest is. With
        `Prefer: respond-async` it answers 202 and the job's address at once, with `Accept: text/event-stream` with
        the job's events. Where the answer is waited for, a client that goes away cancels its job.
        """
        later = "respond-async" in prefer
        order = order_of(asked, desk, settings, request.state.owner, kept=later)
        recording = await asked.vocals.read() if asked.vocals else None
        request.state.place_taken = True
        job = await desk.submit(order, recording, request.state.place)
        headers = {"Location": f"{ACCOMPANIMENTS}/{job.id}"}
        if later:
            return JSONResponse(
                Accompaniment.of(job).model_dump(), 202, headers | {"Preference-Applied": "respond-async"}
            )
        if EVENTS in accept:
            return StreamingResponse(
                events(job, cancel=True), 200, headers | {"Cache-Control": "no-store"}, EVENTS
            )
        try:
            await desk.finished(job)
        except asyncio.CancelledError:
            await asyncio.shield(desk.forget(job))
            raise
        if job.problem:
            raise ProblemError(job.problem["status"], job.problem["detail"])
        if asked.output == "mix":
            return await mixed(job, 0, asked.balance, asked.format, headers)
        return await stem(job, band_file(0), asked.format, headers)

    @api.get(f"{ACCOMPANIMENTS}/{{job_id}}", tags=["accompaniments"], responses=documented(401, 404, 422))
    async def state(request: Request, job_id: JobId) -> Accompaniment:
        """How far an accompaniment is."""
        return Accompaniment.of(desk.find(job_id, request.state.owner))

    @api.get(
        f"{ACCOMPANIMENTS}/{{job_id}}/events",
        tags=["accompaniments"],
        response_class=StreamingResponse,
        responses=SENT_EVENTS | documented(401, 404, 422),
    )
    async def watch(request: Request, job_id: JobId) -> StreamingResponse:
        """The accompaniment's state at each change, as server-sent events, until it is over."""
        job = desk.find(job_id, request.state.owner)
        return StreamingResponse(events(job), media_type=EVENTS, headers={"Cache-Control": "no-store"})

    @api.delete(
        f"{ACCOMPANIMENTS}/{{job_id}}",
        tags=["accompaniments"],
        status_code=204,
        responses=documented(401, 404, 422),
    )
    async def delete(request: Request, job_id: JobId) -> None:
        """Stop an accompaniment, and delete the recording and all that was made of it."""
        await desk.forget(desk.find(job_id, request.state.owner))

    finished = AUDIO | documented(401, 404, 409, 422, 503)

    @api.get(
        f"{ACCOMPANIMENTS}/{{job_id}}/audio",
        tags=["accompaniments"],
        response_class=Response,
        responses=finished,
    )
    async def audio(
        request: Request, job_id: JobId, variation: Variation = 0, format: Format = "wav"
    ) -> Response:
        """The band of a variation."""
        return await stem(desk.find(job_id, request.state.owner), band_file(variation), format)

    @api.get(
        f"{ACCOMPANIMENTS}/{{job_id}}/vocals",
        tags=["accompaniments"],
        response_class=Response,
        responses=finished,
    )
    async def vocals(request: Request, job_id: JobId, format: Format = "wav") -> Response:
        """The voice that was heard: the recording, or what was taken out of it."""
        return await stem(desk.find(job_id, request.state.owner), VOCALS, format)

    @api.get(
        f"{ACCOMPANIMENTS}/{{job_id}}/mix",
        tags=["accompaniments"],
        response_class=Response,
        responses=finished,
    )
    async def mix(
        request: Request,
        job_id: JobId,
        variation: Variation = 0,
        balance: Balance = 0.0,
        format: Format = "wav",
    ) -> Response:
        """Voice and band together, loudness normalised, never clipped."""
        return await mixed(desk.find(job_id, request.state.owner), variation, balance, format)

    async def stem(job: Job, name: str, file_format: str, headers: dict[str, str] | None = None) -> Response:
        content = await desk.read(job, name)
        return audio_response(await desk.workers.convert(content, file_format), file_format, headers)

    async def mixed(
        job: Job, variation: int, balance: float, file_format: str, headers: dict[str, str] | None = None
    ) -> Response:
        voice, band = await desk.read(job, VOCALS), await desk.read(job, band_file(variation))
        return audio_response(await desk.workers.mix(voice, band, balance, file_format), file_format, headers)

    async def events(job: Job, cancel: bool = False) -> AsyncIterator[str]:
        """`cancel`: when the client goes away before the end, so does the job."""
        try:
            async for now in desk.watch(job):
                yield f"event: {now.state}\ndata: {Accompaniment.of(now).model_dump_json()}\n\n"
        finally:
            if cancel and not job.over:
                await asyncio.shield(desk.forget(job))

    if PAGE.is_dir():
        page = (PAGE / "index.html").read_text()

        @api.get("/", include_in_schema=False)
        async def studio(request: Request) -> HTMLResponse:
            return HTMLResponse(page.replace("{{nonce}}", request.state.nonce))

        api.mount("/studio", StaticFiles(directory=PAGE))

    guarded: Any = Guard(api, desk, settings)
    origins = [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]
    if origins:
        guarded = CORSMiddleware(
            guarded,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Prefer"],
            expose_headers=["Location", "Retry-After"],
        )
    return guarded


def order_of(asked: Asked, desk: Desk, settings: Settings, owner: str, kept: bool) -> Order:
    """What a request asks for. Raises ProblemError for what cannot be done."""
    if asked.variations > settings.max_variations:
        raise ProblemError(422, f"variations: at most {settings.max_variations} here")
    if (asked.vocals is None) == (asked.reference is None):
        raise ProblemError(
            422, "send a recording in the field `vocals`, or the `reference` of an earlier result"
        )
    remake = None
    if asked.reference:
        if asked.start is None or asked.end is None:
            raise ProblemError(
                422, "a `reference` needs the region to make anew: `start` and `end`, in seconds"
            )
        if asked.separate:
            raise ProblemError(422, "`separate` is for a recording; the voice of a `reference` is there")
        remake = Remake(asked.reference, asked.reference_variation, asked.start, asked.end)
        earlier = desk.find(remake.job, owner)
        if earlier.state != "succeeded":
            raise ProblemError(409, f"the accompaniment to change is {earlier.state}")
        if remake.variation >= len(earlier.order.recipes):
            raise ProblemError(404, f"the accompaniment to change has no variation {remake.variation}")
        region_frames(remake, round((earlier.seconds or 0) * SAMPLE_RATE))
    elif asked.start is not None or asked.end is not None:
        raise ProblemError(422, "`start` and `end` name a region of a `reference`; there is none")
    if asked.seed + asked.variations - 1 > MOST_SEED:
        raise ProblemError(422, f"seed: the last variation's would be beyond {MOST_SEED}")
    recipes = tuple(
        Recipe(asked.quality, asked.seed + number, asked.guidance) for number in range(asked.variations)
    )
    return Order(recipes, asked.separate, remake, kept, owner)


def audio_response(content: bytes, file_format: str, headers: dict[str, str] | None = None) -> Response:
    return Response(content, 200, headers, MEDIA_TYPES[file_format])
