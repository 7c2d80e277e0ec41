"""HTTP: routes, what they take and answer, and the page. Nothing here knows Ray or the model."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, Header, Request, UploadFile
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from jobs.serving.guard import Guard
from jobs.serving.job import Job
from jobs.serving.job_manager import JobManager, require_success
from jobs.serving.job_runner import WorkerLost
from jobs.serving.job_store import VOCALS
from jobs.serving.page import add_page
from jobs.serving.problems import ProblemError, answer_with_problems, documented
from jobs.serving.schemas import (
    ACCOMPANIMENTS,
    MEDIA_TYPES,
    RECORDINGS,
    USUAL_LUFS,
    Accompaniment,
    AccompanimentForm,
    Balance,
    Format,
    Health,
    JobId,
    Loudness,
    Model,
    Models,
    Responses,
    Variation,
    generation_request,
)
from jobs.serving.settings import Settings
from jobs.serving.sheet_routes import add_lead_sheets
from jobs.serving.stream import as_wav, stream_bytes
from samuel import __version__
from samuel.arranging import STYLES
from samuel.audio import AudioError
from samuel.config import SAMPLE_RATE
from samuel.generation import QUALITIES
from samuel.generation.generator import StudentError, require_for
from samuel.generation.recordings import Mixdown
from samuel.lead_sheet import LeadSheetError

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

see what the band would play from, correct it, and hear seconds 10 to 15 with other chords:

    curl -F recording=@voice.wav http://localhost:8000/v1/lead-sheets
    curl -F vocals=@voice.wav -F bpm=92 -F 'chords=| Am | F | C G/B | % |' -o band.wav http://localhost:8000/v1/accompaniments
    curl -F reference=ID -F start=10 -F end=15 -F 'chords=| Dm | G |' -o band.wav http://localhost:8000/v1/accompaniments

or, with a recording that begins as that one did and is longer, let the band go on from where it ended:

    curl -F reference=ID -F vocals=@longer.wav -o band.wav http://localhost:8000/v1/accompaniments
"""


AUDIO: Responses = {
    200: {"description": "Audio", "content": {one.split(";")[0]: {} for one in MEDIA_TYPES.values()}}
}
STREAM: Responses = {200: {"description": "Audio, as it is made", "content": {MEDIA_TYPES["wav"]: {}}}}
EVENTS = "text/event-stream"
EVENT_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
LUFS_HEADER = "X-Loudness-LUFS"
"""Of a mix, how loud it is: where its peaks leave no room it is below what was asked for."""
KEEP_ALIVE_SECONDS = 15.0
"""Proxies close a connection that says nothing for long, often after 60 s."""
SENT_EVENTS: Responses = {200: {"description": "Events", "content": {EVENTS: {}}}}


def build_api(manager: JobManager, settings: Settings) -> Any:
    """The ASGI application around a job manager."""
    api = FastAPI(
        title="SAMUeL",
        version=__version__,
        summary="A singer's voice in, a band out.",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
    )
    answer_with_problems(api, {WorkerLost: 503, AudioError: 422, LeadSheetError: 422, StudentError: 422})

    @api.get("/healthz", tags=["service"])
    async def healthz() -> Health:
        """The server is alive."""
        return Health()

    @api.get("/readyz", tags=["service"], responses=documented(503))
    async def readyz() -> Health:
        """All workers answer."""
        if not await manager.workers.ready():
            raise ProblemError(503, "the workers are starting; try again soon", {"Retry-After": "5"})
        return Health()

    @api.get("/v1/models", tags=["accompaniments"], responses=documented(401, 503))
    async def models() -> Models:
        """The model, and the limits of the service."""
        card = await manager.workers.card()
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
                    styles=[style.name for style in STYLES],
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
        | documented(400, 401, 404, 408, 409, 413, 422, 429, 500, 503, 504, 507),
    )
    async def accompany(
        request: Request,
        asked: Annotated[AccompanimentForm, Form(media_type="multipart/form-data")],
        prefer: Annotated[str, Header(description="`respond-async`: answer 202 at once.")] = "",
        accept: Annotated[str, Header(description="`text/event-stream`: answer with events.")] = "",
    ) -> Response:
        """Make an accompaniment.

        Answers with the audio of the first variation; the header `Location` says where the rest is. With
        `Prefer: respond-async` it answers 202 and the job's address at once, with `Accept: text/event-stream` with
        the job's events. Where the answer is waited for, a client that goes away cancels its job.
        """
        later = "respond-async" in prefer
        options = await asked.options(
            manager,
            parts=asked.parts or None,
            part_levels=asked.part_levels or None,
            vary_chords=asked.vary_chords,
        )
        wanted = generation_request(asked, options, manager, settings, request.state.owner, kept=later)
        if asked.steps is not None or asked.guidance is not None:
            require_for((await manager.workers.card()).student, wanted.configs[0])
        recording = await asked.vocals.read() if asked.vocals else None
        job = await manager.submit(wanted, recording)
        headers = {"Location": f"{ACCOMPANIMENTS}/{job.id}"}
        if later:
            return JSONResponse(
                Accompaniment.of(job).model_dump(), 202, headers | {"Preference-Applied": "respond-async"}
            )
        if EVENTS in accept:
            return EventSourceResponse(events(job, cancel=True), headers=headers | EVENT_HEADERS)

        async def made() -> Response:
            await manager.finished(job)
            require_success(job)
            if asked.output == "mix":
                return await mixed(job, 0, Mixdown(asked.balance, asked.lufs), asked.format, headers)
            return await band(job, 0, asked.format, headers)

        try:
            answer = await unless_gone(request, made())
        except asyncio.CancelledError:
            manager.abandon(job)
            raise
        if answer is None:
            manager.abandon(job)
            return Response(status_code=499)  # as nginx calls it; nobody reads it
        return answer

    @api.post(
        RECORDINGS,
        tags=["accompaniments"],
        response_class=Response,
        responses={
            200: {"description": "FLAC", "content": {MEDIA_TYPES["flac"]: {}}},
            **documented(400, 401, 408, 413, 422, 429, 503, 507),
        },
    )
    async def read(
        recording: Annotated[UploadFile, File(description="As `vocals` of an accompaniment.")],
    ) -> Response:
        """Whether a recording can be used, without making anything: itself as FLAC, 44.1 kHz stereo, as it is heard."""
        content = await recording.read()
        async with manager.conversions:
            return audio_response(await manager.workers.read(content), "flac")

    @api.get(f"{ACCOMPANIMENTS}/{{job_id}}", tags=["accompaniments"], responses=documented(401, 404, 422))
    async def state(request: Request, job_id: JobId) -> Accompaniment:
        """How far an accompaniment is."""
        return Accompaniment.of(manager.find(job_id, request.state.owner))

    @api.get(
        f"{ACCOMPANIMENTS}/{{job_id}}/events",
        tags=["accompaniments"],
        response_class=StreamingResponse,
        responses=SENT_EVENTS | documented(401, 404, 422, 429),
    )
    async def watch(request: Request, job_id: JobId) -> EventSourceResponse:
        """The accompaniment's state at each change, as server-sent events, until it is over."""
        job = manager.find(job_id, request.state.owner)
        return EventSourceResponse(events(job), headers=EVENT_HEADERS)

    @api.delete(
        f"{ACCOMPANIMENTS}/{{job_id}}",
        tags=["accompaniments"],
        status_code=204,
        responses=documented(401, 404, 422),
    )
    async def delete(request: Request, job_id: JobId) -> None:
        """Stop an accompaniment, and delete the recording and all that was made of it."""
        await manager.forget(manager.find(job_id, request.state.owner))

    @api.get(
        f"{ACCOMPANIMENTS}/{{job_id}}/stream",
        tags=["accompaniments"],
        response_class=StreamingResponse,
        responses=STREAM | documented(401, 404, 409, 422, 429, 500, 503, 504, 507),
    )
    async def stream(request: Request, job_id: JobId, variation: Variation = 0) -> StreamingResponse:
        """The band of a variation from its beginning, while it is made.

        A WAV file of 16 bit whose first seconds come as soon as they are made. Where the band is louder than full
        scale its peaks are cut; `audio` is turned down instead. If the job fails on the way the answer breaks off,
        shorter than its `Content-Length`.
        """
        job = manager.find(job_id, request.state.owner)
        pieces = manager.listen(job, variation)
        first = await anext(pieces)
        headers = {"Content-Length": str(stream_bytes(job.samples)), "Cache-Control": "no-store"}
        return StreamingResponse(
            as_wav(first, pieces, job.samples), media_type=MEDIA_TYPES["wav"], headers=headers
        )

    finished = AUDIO | documented(401, 404, 409, 422, 429, 503)

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
        return await band(manager.find(job_id, request.state.owner), variation, format)

    @api.get(
        f"{ACCOMPANIMENTS}/{{job_id}}/vocals",
        tags=["accompaniments"],
        response_class=Response,
        responses=finished,
    )
    async def vocals(request: Request, job_id: JobId, format: Format = "wav") -> Response:
        """The voice that was heard: the recording, or what was taken out of it. It is there as soon as it is heard."""
        job = manager.find(job_id, request.state.owner)
        async with manager.conversions:
            voice = await manager.read(job, VOCALS)
            return audio_response(await manager.workers.transcode(voice, format), format)

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
        """Voice and band together, with peaks of at most -1 dBTP: never clipped.

        The header `X-Loudness-LUFS` says how loud it is; where its peaks leave no room, that is below `lufs`.
        """
        job = manager.find(job_id, request.state.owner)
        return await mixed(job, variation, Mixdown(balance, lufs), format)

    async def band(
        job: Job, variation: int, file_format: str, headers: dict[str, str] | None = None
    ) -> Response:
        async with manager.conversions:
            pieces = await manager.pieces(job, variation)
            content = await manager.workers.concatenate(pieces, job.samples, file_format)
        return audio_response(content, file_format, headers)

    async def mixed(
        job: Job, variation: int, mixdown: Mixdown, file_format: str, headers: dict[str, str] | None = None
    ) -> Response:
        async with manager.conversions:
            voice, pieces = await manager.read(job, VOCALS), await manager.pieces(job, variation)
            made = await manager.workers.mix(voice, pieces, job.samples, mixdown, file_format)
        return audio_response(made.content, file_format, (headers or {}) | {LUFS_HEADER: f"{made.lufs:.1f}"})

    async def events(job: Job, cancel: bool = False) -> AsyncIterator[bytes]:
        """`cancel`: when the client goes away before the end, so does the job."""
        try:
            async for now in manager.watch(job, KEEP_ALIVE_SECONDS):
                if now is None:
                    yield KEEPALIVE_COMMENT
                else:
                    yield format_sse_event(event=now.state, data_str=Accompaniment.of(now).model_dump_json())
        finally:
            if cancel and not job.over:
                manager.abandon(job)

    add_lead_sheets(api, manager)
    add_page(api)
    guarded: Any = Guard(api, manager, settings)
    origins = [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]
    if origins:
        guarded = CORSMiddleware(
            guarded,
            allow_origins=origins,
            allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=["Authorization", "Prefer"],
            expose_headers=["Location", "Retry-After", LUFS_HEADER],
        )
    return ProxyHeadersMiddleware(guarded, settings.trusted_proxies)


async def unless_gone(request: Request, work: Coroutine[Any, Any, Response]) -> Response | None:
    """What the work gives; None when the client goes away before: then the work is stopped."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for one in (working, leaving):
            one.cancel()
        await asyncio.wait({working, leaving})


def audio_response(content: bytes, file_format: str, headers: dict[str, str] | None = None) -> Response:
    return Response(content, 200, headers, MEDIA_TYPES[file_format])
