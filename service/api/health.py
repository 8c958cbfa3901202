"""Is the process up, and which promises can it keep now?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from service import keys
from service.api import schemas
from service.api.state import ApiState, State, Tenant
from service.errors import Problem, ServiceError
from service.metrics import CONTENT_TYPE, exposition

router = APIRouter(tags=["health"])


class Stage(BaseModel):
    """Whether one promise can be kept now, and how or why not."""

    live: bool
    detail: str


class Readiness(BaseModel):
    """All of them."""

    ready: bool
    stages: dict[str, Stage]


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
def readyz(state: State) -> JSONResponse:
    """Every stage with whether it works, 503 when one does not."""
    stages = {name: _state(check, state) for name, check in _STAGES.items()}
    whole = Readiness(ready=all(stage.live for stage in stages.values()), stages=stages)
    return JSONResponse(whole.model_dump(), status_code=200 if whole.ready else 503)


@router.get("/v1/models")
def models(state: State, tenant: Tenant) -> schemas.ModelList:
    """The model that this server runs, with the sizes, lengths, formats and codecs that it makes."""
    return schemas.ModelList(data=[schemas.Model.of(state.spec)])


@router.get("/v1/models/{name:path}")
def model(name: str, state: State, tenant: Tenant) -> schemas.Model:
    """One model."""
    if name != state.spec.name:
        raise Problem(404, "model_not_found", f"There is no model {name[:80]!r}.", param="model")
    return schemas.Model.of(state.spec)


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(state: State) -> PlainTextResponse:
    """Requests, decisions, stages, verdicts, queue and storage, in Prometheus' text format."""
    return PlainTextResponse(exposition(state.services), media_type=CONTENT_TYPE)


def _database(state: ApiState) -> str:
    state.services.database.ping()
    return state.services.database.engine.dialect.name


def _guard(state: ApiState) -> str:
    missing = state.guard.missing_backends()
    if missing:
        raise ServiceError(f"no backend for {', '.join(missing)}")
    return state.guard.policy.label


def _mark(state: ApiState) -> str:
    return f"epoch {keys.rings(state.services.settings)[0].epoch}"


def _sign(state: ApiState) -> str:
    keys.signing_key(state.services.settings)
    return "signing key readable"


def _storage(state: ApiState) -> str:
    media, least = state.services.media, state.services.settings.min_free_bytes
    if media.free() < least:
        raise ServiceError(
            f"{media.free()} bytes are free for media, ASSAY_MIN_FREE_BYTES is {least}: make room; "
            "jobs wait in the queue until then"
        )
    return media.check()


def _worker(state: ApiState) -> str:
    window = timedelta(seconds=state.services.settings.lease_seconds)
    alive = state.services.workers.alive(window)
    if not alive:
        raise ServiceError(_no_worker(state))
    return f"{len(alive)} alive"


def _no_worker(state: ApiState) -> str:
    settings = state.services.settings
    if settings.workers == 0:
        return "no worker has been seen, and ASSAY_WORKERS is 0 here: start one on another machine"
    return (
        f"no worker has been seen: it is loading {state.spec.name}, which takes as long as its weights are "
        "large, or it cannot start, and then this server's log says why. Jobs are taken and wait."
    )


_STAGES: dict[str, Callable[[ApiState], str]] = {
    "database": _database,
    "guard": _guard,
    "mark": _mark,
    "sign": _sign,
    "storage": _storage,
    "worker": _worker,
}


def _state(check: Callable[[ApiState], str], state: ApiState) -> Stage:
    try:
        return Stage(live=True, detail=check(state))
    except Exception as error:
        return Stage(live=False, detail=str(error)[:300])
