"""Errors as RFC 9457 problem documents, whoever raises them."""

import errno
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """RFC 9457: what went wrong, and what to do."""

    type: str = "about:blank"
    title: str = Field(description="The status in words.", examples=["Unprocessable Entity"])
    status: int = Field(ge=400, le=599, examples=[422])
    detail: str = Field(examples=["too long: its header says 900 s, the limit is 600 s"])
    errors: list[str] = Field(
        [], description="Of a request that does not fit the specification: what, and where."
    )


class ProblemError(HTTPException):
    """Raised anywhere below a request; answered as its problem document."""

    headers: dict[str, str]

    def __init__(
        self, status: int, detail: str, headers: dict[str, str] | None = None, errors: list[str] | None = None
    ):
        super().__init__(status, detail, headers or {})
        self.status, self.errors = status, errors or []

    @property
    def problem(self) -> Problem:
        return Problem(
            title=HTTPStatus(self.status).phrase, status=self.status, detail=self.detail, errors=self.errors
        )

    def response(self) -> JSONResponse:
        return JSONResponse(
            self.problem.model_dump(exclude_defaults=True) | {"type": "about:blank"},
            self.status,
            self.headers,
            MEDIA_TYPE,
        )


PASSING = {503: {"Retry-After": "10"}, 507: {"Retry-After": "60"}}
"""What a client may try again."""


def answer_with_problems(api: FastAPI, known: dict[type[Exception], int]) -> None:
    """All errors of `api` become problem documents, those of the framework too; `known` errors have words for a client."""

    async def told(_: Request, error: Exception) -> JSONResponse:
        status = next(status for kind, status in known.items() if isinstance(error, kind))
        return ProblemError(status, str(error), PASSING.get(status)).response()

    async def http(_: Request, error: Any) -> JSONResponse:
        if isinstance(error, ProblemError):
            return error.response()
        if is_full(error.__cause__):  # where an upload lies while it comes
            return ProblemError(
                507, "the service has no room left; try again in 60 s", PASSING[507]
            ).response()
        detail = {
            404: "there is nothing at this address; see /openapi.json",
            405: "this address does not know this method; see /openapi.json",
        }.get(error.status_code, str(error.detail))
        return ProblemError(error.status_code, detail, dict(error.headers or {})).response()

    async def invalid(_: Request, error: Any) -> JSONResponse:
        errors = [said(one) for one in error.errors()]
        return ProblemError(422, "; ".join(errors), errors=errors).response()

    async def defect(_: Request, error: Exception) -> JSONResponse:
        return ProblemError(500, "the server made a mistake; it is in its log").response()

    api.add_exception_handler(HTTPException, http)
    api.add_exception_handler(RequestValidationError, invalid)
    api.add_exception_handler(Exception, defect)
    for kind in known:
        api.add_exception_handler(kind, told)


def is_full(error: BaseException | None) -> bool:
    """Whether a disk or a quota has no room left."""
    number = getattr(error, "errno", None) or getattr(getattr(error, "__cause__", None), "errno", None)
    return number in (errno.ENOSPC, errno.EDQUOT)


def said(error: dict[str, Any]) -> str:
    """One of pydantic's errors: where, and what."""
    where = ".".join(str(part) for part in error["loc"][1:]) or error["loc"][0]
    words = error["msg"].removeprefix("Value error, ")
    if "UploadFile" in words:
        words = "send the recording as a file, as `curl -F vocals=@voice.wav` does"
    return f"{where}: {words}"


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: these statuses answer with a problem document."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}
