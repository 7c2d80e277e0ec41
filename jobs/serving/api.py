"""HTTP: routes, what they take and answer, and the page. Nothing here knows Ray or the model."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, Header, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

import samuel
from jobs.serving.desk import Desk, WorkerLost
from jobs.serving.guard import Guard
from jobs.serving.job import Job
from jobs.serving.messages import (
    ACCOMPANIMENTS,
    MEDIA_TYPES,
    USUAL_LUFS,
    Accompaniment,
    Asked,
    Balance,
    Format,
    Health,
    JobId,
    Loudness,
    Model,
    Models,
    Responses,
    Variation,
    order_of,
)
from jobs.serving.problems import ProblemError, answer_with_problems, documented
from jobs.serving.settings import Settings
from jobs.serving.spool import VOCALS
from jobs.serving.stream import as_wav, stream_bytes
from samuel import __version__
from samuel.config import SAMPLE_RATE
from samuel.generation import QUALITIES
from samuel.generation.recordings import Mixdown

PAGE = Path(samuel.__file__).parent / "studio"
DESCRIPTION = """
Wait for the audio:

    curl -F vocals=@voice.wav -F quality=draft -o band.wav http://localhost:8000/v1/accompaniments

or take the address of a job, look how far it is, and fetch what you want of it:

    curl -F vocals=@voice.wav -F variations=2 -H 'Prefer: respond-async' http://localhost:8000/v1/accompaniments
    curl http://localhost:8000/v1/accompaniments/ID
    curl -o mix.mp3 'http://localhost:8000/v1/accompaniments/ID/mix?variation=1&format=mp3'

hear the beginning while the rest is made:

    curl -s 'http://localhost:8000/v1/accompaniments/ID/stream' | ffplay -

and make seconds 10 to 15 of it anew:

    curl -F reference=ID -F start=10 -F end=15 -F seed=7 -o band.wav http://localhost:8000/v1/accompaniments

or, with a recording that begins as that one did and is longer, let the band go on from where it ended:

    curl -F reference=ID -F vocals=@longer.wav -o band.wav http://localhost:8000/v1/accompaniments
"""


AUDIO: Responses = {
    200: {"description": "Audio", "content": {one.split(";")[0]: {} for one in MEDIA_TYPES.values()}}
}
STREAM: Responses = {200: {"description": "Audio, as it is made", "content": {MEDIA_TYPES["wav"]: {}}}}
EVENTS = "text/event-stream"
SENT_EVENTS: Responses = {200: {"description": "Events", "content": {EVENTS: {}}}}


def build_api(desk: Desk, settings: Settings) -> Any:
    """The ASGI application around a desk."""
    api = FastAPI(
        title="SAMUeL",
        version=__version__,
        summary="A singer's voice in, a band out.",
        description=DESCRIPTION,
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
                    max_steps=settings.max_steps,
                )
            ]
        )

    @api.post(
        ACCOMPANIMENTS,
        tags=["accompaniments"],
        response_class=Response,
        responses=AUDIO
        | {202: {"model": Accompaniment, "description": "Accepted; the answer to `Prefer: respond-async`"}}
        | documented(400, 401, 404, 408, 409, 413, 422, 429, 500, 503, 504),
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
            desk.abandon(job)
            raise
        if job.problem:
            raise ProblemError(job.problem["status"], job.problem["detail"])
        if asked.output == "mix":
            return await mixed(job, 0, Mixdown(asked.balance, asked.lufs), asked.format, headers)
        return await band(job, 0, asked.format, headers)

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

    @api.get(
        f"{ACCOMPANIMENTS}/{{job_id}}/stream",
        tags=["accompaniments"],
        response_class=StreamingResponse,
        responses=STREAM | documented(401, 404, 409, 422, 500, 503, 504),
    )
    async def stream(request: Request, job_id: JobId, variation: Variation = 0) -> StreamingResponse:
        """The band of a variation from its beginning, while it is made.

        A WAV file of 16 bit whose first seconds come as soon as they are made. Where the band is louder than full
        scale its peaks are cut; `audio` is turned down instead. If the job fails on the way the answer breaks off,
        shorter than its `Content-Length`.
        """
        job = desk.find(job_id, request.state.owner)
        pieces = desk.listen(job, variation)
        first = await anext(pieces)
        headers = {"Content-Length": str(stream_bytes(job.samples)), "Cache-Control": "no-store"}
        return StreamingResponse(
            as_wav(first, pieces, job.samples), media_type=MEDIA_TYPES["wav"], headers=headers
        )

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
        return await band(desk.find(job_id, request.state.owner), variation, format)

    @api.get(
        f"{ACCOMPANIMENTS}/{{job_id}}/vocals",
        tags=["accompaniments"],
        response_class=Response,
        responses=finished,
    )
    async def vocals(request: Request, job_id: JobId, format: Format = "wav") -> Response:
        """The voice that was heard: the recording, or what was taken out of it. It is there as soon as it is heard."""
        voice = await desk.read(desk.find(job_id, request.state.owner), VOCALS)
        return audio_response(await desk.workers.convert(voice, format), format)

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
        lufs: Loudness = USUAL_LUFS,
        format: Format = "wav",
    ) -> Response:
        """Voice and band together, with peaks of at most -1 dBTP: never clipped."""
        job = desk.find(job_id, request.state.owner)
        return await mixed(job, variation, Mixdown(balance, lufs), format)

    async def band(
        job: Job, variation: int, file_format: str, headers: dict[str, str] | None = None
    ) -> Response:
        pieces = await desk.pieces(job, variation)
        content = await desk.workers.join(pieces, job.samples, file_format)
        return audio_response(content, file_format, headers)

    async def mixed(
        job: Job, variation: int, mixdown: Mixdown, file_format: str, headers: dict[str, str] | None = None
    ) -> Response:
        voice, pieces = await desk.read(job, VOCALS), await desk.pieces(job, variation)
        content = await desk.workers.mix(voice, pieces, job.samples, mixdown, file_format)
        return audio_response(content, file_format, headers)

    async def events(job: Job, cancel: bool = False) -> AsyncIterator[str]:
        """`cancel`: when the client goes away before the end, so does the job."""
        try:
            async for now in desk.watch(job):
                yield f"event: {now.state}\ndata: {Accompaniment.of(now).model_dump_json()}\n\n"
        finally:
            if cancel and not job.over:
                desk.abandon(job)

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


def audio_response(content: bytes, file_format: str, headers: dict[str, str] | None = None) -> Response:
    return Response(content, 200, headers, MEDIA_TYPES[file_format])
