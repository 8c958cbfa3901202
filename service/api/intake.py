"""A request on its way into the queue: put before the guard, written as a job, once."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from generator import Codec, MediaFormat, MediaKind, Reference, RequestError, SystemSpec
from generator import Request as GenerationRequest
from generator.admit import admit
from guard import PolicyViolation
from service.api import schemas
from service.api.appeals import appeal_link
from service.api.state import ApiState
from service.api.uploads import FORM_OVERHEAD, Form, read_form
from service.errors import Problem
from service.jobs import Job, NewJob
from service.production import reference_reader
from service.telemetry import traceparent
from service.wiring import log_decision

MODERATION_CODE = "moderation_blocked"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request, parsed: its fields, the references as files on disk, and the job it comes from.

    `origin` holds one of `remixed_from`, `edited_from`, `extended_from`, or nothing; `kind` is "video" or
    "image", `format` the container asked for.
    """

    asked: schemas.CreateVideo
    references: tuple[Reference, ...] = ()
    hashes: tuple[str, ...] = ()
    origin: Mapping[str, str] = field(default_factory=dict)
    kind: str = "video"
    format: MediaFormat | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """What a request says about being a repetition, and when it came in."""

    key: str | None
    automatic: bool
    arrived_at: datetime

    @classmethod
    def of(cls, request: Request, now: datetime) -> Retry:
        key = request.headers.get("idempotency-key")
        if key is not None and not 1 <= len(key) <= 255:
            raise Problem(400, "bad_idempotency_key", "Idempotency-Key: use 1 to 255 characters.")
        return cls(key, request.headers.get("x-stainless-retry-count", "0") != "0", now)


Build = Callable[[ApiState, str, Form, Path], Incoming]
"""`build(state, tenant, form, folder)`: references go into `folder`, which belongs to the job."""


async def take(
    request: Request,
    response: Response,
    state: ApiState,
    tenant: str,
    build: Build,
    *,
    limit: int,
    part_limit: int = 0,
) -> schemas.Video:
    """Read a form of at most `limit` bytes, queue what `build` makes of it, answer with the video.

    The references of a request that is refused or repeated are removed.
    """
    retry = Retry.of(request, state.services.clock())
    folder = state.services.settings.references / secrets.token_hex(16)
    new = False
    try:
        async with read_form(
            request, limit=limit + FORM_OVERHEAD, part_limit=part_limit + FORM_OVERHEAD
        ) as form:
            incoming = await run_in_threadpool(build, state, tenant, form, folder)
        job, new = await run_in_threadpool(submit, state, tenant, incoming, retry)
    finally:
        if not new:
            shutil.rmtree(folder, ignore_errors=True)
    response.headers["openai-poll-after-ms"] = str(schemas.POLL_AFTER_MS)
    return schemas.Video.of(job)


def submit(state: ApiState, tenant: str, incoming: Incoming, retry: Retry) -> tuple[Job, bool]:
    """Guard, then queue; the job, and whether it is new.

    Raises `Problem`, `RequestError` and what reading a reference raises.
    """
    services, asked = state.services, incoming.asked
    _check_model(state, asked.model)
    plain = asked.model_dump(exclude={"input_reference", "safety_identifier"})
    new = NewJob(
        tenant=tenant,
        kind=incoming.kind,
        model=state.spec.name,
        request={},
        digest=_digest(plain, incoming),
        idempotency_key=retry.key,
        priority=asked.priority,
        automatic=retry.automatic,
        arrived_at=retry.arrived_at,
        traceparent=traceparent(),
    )
    known = services.jobs.known(new)
    if known is not None:
        return known, False
    wanted = generation_request(state, tenant, incoming)
    try:
        with state.tracer.start_as_current_span("guard", record_exception=False):
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
    except RequestError as error:
        if any(given.kind not in state.spec.takes for given in incoming.references):
            raise Problem(400, "unsupported_by_model", str(error)) from error
        raise
    for decision in allowed.decisions:
        log_decision(services, decision)
    more = {"seed_drawn": wanted.seed is None, **incoming.origin}
    return services.jobs.submit(
        replace(
            new,
            request=stored_request(allowed.request) | more,
            decision_id=allowed.decisions[0].decision_id,
            credits=cost(allowed.request, state.spec),
        )
    )


def cost(request: GenerationRequest, spec: SystemSpec) -> int:
    """Credits of a completed request: the seconds of a clip, rounded up; one for a picture."""
    if spec.output is MediaKind.IMAGE or not request.fps:
        return 1
    return max(1, math.ceil((request.frames or 1) / request.fps))


def _check_model(state: ApiState, name: str | None) -> None:
    if name is not None and name != state.spec.name:
        raise Problem(
            400, "model_not_found", f"model {name[:80]!r}: this server runs {state.spec.name}.", param="model"
        )


def _digest(plain: Mapping[str, Any], incoming: Incoming) -> str:
    whole = [plain, incoming.hashes, dict(incoming.origin)]
    if incoming.format is not None:
        whole += [incoming.kind, incoming.format]
    return hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def generation_request(state: ApiState, tenant: str, incoming: Incoming) -> GenerationRequest:
    """The client's words as the generator's request, with this server's defaults."""
    asked, settings, spec = incoming.asked, state.services.settings, state.spec
    size = asked.size or settings.size
    width, height = (int(side) for side in size.split("x")) if size else (None, None)
    fps = asked.fps or spec.fps
    seconds = asked.seconds or settings.seconds
    frames = asked.frames or (spec.frames_in(seconds, fps) if seconds else None)
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
        format=incoming.format,
        codec=None if asked.codec is None else Codec(asked.codec),
    )


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
        "codec": request.codec,
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
    extra: dict[str, object] = {
        "decision_id": decision.decision_id,
        "policy": decision.policy,
        "automated": True,
        "tell_user": dict(decision.findings[0].tell_user),
        "appeal": appeal_link(decision.decision_id, decision.at),
    }
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
