"""What every answer carries, a request id and the headers that keep a browser safe; and what every request
leaves: a span, a measurement and a line in the log, none with a path, query or body of the caller's."""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import Any

from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.metrics import REQUESTS
from service.telemetry import parent_of

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
QUIET = ("/healthz", "/readyz", "/metrics")
"""Routes that machines call all the time: measured, not logged."""
POLL = ("GET", "/v1/videos/{video_id}")
"""What clients call all the time: logged when it fails."""
SECURE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; "
        "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_SECURE = [(name.encode(), value.encode()) for name, value in SECURE_HEADERS.items()]


class Envelope:
    """Adds `x-request-id` and `SECURE_HEADERS` to every HTTP answer, and accounts for it."""

    def __init__(self, app: ASGIApp, *, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = scope["assay.request_id"] = _header(scope, b"x-request-id") or f"req_{secrets.token_hex(12)}"
        status, started = 500, time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = message["headers"]
                taken = {header for header, _ in given}
                secure = [pair for pair in _SECURE if pair[0] not in taken]
                message["headers"] = [*given, (b"x-request-id", name.encode()), *secure]
            await send(message)

        parent = parent_of(_header(scope, b"traceparent"))
        with self._tracer.start_as_current_span(
            "request", parent, SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                await self._app(scope, receive, sending)
            finally:
                method, route = _method(scope), _route(scope)
                span.update_name(f"{method} {route}")
                span.set_attributes(
                    {
                        "http.request.method": method,
                        "http.route": route,
                        "http.response.status_code": status,
                        "assay.request.id": name,
                    }
                )
                if status >= 500:
                    span.set_status(Status(StatusCode.ERROR))
                _account(name, method, route, status, time.perf_counter() - started)


def _account(name: str, method: str, route: str, status: int, seconds: float) -> None:
    REQUESTS.labels(method, route, str(status)).observe(seconds)
    milliseconds = round(1000 * seconds, 1)
    fields: dict[str, Any] = {
        "request_id": name,
        "method": method,
        "route": route,
        "status": status,
        "milliseconds": milliseconds,
    }
    quiet = route in QUIET or ((method, route) == POLL and status < 400)
    level = logging.DEBUG if quiet else logging.INFO
    log.log(level, "%s %s %d in %s ms, %s", method, route, status, milliseconds, name, extra=fields)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "OTHER"


def _route(scope: Scope) -> str:
    """The path as it is declared, `/v1/videos/{video_id}`: paths as called would be a label for each id."""
    route = scope.get("route")
    return str(getattr(route, "path", "unknown"))


def _header(scope: Scope, wanted: bytes) -> str | None:
    """A caller's own value, if it is safe to print."""
    for name, value in scope["headers"]:
        if name == wanted and _REQUEST_ID.fullmatch(value):
            return str(value.decode("ascii"))
    return None
