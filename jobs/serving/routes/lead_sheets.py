"""Routes of lead sheets and arrangements."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import JSONResponse, Response

from jobs.serving.arranger import Played
from jobs.serving.job import Job
from jobs.serving.job_manager import JobManager
from jobs.serving.job_store import VOCALS, arranged_file
from jobs.serving.problems import ProblemError, documented
from jobs.serving.routes.dependencies import AUDIO, AskedJob, Manager, Responses, answers
from jobs.serving.schemas import (
    ACCOMPANIMENTS,
    LEAD_SHEETS,
    MEDIA_TYPES,
    SHEET_EXAMPLE,
    SHEET_TYPES,
    Format,
    LeadSheetForm,
    LeadSheetFound,
    SheetFormat,
    Variation,
)
from jobs.serving.stream import header, pcm
from samuel.config import FRAME_SAMPLES, SAMPLE_RATE
from samuel.generation import PIECE_FRAMES
from samuel.lead_sheet import LeadSheet

PIECE = PIECE_FRAMES * FRAME_SAMPLES
SHEETS = answers("A lead sheet", *SHEET_TYPES.values())
SHEETS[200]["content"][SHEET_TYPES["json"]] = {"example": SHEET_EXAMPLE}
FOUND: Responses = {200: {"model": LeadSheetFound, "content": SHEETS[200]["content"]}}
THERE = documented(401, 404, 409, 422, 429, 503)
Second = Annotated[float | None, Query(ge=0, le=86_400, description="In seconds.")]

router = APIRouter(tags=["lead sheets"])
of_job = APIRouter(prefix=f"{ACCOMPANIMENTS}/{{job_id}}")


@router.post(LEAD_SHEETS, responses=FOUND | documented(400, 401, 404, 408, 409, 413, 422, 429, 503, 507))
async def find(
    request: Request,
    manager: Manager,
    asked: Annotated[LeadSheetForm, Form(media_type="multipart/form-data")],
) -> Any:
    """The lead sheet of a recording, without making a band: tempo, beats, key and chords, and the sung line.

    Or a lead sheet in any format, to convert it to `format`. What is given beside either holds.
    """
    options = await asked.options(manager)
    if asked.recording and asked.reference:
        raise ProblemError(422, "send a `recording` or a `reference`, not both")
    async with manager.conversions:
        if asked.recording:
            content = await asked.recording.read()
            found = await manager.workers.coder("lead_sheet", content, asked.separate, options)
        elif asked.reference:
            voice = await manager.read(manager.find(asked.reference, request.state.owner), VOCALS)
            found = await manager.workers.coder("lead_sheet_again", voice, options)
        elif options.lead_sheet:
            found = await manager.workers.coder("locked", options)
        else:
            raise ProblemError(
                422, "send a `recording`, the `reference` of an accompaniment, or a `lead_sheet` to convert"
            )
        if asked.format:
            return await sheet_response(manager, found.sheet, asked.format)
    return JSONResponse(LeadSheetFound.of(found).model_dump())


@of_job.get("/lead-sheet", response_class=Response, responses=SHEETS | THERE)
async def lead_sheet(
    manager: Manager, job: AskedJob, variation: Variation = 0, format: SheetFormat = "json"
) -> Response:
    """What a variation is played from. A `lab` has the chords alone."""
    return await sheet_response(manager, sheet_of(played_of(job, variation)), format)


@of_job.get("/click", response_class=Response, responses=AUDIO | THERE)
async def click(
    manager: Manager, job: AskedJob, variation: Variation = 0, format: Format = "wav"
) -> Response:
    """A click on each beat, higher on the first of a bar, as long as the voice."""
    sheet = sheet_of(played_of(job, variation))
    if not LeadSheet.from_json(sheet).beats:
        raise ProblemError(409, "no beat is known; give the tempo in the field `bpm`")
    async with manager.conversions:
        sound = await manager.workers.coder("click", sheet, job.seconds, format)
    return Response(sound, media_type=MEDIA_TYPES[format])


@of_job.get("/arrangement", response_class=Response, responses=AUDIO | THERE)
async def arrangement(
    manager: Manager, job: AskedJob, variation: Variation = 0, start: Second = None, end: Second = None
) -> Response:
    """The arrangement's own sound, by rules, all of it or from `start` to `end`: there while the network works.

    A WAV file of 16 bit.
    """
    sheet_of(played_of(job, variation))
    first = round((start or 0.0) * SAMPLE_RATE)
    last = min(job.samples, round(end * SAMPLE_RATE) if end is not None else job.samples)
    if not first < last:
        raise ProblemError(422, f"expected `start` before `end`, within {job.seconds or 0:.2f} s")
    numbers = range(first // PIECE, -(-last // PIECE))
    try:
        parts = [
            await manager.call_store(manager.store.read, job.id, arranged_file(variation, number))
            for number in numbers
        ]
    except FileNotFoundError:
        raise ProblemError(404, "this part of the result is not there") from None
    sound = b"".join(await asyncio.gather(*(asyncio.to_thread(pcm, part) for part in parts)))
    begin = 4 * (first - numbers[0] * PIECE)
    cut = sound[begin : begin + 4 * (last - first)]
    return Response(header(last - first) + cut, media_type=MEDIA_TYPES["wav"])


@of_job.get("/midi", response_class=Response, responses=answers("MIDI", "audio/midi") | THERE)
async def midi(manager: Manager, job: AskedJob, variation: Variation = 0) -> Response:
    """The arrangement's notes as a MIDI file that lies under the voice, second for second."""
    return await arrangement_file(manager, job, variation, "midi", "audio/midi")


@of_job.get("/stems", response_class=Response, responses=answers("A ZIP", "application/zip") | THERE)
async def stems(manager: Manager, job: AskedJob, variation: Variation = 0, by_part: bool = False) -> Response:
    """The arrangement's drums.flac, bass.flac and other.flac in a ZIP; with `by_part`, one file a player: chords.flac,
    pad.flac and so on.

    They are made by rules, and are not those of the network's band, which is one sound: at `strength` 0 the band is their sum.
    """
    kind = "stems by part" if by_part else "stems"
    return await arrangement_file(manager, job, variation, kind, "application/zip")


router.include_router(of_job)


async def arrangement_file(
    manager: JobManager, job: Job, variation: int, kind: str, media_type: str
) -> Response:
    played = played_of(job, variation)
    sheet_of(played)
    async with manager.conversions:
        voice = await manager.read(job, VOCALS)
        content = await manager.workers.coder("arrangement_file", voice, played, kind)
    return Response(content, media_type=media_type)


async def sheet_response(manager: JobManager, sheet: str, sheet_format: str) -> Response:
    content = await manager.workers.coder("sheet_file", sheet, sheet_format)
    return Response(content, media_type=SHEET_TYPES[sheet_format])


def played_of(job: Job, variation: int) -> Played:
    """What a variation is played from. Raises a 409 before it is arranged, a 404 for one that is not there."""
    if job.state in ("failed", "cancelled") or not job.played:
        raise ProblemError(409, f"the accompaniment is {job.state}; ask again when it is arranged")
    if variation >= len(job.played):
        raise ProblemError(404, f"there is no variation {variation}")
    return job.played[variation]


def sheet_of(played: Played) -> str:
    """Raises a 409 where there is none."""
    if played.sheet is None:
        raise ProblemError(
            409, "nothing was found in this recording to go by; give its tempo or chords, `bpm` or `chords`"
        )
    return played.sheet
