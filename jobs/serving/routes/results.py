"""Routes of one accompaniment: how far it is, its sounds while and after they are made, its end."""

from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from jobs.serving.job import Job
from jobs.serving.job_manager import JobManager
from jobs.serving.job_store import VOCALS
from jobs.serving.problems import documented
from jobs.serving.routes.dependencies import AUDIO, AskedJob, Manager, answers
from jobs.serving.schemas import (
    ACCOMPANIMENTS,
    MEDIA_TYPES,
    USUAL_LUFS,
    Accompaniment,
    Balance,
    Format,
    Loudness,
    Variation,
)
from jobs.serving.stream import as_wav, stream_bytes
from samuel.generation import Mixdown

EVENTS = "text/event-stream"
LUFS_HEADER = "X-Loudness-LUFS"
"""Of a mix, how loud it is: where its peaks leave no room it is below what was asked for."""
KEEP_ALIVE_SECONDS = 15.0
"""Proxies close a connection that says nothing for long, often after 60 s."""
MADE = AUDIO | documented(401, 404, 409, 422, 429, 503)

router = APIRouter(prefix=f"{ACCOMPANIMENTS}/{{job_id}}", tags=["accompaniments"])


@router.get("", responses=documented(401, 404, 422))
async def state(job: AskedJob) -> Accompaniment:
    """How far an accompaniment is."""
    return Accompaniment.of(job)


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses=answers("Events", EVENTS) | documented(401, 404, 422, 429),
)
async def watch(manager: Manager, job: AskedJob) -> EventSourceResponse:
    """The accompaniment's state at each change, as server-sent events, until it is over."""
    return event_response(manager, job)


@router.delete("", status_code=204, responses=documented(401, 404, 422))
async def delete(manager: Manager, job: AskedJob) -> None:
    """Stop an accompaniment, and delete the recording and all that was made of it."""
    await manager.forget(job)


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses=answers("Audio, as it is made", MEDIA_TYPES["wav"])
    | documented(401, 404, 409, 422, 429, 500, 503, 504, 507),
)
async def stream(manager: Manager, job: AskedJob, variation: Variation = 0) -> StreamingResponse:
    """The band of a variation from its beginning, while it is made.

    A WAV file of 16 bit whose first seconds come as soon as they are made. Where the band is louder than full
    scale its peaks are cut; `audio` is turned down instead. If the job fails on the way the answer breaks off,
    shorter than its `Content-Length`.
    """
    pieces = manager.listen(job, variation)
    first = await anext(pieces)
    headers = {"Content-Length": str(stream_bytes(job.samples)), "Cache-Control": "no-store"}
    return StreamingResponse(
        as_wav(first, pieces, job.samples), media_type=MEDIA_TYPES["wav"], headers=headers
    )


@router.get("/audio", response_class=Response, responses=MADE)
async def audio(
    manager: Manager, job: AskedJob, variation: Variation = 0, format: Format = "wav"
) -> Response:
    """The band of a variation."""
    return await band_response(manager, job, variation, format)


@router.get("/vocals", response_class=Response, responses=MADE)
async def vocals(manager: Manager, job: AskedJob, format: Format = "wav") -> Response:
    """The voice that was heard: the recording, or what was taken out of it. It is there as soon as it is heard."""
    async with manager.conversions:
        voice = await manager.read(job, VOCALS)
        return audio_response(await manager.workers.transcode(voice, format), format)


@router.get("/mix", response_class=Response, responses=MADE)
async def mix(
    manager: Manager,
    job: AskedJob,
    variation: Variation = 0,
    balance: Balance = 0.0,
    lufs: Loudness = USUAL_LUFS,
    format: Format = "wav",
) -> Response:
    """Voice and band together, with peaks of at most -1 dBTP: never clipped.

    The header `X-Loudness-LUFS` says how loud it is; where its peaks leave no room, that is below `lufs`.
    """
    return await mix_response(manager, job, variation, Mixdown(balance, lufs), format)


def audio_response(content: bytes, file_format: str, headers: dict[str, str] | None = None) -> Response:
    return Response(content, 200, headers, MEDIA_TYPES[file_format])


async def band_response(
    manager: JobManager, job: Job, variation: int, file_format: str, headers: dict[str, str] | None = None
) -> Response:
    async with manager.conversions:
        pieces = await manager.pieces(job, variation)
        content = await manager.workers.concatenate(pieces, job.samples, file_format)
    return audio_response(content, file_format, headers)


async def mix_response(
    manager: JobManager,
    job: Job,
    variation: int,
    mixdown: Mixdown,
    file_format: str,
    headers: dict[str, str] | None = None,
) -> Response:
    async with manager.conversions:
        voice, pieces = await manager.read(job, VOCALS), await manager.pieces(job, variation)
        made = await manager.workers.mix(voice, pieces, job.samples, mixdown, file_format)
    return audio_response(made.content, file_format, (headers or {}) | {LUFS_HEADER: f"{made.lufs:.1f}"})


def event_response(
    manager: JobManager, job: Job, cancel: bool = False, headers: dict[str, str] | None = None
) -> EventSourceResponse:
    """The job's states as events. `cancel`: when the client goes away before the end, so does the job."""

    async def events() -> AsyncIterator[bytes]:
        try:
            async for now in manager.watch(job, KEEP_ALIVE_SECONDS):
                if now is None:
                    yield KEEPALIVE_COMMENT
                else:
                    yield format_sse_event(event=now.state, data_str=Accompaniment.of(now).model_dump_json())
        finally:
            if cancel and not job.over:
                manager.abandon(job)

    held_back_nowhere = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventSourceResponse(events(), headers=(headers or {}) | held_back_nowhere)
