"""The service's ASGI application: routes, errors, page, and what stands before them. It knows no Ray and no model."""

from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from jobs.serving.guard import Guard
from jobs.serving.job_manager import JobManager
from jobs.serving.job_runner import WorkerLost
from jobs.serving.page import add_page
from jobs.serving.problems import answer_with_problems
from jobs.serving.routes import accompaniments, lead_sheets, results, service
from jobs.serving.settings import Settings
from samuel import __version__
from samuel.audio import AudioError
from samuel.generation.generator import StudentError
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
    api.state.manager = manager
    answer_with_problems(api, {WorkerLost: 503, AudioError: 422, LeadSheetError: 422, StudentError: 422})
    for resource in (service, accompaniments, results, lead_sheets):
        api.include_router(resource.router)
    add_page(api)
    guarded: Any = Guard(api, manager, settings)
    origins = [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]
    if origins:
        guarded = CORSMiddleware(
            guarded,
            allow_origins=origins,
            allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=["Authorization", "Prefer"],
            expose_headers=["Location", "Retry-After", results.LUFS_HEADER],
        )
    return ProxyHeadersMiddleware(guarded, settings.trusted_proxies)
