"""Errors as RFC 9457 problem documents, whoever raises them."""

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


def answer_with_problems(api: FastAPI) -> None:
    """All errors of `api` become problem documents, those of the framework too."""

    async def http(_: Request, error: Any) -> JSONResponse:
        if isinstance(error, ProblemError):
            return error.response()
        detail = {
            404: "there is nothing at this address; see /openapi.json",
            405: "this address does not know this method; see /openapi.json",
        }.get(error.status_code, str(error.detail))
        return ProblemError(error.status_code, detail, dict(error.headers or {})).response()

    async def invalid(_: Request, error: Any) -> JSONResponse:
        errors = [
            f"{'.'.join(str(part) for part in one['loc'][1:]) or one['loc'][0]}: {one['msg']}"
            for one in error.errors()
        ]
        return ProblemError(422, "; ".join(errors), errors=errors).response()

    async def defect(_: Request, error: Exception) -> JSONResponse:
        return ProblemError(500, "the server made a mistake; it is in its log").response()

    api.add_exception_handler(HTTPException, http)
    api.add_exception_handler(RequestValidationError, invalid)
    api.add_exception_handler(Exception, defect)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: these statuses answer with a problem document."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}
