"""What the routes share, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from opentelemetry.trace import Tracer

from generator import SystemSpec
from guard import Guard
from service.api.lookups import Lookups
from service.api.rates import RateLimiter
from service.errors import Problem
from service.inspection import Inspector
from service.jobs import Job
from service.links import LinkSigner
from service.policies import PolicyFollower
from service.store.tenants import ApiKey
from service.webhooks import Sender
from service.wiring import Services

PUBLIC_TENANT = "default"
"""Who asks when no keys are required."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiState:
    """The parts behind the routes."""

    services: Services
    policies: PolicyFollower
    inspector: Inspector
    spec: SystemSpec
    sender: Sender
    rates: RateLimiter
    links: LinkSigner
    tracer: Tracer
    jobs: Lookups[tuple[str, str], Job]
    """Jobs by tenant and id, for polls."""
    keys: Lookups[str, ApiKey]
    """API keys by secret."""

    @property
    def guard(self) -> Guard:
        """The guard in force; a request keeps the one it began with."""
        return self.policies.current


def api_state(request: Request) -> ApiState:
    """The state of the app that serves `request`."""
    state = request.app.state.assay
    if not isinstance(state, ApiState):
        raise TypeError("create_app sets app.state.assay")
    return state


async def _state(request: Request) -> ApiState:
    # FastAPI runs what is not a coroutine in a thread, which would cost every request more than its read.
    return api_state(request)


State = Annotated[ApiState, Depends(_state)]


async def _caller(request: Request, scope: str) -> str:
    if api_state(request).services.settings.auth == "none":
        return PUBLIC_TENANT
    return await _key_holder(request, scope)


async def administrator(request: Request) -> str:
    """The tenant of a key with the scope `admin`, which is asked for even where no other call needs a key.
    Raises `Problem` 401 or 403."""
    return await _key_holder(request, "admin")


async def _key_holder(request: Request, scope: str) -> str:
    state = api_state(request)
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise _unauthorized("Send an API key: Authorization: Bearer assay_...")
    key = await state.keys.get(secret.strip())
    if key is None:
        raise _unauthorized("The API key is unknown, expired or revoked.")
    if scope not in key.scopes:
        raise Problem(403, "scope_missing", f"This API key lacks the scope {scope!r}.", stage="authenticate")
    return key.tenant


def _unauthorized(detail: str) -> Problem:
    return Problem(
        401, "invalid_api_key", detail, stage="authenticate", headers={"www-authenticate": "Bearer"}
    )


async def generating_tenant(request: Request) -> str:
    """The tenant of a key that may generate. Raises `Problem` 401, 403 or 429."""
    tenant = await _caller(request, "generate")
    api_state(request).rates.take(f"tenant {tenant}")
    return tenant


async def verifying_tenant(request: Request) -> str | None:
    """The tenant of a key that may verify; None for anybody, where verification is public.

    Raises `Problem` 401, 403 or 429.
    """
    state = api_state(request)
    settings = state.services.settings
    if settings.auth == "keys" and settings.public_verify and "authorization" not in request.headers:
        state.rates.take(f"address {request.client.host if request.client else ''}")
        return None
    tenant = await _caller(request, "verify")
    state.rates.take(f"tenant {tenant}")
    return tenant


def note(request: Request, tenant: str, action: str, target: str) -> None:
    """Write what a tenant did into the audit log."""
    api_state(request).services.audit.add(
        f"tenant:{tenant}",
        action,
        tenant=tenant,
        target=target[:128],
        request_id=str(request.scope.get("assay.request_id", "")) or None,
    )


Tenant = Annotated[str, Depends(generating_tenant)]
Verifier = Annotated[str | None, Depends(verifying_tenant)]
