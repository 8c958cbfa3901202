"""A create request on its way into the queue: parsed, put before the guard, written as a job."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import Request

from generator import Reference, RequestError
from generator import Request as GenerationRequest
from generator.admit import admit
from guard import PolicyViolation
from service.api import schemas
from service.api.state import ApiState
from service.errors import Problem
from service.jobs import Job, NewJob
from service.production import reference_reader
from service.wiring import log_decision

MODERATION_CODE = "moderation_blocked"
RETRY_WINDOW = timedelta(seconds=120)
"""The SDK repeats a request on its own for at most this long, without saying which one it repeats."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A create request, parsed: its fields and the references as files on disk."""

    asked: schemas.CreateVideo
    references: tuple[Reference, ...] = ()
    hashes: tuple[str, ...] = ()
    remixed_from: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """What a request says about being a repetition."""

    key: str | None
    automatic: bool

    @classmethod
    def of(cls, request: Request) -> Retry:
        key = request.headers.get("idempotency-key")
        if key is not None and not 1 <= len(key) <= 255:
            raise Problem(400, "bad_idempotency_key", "Idempotency-Key: use 1 to 255 characters.")
        return cls(key, request.headers.get("x-stainless-retry-count", "0") != "0")


def submit(state: ApiState, tenant: str, incoming: Incoming, retry: Retry) -> tuple[Job, bool]:
    """Guard, then queue. Raises `Problem`, `RequestError` and what reading a reference raises."""
    services, asked = state.services, incoming.asked
    _check_model(state, asked.model)
    plain = asked.model_dump(exclude={"input_reference", "safety_identifier"})
    digest = _digest(plain, incoming.hashes)
    if retry.automatic and retry.key is None:
        known = services.jobs.recent(tenant, digest, RETRY_WINDOW)
        if known is not None:
            return known, False
    wanted = generation_request(state, tenant, incoming)
    try:
        allowed = admit(
            wanted,
            state.spec,
            state.guard,
            read=reference_reader(state.inspector),
            randbelow=secrets.randbelow,
        )
    except PolicyViolation as violation:
        log_decision(services, violation.decision)
        raise refusal(violation) from violation
    for decision in allowed.decisions:
        log_decision(services, decision)
    return services.jobs.submit(
        NewJob(
            tenant=tenant,
            kind="video",
            model=state.spec.name,
            request=stored_request(allowed.request) | {"remixed_from": incoming.remixed_from},
            digest=digest,
            idempotency_key=retry.key,
            decision_id=allowed.decisions[0].decision_id,
        )
    )


def _check_model(state: ApiState, name: str | None) -> None:
    if name is not None and name != state.spec.name:
        raise Problem(
            400, "model_not_found", f"model {name[:80]!r}: this server runs {state.spec.name}.", param="model"
        )


def _digest(plain: Mapping[str, Any], hashes: tuple[str, ...]) -> str:
    text = json.dumps([plain, hashes], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def generation_request(state: ApiState, tenant: str, incoming: Incoming) -> GenerationRequest:
    """The client's words as the generator's request, with this server's defaults."""
    asked, settings, spec = incoming.asked, state.services.settings, state.spec
    size = asked.size or settings.size
    width, height = (int(side) for side in size.split("x")) if size else (None, None)
    fps = asked.fps or spec.fps
    seconds = asked.seconds or settings.seconds
    frames = asked.frames or (_frames(seconds, fps, spec.frame_step) if seconds and fps else None)
    return GenerationRequest(
        prompt=asked.prompt,
        negative_prompt=asked.negative_prompt,
        width=width,
        height=height,
        frames=frames,
        fps=fps or None,
        seed=asked.seed,
        steps=asked.steps or settings.steps or None,
        guidance=asked.guidance,
        references=incoming.references,
        tenant=tenant,
        purpose=asked.purpose,
    )


def _frames(seconds: float, fps: float, step: int) -> int:
    """The nearest count that the model can make: `step * k + 1`."""
    if seconds * fps > 1e6:
        raise RequestError(f"seconds: {seconds:g} is longer than any model makes")
    return max(0, round((seconds * fps - 1) / step)) * step + 1


def stored_request(request: GenerationRequest) -> dict[str, Any]:
    """A completed request as the job's row keeps it."""
    return {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "width": request.width,
        "height": request.height,
        "frames": request.frames,
        "fps": request.fps,
        "seed": request.seed,
        "steps": request.steps,
        "guidance": request.guidance,
        "purpose": request.purpose,
        "format": request.format,
        "references": [
            {
                "path": str(given.path),
                "kind": given.kind,
                "title": given.title,
                "consents": list(given.consents),
            }
            for given in request.references
        ],
    }


def refusal(violation: PolicyViolation) -> Problem:
    """What the client is told: the stable reason and the policy's words, nothing that helps to probe it."""
    decision = violation.decision
    extra: dict[str, object] = {"decision_id": decision.decision_id}
    hint = decision.user_hint()
    if hint is not None:
        extra["hint"] = dict(zip(("field", "start", "end"), hint, strict=True))
    return Problem(
        400,
        decision.reason,
        decision.user_text(),
        stage="guard",
        code=MODERATION_CODE,
        param="prompt",
        extra=extra,
    )
