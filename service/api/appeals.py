"""`/v1/appeals`: whoever was refused may ask for a person to look at it; operators decide."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from service.api.state import State, Tenant, administrator
from service.errors import Problem
from service.store.appeals import WINDOW, Appeal, AppealError

Reviewer = Annotated[str, Depends(administrator)]
Limit = Annotated[int, Query(ge=1, le=100)]
router = APIRouter(prefix="/v1/appeals", tags=["appeals"])

_STATUS = {"unknown_decision": 404, "unknown_appeal": 404, "not_refused": 409, "too_late": 409}


class NewAppeal(BaseModel):
    """An objection to a refusal."""

    decision_id: str = Field(max_length=64)
    statement: str = Field(min_length=1, max_length=4000)


class Verdict(BaseModel):
    """What a person decided: `upheld` leaves the refusal standing."""

    outcome: Literal["upheld", "reversed"]
    note: str = Field(default="", max_length=4000)


class AppealBody(BaseModel):
    """One appeal."""

    id: str
    object: Literal["appeal"] = "appeal"
    decision_id: str
    status: Literal["open", "upheld", "reversed"]
    reason: str
    policy: str
    statement: str
    filed_at: datetime
    decided_at: datetime | None
    note: str | None
    tenant: str | None = None


class AppealPage(BaseModel):
    """Some appeals, oldest first."""

    object: Literal["list"] = "list"
    data: list[AppealBody]
    has_more: bool


def _body(appeal: Appeal, *, reviewer: bool = False) -> AppealBody:
    return AppealBody(
        id=appeal.id,
        decision_id=appeal.decision_id,
        status="open" if appeal.outcome is None else "reversed" if appeal.outcome == "reversed" else "upheld",
        reason=appeal.reason,
        policy=appeal.policy,
        statement=appeal.statement,
        filed_at=appeal.filed_at,
        decided_at=appeal.decided_at,
        note=appeal.note,
        tenant=appeal.tenant if reviewer else None,
    )


def _problem(error: AppealError) -> Problem:
    return Problem(_STATUS.get(error.reason, 409), error.reason, str(error), stage="appeal")


@router.post("", status_code=201, response_model_exclude_none=True)
def file(asked: NewAppeal, state: State, tenant: Tenant) -> AppealBody:
    """Object to a refusal. There is one appeal per decision."""
    try:
        return _body(state.services.appeals.file(tenant, asked.decision_id, asked.statement))
    except AppealError as error:
        raise _problem(error) from error


@router.get("", response_model_exclude_none=True)
def page(state: State, tenant: Tenant, after: str | None = None, limit: Limit = 20) -> AppealPage:
    """The tenant's own appeals."""
    found = state.services.appeals.page(tenant, open_only=False, limit=limit + 1, after=after)
    return AppealPage(data=[_body(appeal) for appeal in found[:limit]], has_more=len(found) > limit)


@router.get("/queue", response_model_exclude_none=True)
def queue(state: State, reviewer: Reviewer, after: str | None = None, limit: Limit = 20) -> AppealPage:
    """The open appeals of every tenant, the oldest first: for those who decide."""
    found = state.services.appeals.page(None, open_only=True, limit=limit + 1, after=after)
    data = [_body(appeal, reviewer=True) for appeal in found[:limit]]
    return AppealPage(data=data, has_more=len(found) > limit)


@router.get("/statistics")
def statistics(state: State, reviewer: Reviewer) -> dict[str, Any]:
    """How many refusals were appealed and reversed, by reason."""
    found = state.services.appeals.statistics()
    return {
        "object": "appeal.statistics",
        "filed": found.filed,
        "decided": found.decided,
        "reversed": found.reversed,
        "reversal_rate": found.reversal_rate,
        "median_hours": found.median_hours,
        "by_reason": {
            reason: {"decided": decided, "reversed": overturned}
            for reason, (decided, overturned) in found.by_reason.items()
        },
    }


@router.get("/{appeal_id}", response_model_exclude_none=True)
def retrieve(appeal_id: str, state: State, tenant: Tenant) -> AppealBody:
    """One of the tenant's own appeals."""
    found = state.services.appeals.find(appeal_id, tenant)
    if found is None:
        raise Problem(404, "unknown_appeal", f"There is no appeal {appeal_id[:80]!r}.", stage="appeal")
    return _body(found)


@router.post("/{appeal_id}/decide", response_model_exclude_none=True)
def decide(appeal_id: str, asked: Verdict, state: State, reviewer: Reviewer) -> AppealBody:
    """Close an appeal. A reversal is counted; changing the policy is for its author to do."""
    try:
        closed = state.services.appeals.decide(appeal_id, asked.outcome, asked.note, reviewer)
    except AppealError as error:
        raise _problem(error) from error
    return _body(closed, reviewer=True)


def appeal_link(decision_id: str, decided_at: datetime) -> dict[str, str]:
    """What a refusal says about appealing it (RFC 9457 extension member `appeal`)."""
    until = (decided_at + WINDOW).isoformat()
    return {"href": "/v1/appeals", "decision_id": decision_id, "until": until, "by": "human"}
