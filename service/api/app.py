"""The HTTP application."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from service.api import (
    admin,
    appeals,
    characters,
    content,
    derived,
    events,
    health,
    images,
    moderations,
    openapi,
    page,
    problems,
    soft_binding,
    verify,
    videos,
    webhooks,
)
from service.api.middleware import Envelope
from service.api.state import ApiState
from service.telemetry import NO_TRACER


def create_app(state: ApiState) -> FastAPI:
    """The application over `state`. Imports for the first upload and webhooks are done aside."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=state.inspector.warm, name="warm", daemon=True).start()
        with state.sender:
            yield
        state.services.database.close()

    # The interactive pages of FastAPI load scripts from elsewhere, which the security policy forbids.
    app = FastAPI(
        title="Assay",
        version=version("assay"),
        summary="Guarded, marked, signed generation, and proof from an upload.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses={"4XX": {"model": problems.ProblemBody}, "5XX": {"model": problems.ProblemBody}},
    )
    app.state.assay = state
    problems.install(app)
    # The document alone is made without anything behind the routes.
    app.add_middleware(Envelope, tracer=state.tracer if state else NO_TRACER)
    rooms = (  # routes are tried in this order, and polls are most requests
        videos,
        derived,
        appeals,
        admin,
        characters,
        content,
        events,
        verify,
        moderations,
        soft_binding,
        health,
        images,
        page,
        webhooks,
    )
    for room in rooms:
        app.include_router(room.router)
    app.state.routes = [route for room in rooms for route in room.router.routes]
    openapi.describe(app)
    return app
