"""Routes that take a recording: to make an accompaniment, or to see whether it can be used."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Header, Request, UploadFile
from fastapi.responses import JSONResponse, Response

from jobs.serving.job_manager import require_success
from jobs.serving.problems import documented
from jobs.serving.routes.dependencies import AUDIO, Manager, answers
from jobs.serving.routes.results import EVENTS, audio_response, band_response, event_response, mix_response
from jobs.serving.schemas import (
    ACCOMPANIMENTS,
    MEDIA_TYPES,
    RECORDINGS,
    Accompaniment,
    AccompanimentForm,
    generation_request,
)
from samuel.generation import Mixdown
from samuel.generation.generator import require_for

router = APIRouter(tags=["accompaniments"])


@router.post(
    ACCOMPANIMENTS,
    response_class=Response,
    responses=AUDIO
    | {202: {"model": Accompaniment, "description": "Accepted; the answer to `Prefer: respond-async`"}}
    | documented(400, 401, 404, 408, 409, 413, 422, 429, 500, 503, 504, 507),
)
async def accompany(
    request: Request,
    manager: Manager,
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
    wanted = generation_request(asked, options, manager, request.state.owner, kept=later)
    if asked.steps is not None or asked.guidance is not None:
        require_for((await manager.workers.card()).student, wanted.configs[0])
    recording = await asked.vocals.read() if asked.vocals else None
    job = await manager.submit(wanted, recording)
    headers = {"Location": f"{ACCOMPANIMENTS}/{job.id}"}
    if later:
        preferred = headers | {"Preference-Applied": "respond-async"}
        return JSONResponse(Accompaniment.of(job).model_dump(), 202, preferred)
    if EVENTS in accept:
        return event_response(manager, job, cancel=True, headers=headers)

    async def made() -> Response:
        await manager.finished(job)
        require_success(job)
        if asked.output == "mix":
            mixdown = Mixdown(asked.balance, asked.lufs)
            return await mix_response(manager, job, 0, mixdown, asked.format, headers)
        return await band_response(manager, job, 0, asked.format, headers)

    try:
        answer = await unless_gone(request, made())
    except asyncio.CancelledError:
        manager.abandon(job)
        raise
    if answer is None:
        manager.abandon(job)
        return Response(status_code=499)  # as nginx calls it; nobody reads it
    return answer


@router.post(
    RECORDINGS,
    response_class=Response,
    responses=answers("FLAC", MEDIA_TYPES["flac"]) | documented(400, 401, 408, 413, 422, 429, 503, 507),
)
async def read(
    manager: Manager,
    recording: Annotated[UploadFile, File(description="As `vocals` of an accompaniment.")],
) -> Response:
    """Whether a recording can be used, without making anything: itself as FLAC, 44.1 kHz stereo, as it is heard."""
    content = await recording.read()
    async with manager.conversions:
        return audio_response(await manager.workers.read(content), "flac")


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
