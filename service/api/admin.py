"""`/v1/admin`: what the operators' page reads, and the one thing it writes. Every call needs an API key with
the scope `admin`, also where other calls need none."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel

from service.api.state import State, administrator
from service.errors import Problem
from service.store.overview import Overview, Page
from watermark import MediaId, PayloadError

log = logging.getLogger(__name__)

Admin = Annotated[str, Depends(administrator)]
router = APIRouter(prefix="/v1/admin", tags=["operators"])

Word = Annotated[str | None, Query(max_length=200)]
MarkId = Annotated[str | None, Query(pattern="^[0-9a-f]{12}$")]


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of a list is asked for: up to `limit` rows that follow the one of `before` and `key`, of one
    tenant or of all. `next` of a page holds the two of the next one."""

    limit: Annotated[int, Query(ge=1, le=200)] = 50
    before: AwareDatetime | None = None
    key: Word = None
    tenant: Word = None

    @property
    def page(self) -> Page:
        """One row more than asked for: it tells whether another page follows."""
        return Page(limit=self.limit + 1, moment=self.before, key=self.key or "")


Listing = Annotated[Paging, Depends()]


class QueueReport(BaseModel):
    """The queue now: jobs by state, tenants that wait, workers, stages that work."""

    counts: dict[str, int]
    tenants: list[dict[str, Any]]
    workers: list[dict[str, Any]]


class Rows(BaseModel):
    """One page of a list. `next` are the parameters of the page that follows, None at the end."""

    data: list[dict[str, Any]]
    next: dict[str, str] | None


@router.get("/queue")
def queue(state: State, admin: Admin) -> QueueReport:
    """Jobs by state, waiting tenants, live workers."""
    services = state.services
    window = timedelta(seconds=services.settings.lease_seconds)
    alive = services.workers.alive(window)
    return QueueReport(
        counts=services.jobs.counts(),
        tenants=Overview(services.database).tenants(),
        workers=[
            {"name": one.name, "model": one.model, "started_at": one.started_at, "seen_at": one.seen_at}
            for one in alive
        ],
    )


@router.get("/jobs")
def jobs(state: State, admin: Admin, asked: Listing, status: Word = None) -> Rows:
    """Jobs of all tenants, newest first, without their prompts."""
    found = Overview(state.services.database).jobs(asked.page, tenant=asked.tenant, status=status)
    return _page(found, asked.limit, "id")


@router.get("/decisions")
def decisions(state: State, admin: Admin, asked: Listing, outcome: Word = None, reason: Word = None) -> Rows:
    """What the guard decided, newest first. Texts are not in it: `handle` is a keyed digest of them."""
    found = Overview(state.services.database).decisions(
        asked.page, tenant=asked.tenant, outcome=outcome, reason=reason
    )
    return _page(found, asked.limit, "id")


@router.get("/marks")
def marks(state: State, admin: Admin, asked: Listing, id: MarkId = None) -> Rows:
    """Registered media, newest first."""
    page = replace(asked.page, key=_media_id(asked.key).value if asked.key else 0)
    wanted = None if id is None else _media_id(id)
    found = Overview(state.services.database).marks(page, tenant=asked.tenant, media_id=wanted)
    for row in found:
        row["id"] = MediaId(row.pop("media_id")).hex
    return _page(found, asked.limit, "id")


@router.post("/marks/{media_id}/revoke")
def revoke(media_id: str, state: State, admin: Admin) -> dict[str, str]:
    """Withdraw a record: verification says so from now on. There is no way back."""
    if not state.services.registry.revoke(_media_id(media_id)):
        raise Problem(
            404, "not_found", f"There is no record {media_id[:80]!r} that stands.", param="media_id"
        )
    log.info("record %s revoked by a key of %s", media_id, admin)
    return {"id": media_id, "object": "mark.revoked"}


def _media_id(text: str) -> MediaId:
    try:
        return MediaId.parse(text)
    except PayloadError as error:
        raise Problem(404, "not_found", f"There is no record {text[:80]!r}.", param="media_id") from error


def _page(found: list[dict[str, Any]], limit: int, key: str) -> Rows:
    rows = found[:limit]
    if len(found) <= limit:
        return Rows(data=rows, next=None)
    return Rows(data=rows, next={"before": rows[-1]["created_at"].isoformat(), "key": str(rows[-1][key])})
