"""What the routes are given of their request, and what they tell OpenAPI of their answers."""

from typing import Annotated, Any

from fastapi import Depends, Request

from jobs.serving.job import Job
from jobs.serving.job_manager import JobManager
from jobs.serving.schemas import MEDIA_TYPES, JobId

Responses = dict[int | str, dict[str, Any]]


async def manager_of(request: Request) -> JobManager:
    manager: JobManager = request.app.state.manager
    return manager


Manager = Annotated[JobManager, Depends(manager_of)]


async def job_of(request: Request, manager: Manager, job_id: JobId) -> Job:
    """The job of the path. Raises a 404 where it is not this client's."""
    return manager.find(job_id, request.state.owner)


AskedJob = Annotated[Job, Depends(job_of)]


def answers(description: str, *media_types: str) -> Responses:
    """For a route's `responses`: a 200 in any of these types."""
    return {200: {"description": description, "content": {one.split(";")[0]: {} for one in media_types}}}


AUDIO = answers("Audio", *MEDIA_TYPES.values())
