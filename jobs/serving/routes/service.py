"""Routes of the service itself: is it alive, is it ready, what can it do."""

from fastapi import APIRouter

from jobs.serving.problems import ProblemError, documented
from jobs.serving.routes.dependencies import Manager
from jobs.serving.schemas import MEDIA_TYPES, Health, Model, Models
from samuel.arranging import STYLES
from samuel.config import SAMPLE_RATE
from samuel.generation import QUALITIES

router = APIRouter()


@router.get("/healthz", tags=["service"])
async def healthz() -> Health:
    """The server is alive."""
    return Health()


@router.get("/readyz", tags=["service"], responses=documented(503))
async def readyz(manager: Manager) -> Health:
    """All workers answer."""
    if not await manager.workers.ready():
        raise ProblemError(503, "the workers are starting; try again soon", {"Retry-After": "5"})
    return Health()


@router.get("/v1/models", tags=["accompaniments"], responses=documented(401, 503))
async def models(manager: Manager) -> Models:
    """The model, and the limits of the service."""
    card, settings = await manager.workers.card(), manager.settings
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
