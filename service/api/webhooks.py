"""`/v1/webhook_endpoints`, as the `openai` SDK speaks it, with a log and replay of deliveries."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.api.state import ApiState, State, Tenant, note
from service.errors import Problem, WebhookError
from service.store.outbox import event_body
from service.store.webhooks import EVENT_TYPES, Delivery, Endpoint
from service.webhooks import check_url, shown

router = APIRouter(prefix="/v1", tags=["webhooks"])

MAX_ENDPOINTS = 20
EventType = Literal["video.completed", "video.failed"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
EventTypes = Annotated[list[EventType], Field(min_length=1, max_length=len(EVENT_TYPES))]


class CreateEndpoint(BaseModel):
    """A new endpoint."""

    model_config = ConfigDict(extra="forbid")
    name: Name
    url: Url
    event_types: EventTypes


class ChangeEndpoint(BaseModel):
    """What may be changed of an endpoint."""

    model_config = ConfigDict(extra="forbid")
    name: Name | None = None
    url: Url | None = None
    event_types: EventTypes | None = None


class RotateSecret(BaseModel):
    """How to rotate."""

    model_config = ConfigDict(extra="forbid")
    keep_old_secret_active_for_24_hours: bool = False


class TryEndpoint(BaseModel):
    """Which event to try."""

    model_config = ConfigDict(extra="forbid")
    event_type: EventType


class WebhookEndpoint(BaseModel):
    """An endpoint without its secret; `enabled` is false once it answered 410."""

    id: str
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    created_at: int
    updated_at: int
    name: str
    url: str
    event_types: list[str]
    signing_secret_hint: str
    enabled: bool


class WebhookEndpointWithSecret(WebhookEndpoint):
    """An endpoint as it is shown once."""

    signing_secret: str


class WebhookEndpointList(BaseModel):
    """One page."""

    object: Literal["list"] = "list"
    data: list[WebhookEndpoint]
    has_more: bool
    first_id: str | None
    last_id: str | None


class DeletedEndpoint(BaseModel):
    """The answer to a delete."""

    id: str
    object: Literal["webhook_endpoint.deleted"] = "webhook_endpoint.deleted"
    deleted: bool = True


class EndpointTest(BaseModel):
    """How an endpoint answered."""

    object: Literal["webhook_endpoint.test"] = "webhook_endpoint.test"
    webhook_endpoint_id: str
    event_type: str
    status_code: int
    success: Literal[True] = True


class EventTypeList(BaseModel):
    """The event types there are."""

    object: Literal["list"] = "list"
    data: list[str] = list(EVENT_TYPES)


class WebhookDelivery(BaseModel):
    """One event on its way to one endpoint."""

    id: str
    object: Literal["webhook_delivery"] = "webhook_delivery"
    event_id: str
    event_type: str
    status: str
    attempts: int
    created_at: int
    delivered_at: int | None
    next_attempt_at: int | None
    last_status_code: int | None
    last_error: str | None


class DeliveryList(BaseModel):
    """The newest deliveries of an endpoint."""

    object: Literal["list"] = "list"
    data: list[WebhookDelivery]


@router.get("/webhook_event_types")
def event_types(tenant: Tenant) -> EventTypeList:
    """What an endpoint may ask for."""
    return EventTypeList()


@router.post("/webhook_endpoints")
def create(
    asked: CreateEndpoint, request: Request, state: State, tenant: Tenant
) -> WebhookEndpointWithSecret:
    """A new endpoint; its secret is shown now and never again."""
    store = state.services.webhooks
    _check(state, asked.url)
    if store.count(tenant) >= MAX_ENDPOINTS:
        raise Problem(400, "too_many_endpoints", f"There are {MAX_ENDPOINTS} endpoints already; delete one.")
    made = store.add(tenant, name=asked.name, url=asked.url, event_types=asked.event_types)
    note(request, tenant, "webhook.create", made.id)
    return _with_secret(made)


@router.get("/webhook_endpoints")
def page(
    state: State,
    tenant: Tenant,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> WebhookEndpointList:
    """The tenant's endpoints, oldest first."""
    start = None if after is None else state.services.webhooks.find(tenant, after)
    if after is not None and start is None:
        raise Problem(400, "bad_cursor", f"after: there is no endpoint {after[:80]!r}.", param="after")
    found, more = state.services.webhooks.page(tenant, after=start, limit=limit)
    data = [WebhookEndpoint(**_fields(one)) for one in found]
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return WebhookEndpointList(data=data, has_more=more, first_id=ends[0], last_id=ends[1])


@router.get("/webhook_endpoints/{endpoint_id}")
def retrieve(endpoint_id: str, state: State, tenant: Tenant) -> WebhookEndpoint:
    """One endpoint."""
    return WebhookEndpoint(**_fields(_find(state, tenant, endpoint_id)))


@router.post("/webhook_endpoints/{endpoint_id}")
def change(
    endpoint_id: str, asked: ChangeEndpoint, request: Request, state: State, tenant: Tenant
) -> WebhookEndpoint:
    """Change an endpoint; one that was disabled is asked again."""
    if asked.url is not None:
        _check(state, asked.url)
    values = asked.model_dump(exclude_none=True)
    changed = _there(state.services.webhooks.change(tenant, endpoint_id, values), endpoint_id)
    note(request, tenant, "webhook.change", endpoint_id)
    return WebhookEndpoint(**_fields(changed))


@router.delete("/webhook_endpoints/{endpoint_id}")
def delete(endpoint_id: str, request: Request, state: State, tenant: Tenant) -> DeletedEndpoint:
    """Forget an endpoint and its log."""
    if not state.services.webhooks.delete(tenant, endpoint_id):
        raise _missing(endpoint_id)
    note(request, tenant, "webhook.delete", endpoint_id)
    return DeletedEndpoint(id=endpoint_id)


@router.post("/webhook_endpoints/{endpoint_id}/rotate_secret")
def rotate_secret(
    endpoint_id: str,
    request: Request,
    state: State,
    tenant: Tenant,
    asked: RotateSecret | None = None,
) -> WebhookEndpointWithSecret:
    """A new secret; the old one may go on signing for a day."""
    overlap = asked is not None and asked.keep_old_secret_active_for_24_hours
    rotated = state.services.webhooks.rotate(tenant, endpoint_id, overlap=overlap)
    shown_once = _with_secret(_there(rotated, endpoint_id))
    note(request, tenant, "webhook.rotate_secret", endpoint_id)
    return shown_once


@router.post("/webhook_endpoints/{endpoint_id}/test")
def try_now(endpoint_id: str, asked: TryEndpoint, state: State, tenant: Tenant) -> EndpointTest:
    """Send one event now and say how it was answered."""
    endpoint = _find(state, tenant, endpoint_id)
    body = event_body(asked.event_type, "video_test", state.services.clock())
    try:
        status = state.sender.post(endpoint, str(body["id"]), json.dumps(body, separators=(",", ":")))
    except WebhookError as error:
        raise Problem(422, "webhook_unreachable", str(error), stage="webhook") from error
    return EndpointTest(webhook_endpoint_id=endpoint_id, event_type=asked.event_type, status_code=status)


@router.get("/webhook_endpoints/{endpoint_id}/deliveries")
def deliveries(endpoint_id: str, state: State, tenant: Tenant) -> DeliveryList:
    """The newest hundred deliveries."""
    found = state.services.webhooks.log(_find(state, tenant, endpoint_id).id)
    return DeliveryList(data=[_delivery(one) for one in found])


@router.post("/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}/replay")
def replay(endpoint_id: str, delivery_id: str, state: State, tenant: Tenant) -> DeliveryList:
    """Send one event again, under the same id."""
    endpoint = _find(state, tenant, endpoint_id)
    if not state.services.webhooks.replay(endpoint.id, delivery_id):
        raise Problem(404, "not_found", f"There is no delivery {delivery_id[:80]!r}.", param="delivery_id")
    return deliveries(endpoint_id, state, tenant)


def _check(state: ApiState, url: str) -> None:
    try:
        check_url(url, private=state.services.settings.webhook_private)
    except WebhookError as error:
        raise Problem(400, "bad_webhook_url", str(error), param="url") from error


def _find(state: ApiState, tenant: str, endpoint_id: str) -> Endpoint:
    return _there(state.services.webhooks.find(tenant, endpoint_id), endpoint_id)


def _there(endpoint: Endpoint | None, endpoint_id: str) -> Endpoint:
    if endpoint is None:
        raise _missing(endpoint_id)
    return endpoint


def _missing(endpoint_id: str) -> Problem:
    return Problem(404, "not_found", f"There is no endpoint {endpoint_id[:80]!r}.", param="endpoint_id")


def _fields(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "created_at": int(endpoint.created_at.timestamp()),
        "updated_at": int(endpoint.updated_at.timestamp()),
        "name": endpoint.name,
        "url": endpoint.url,
        "event_types": endpoint.event_types,
        "signing_secret_hint": f"...{endpoint.secret[-4:]}",
        "enabled": endpoint.disabled_at is None,
    }


def _with_secret(endpoint: Endpoint) -> WebhookEndpointWithSecret:
    return WebhookEndpointWithSecret(**_fields(endpoint), signing_secret=endpoint.secret)


def _delivery(delivery: Delivery) -> WebhookDelivery:
    return WebhookDelivery(
        id=delivery.id,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        status=shown(delivery),
        attempts=delivery.attempts,
        created_at=int(delivery.created_at.timestamp()),
        delivered_at=None if delivery.delivered_at is None else int(delivery.delivered_at.timestamp()),
        next_attempt_at=None if delivery.next_at is None else int(delivery.next_at.timestamp()),
        last_status_code=delivery.last_status,
        last_error=delivery.last_error,
    )
