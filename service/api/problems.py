"""Errors as answers: one body that `openai` clients read (`error`) and RFC 9457 readers too."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import Scope

from generator import GeneratorError, RequestError
from guard import GuardError
from service.errors import DISK_FULL, IsolationError, Problem, StorageError
from service.isolate import RefusedError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:assay:problem:"
_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    410: "Gone",
    413: "Too large",
    415: "Unsupported media",
    416: "Range not satisfiable",
    422: "Cannot be processed",
    429: "Too many requests",
    500: "Internal error",
    503: "Not ready",
    507: "No space left",
}
_ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class ErrorBody(BaseModel):
    """What `openai` clients show."""

    message: str
    type: str
    param: str | None
    code: str


class ProblemBody(BaseModel):
    """RFC 9457 members, `reason` and `stage`, and `error` for `openai` clients."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    reason: str
    stage: str
    error: ErrorBody


def problem_response(problem: Problem, request: Request) -> JSONResponse:
    """The answer that says `problem`."""
    fallback = "server_error" if problem.status >= 500 else "invalid_request_error"
    body: dict[str, Any] = ProblemBody(
        type=TYPE_PREFIX + problem.reason,
        title=_TITLES.get(problem.status, "Error"),
        status=problem.status,
        detail=problem.detail,
        instance=f"urn:assay:request:{request_id(request)}",
        reason=problem.reason,
        stage=problem.stage,
        error=ErrorBody(
            message=problem.detail,
            type=_ERROR_TYPES.get(problem.status, fallback),
            param=problem.param,
            code=problem.code,
        ),
    ).model_dump()
    headers = {"x-should-retry": str(problem.retry).lower(), **problem.headers}
    return JSONResponse(
        {**problem.extra, **body}, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers
    )


def request_id(request: Request) -> str:
    """The id that the answer carries as `x-request-id`."""
    return str(request.scope.get("assay.request_id", ""))


def as_problem(error: Exception) -> Problem:
    """Every error that a request can meet, as the problem that its sender sees. One table, no more."""
    match error:
        case Problem():
            return error
        case RequestError():
            return Problem(400, "invalid_request", str(error))
        case GeneratorError():
            return Problem(500, error.reason, str(error), stage="generate")
        case GuardError():  # a decision that cannot be written down is none
            detail = "The request could not be judged."
            return Problem(503, "guard_unavailable", detail, stage="guard", retry=True)
        case RefusedError():
            return Problem(_REFUSED_STATUS.get(error.reason, 422), error.reason, str(error), stage="inspect")
        case IsolationError():
            return Problem(422, f"inspection_{error.reason}", str(error), stage="inspect")
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            reason = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
            return Problem(error.status_code, reason, str(error.detail), headers=error.headers)
        case StorageError():
            return Problem(
                503, "storage_unavailable", "The storage does not answer.", stage="storage", retry=True
            )
        case OSError() if error.errno in DISK_FULL:
            return Problem(
                507, "disk_full", "The server has no space for this file.", stage="storage", retry=True
            )
        case DBAPIError():
            return Problem(
                503,
                "database_unavailable",
                "The database does not answer.",
                retry=True,
                headers={"retry-after": "5"},
            )
    return Problem(500, "internal_error", "Something failed that should not; the log has the request id.")


_REFUSED_STATUS = {"empty_file": 400, "not_media": 415, "unsupported_type": 415, "too_large": 413}


def install(app: FastAPI) -> None:
    """Answer every exception of `app` as a problem."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        problem = as_problem(error)
        if problem.status == 405:
            problem.headers["Allow"] = allowed_methods(app, request.scope)
        if problem.status >= 500:
            log.error("request %s failed: %s", request_id(request), problem.reason, exc_info=error)
        return problem_response(problem, request)

    kinds = (
        Problem,
        GeneratorError,
        GuardError,
        RefusedError,
        IsolationError,
        StorageError,
        RequestValidationError,
        HTTPException,
        DBAPIError,
        OSError,
    )
    for kind in kinds:
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(Exception, answer)


def allowed_methods(app: FastAPI, scope: Scope) -> str:
    """All methods of the path of `scope`, where a router knows those of its first route alone; without those
    that would take `characters`, or another word of ours, for somebody's id."""
    here = [
        route
        for route in app.state.routes
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE
    ]
    exact = [route for route in here if not route.param_convertors] or here
    return ", ".join(sorted({method for route in exact for method in route.methods or ()}))


def _invalid(error: RequestValidationError) -> Problem:
    faults = []
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"] if part not in ("body", "query", "path"))
        faults.append((place, str(fault["msg"])))
    detail = "; ".join(f"{place}: {message}" if place else message for place, message in faults)
    return Problem(400, "invalid_request", detail, param=faults[0][0] if faults else None)
