"""`/v1/moderations` and `/v1/content_provenance_checks`: guard and evidence in the SDK's shapes."""

from __future__ import annotations

import secrets
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from guard import GuardRequest, Stage, Text
from provenance import C2paState, Evidence
from service.api.state import ApiState, State, Tenant, Verifier
from service.api.uploads import FORM_OVERHEAD, read_form, save_upload
from service.errors import Problem
from service.wiring import log_decision

router = APIRouter(prefix="/v1", tags=["checks"])

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""The fixed categories of the SDK's answer."""
_CATEGORY_OF = {
    "CHILD.SEXUAL": "sexual/minors",
    "SEXUAL": "sexual",
    "VIOLENCE.GRAPHIC": "violence/graphic",
    "VIOLENCE.WEAPONS": "illicit/violent",
    "VIOLENCE": "violence",
    "SELF_HARM": "self-harm",
    "HATE": "hate",
}
"""Reason codes by their beginning, the longest first; the others have no category of the SDK's."""


class TextPart(BaseModel):
    """One text of a list of parts."""

    type: Literal["text"]
    text: str


class ModerationRequest(BaseModel):
    """What is to be judged. Pictures are judged where they are used: as references of a video."""

    input: str | list[str] | list[TextPart] = Field(min_length=1)
    model: str | None = None


@router.post("/moderations")
def moderate(asked: ModerationRequest, state: State, tenant: Tenant) -> dict[str, Any]:
    """What the policy says about each text."""
    given = [asked.input] if isinstance(asked.input, str) else asked.input
    texts = [part if isinstance(part, str) else part.text for part in given]
    return {
        "id": f"modr_{secrets.token_hex(12)}",
        "model": state.guard.policy.label,
        "results": [_result(state, text, tenant) for text in texts],
    }


def _result(state: ApiState, text: str, tenant: str) -> dict[str, Any]:
    decision = state.guard.evaluate(GuardRequest(Stage.PROMPT, (Text("prompt", text),), tenant=tenant))
    log_decision(state.services, decision)
    reasons = [finding.reason for finding in decision.findings]
    hit = {category for reason in reasons if (category := _category(reason))}
    return {
        "flagged": not decision.allowed,
        "categories": {name: name in hit for name in CATEGORIES},
        "category_scores": {name: float(name in hit) for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
        "reasons": reasons,
        "decision_id": decision.decision_id,
    }


def _category(reason: str) -> str | None:
    return next((name for start, name in _CATEGORY_OF.items() if reason.startswith(start)), None)


@router.post("/content_provenance_checks")
async def provenance_check(request: Request, state: State, tenant: Verifier) -> dict[str, Any]:
    """Manifest and mark of an upload. `not_detected` does not mean that a person made it."""
    settings = state.services.settings
    limit = settings.upload_max_bytes
    async with read_form(request, limit=limit + FORM_OVERHEAD, part_limit=FORM_OVERHEAD) as form:
        upload = form.files.get("file")
        if upload is None:
            raise Problem(400, "no_file", "Send the file as the multipart field `file`.", param="file")
        async with save_upload(upload, settings.scratch, limit=limit) as path:
            evidence = await run_in_threadpool(state.inspector.inspect, path)
    return {
        "object": "content_provenance_check",
        "created_at": int(state.services.clock().timestamp()),
        "results": [_c2pa_result(evidence), _mark_result(evidence)],
    }


def _c2pa_result(evidence: Evidence) -> dict[str, Any]:
    report = evidence.c2pa
    stated = report.state in (C2paState.INVALID, C2paState.VALID, C2paState.TRUSTED)
    return {
        "type": "c2pa",
        "outcome": "detected" if stated else "not_detected",
        "validation_state": str(report.state) if stated else "not_present",
        "issuer": report.signer.organisation if report.signer else None,
    }


def _mark_result(evidence: Evidence) -> dict[str, Any]:
    detection = evidence.detection
    media_id = detection.media_id if detection is not None and detection.found else None
    return {
        "type": "watermark",
        "outcome": "not_detected" if media_id is None else "detected",
        "media_id": None if media_id is None else media_id.hex,
        "log10_p": 0.0 if detection is None else round(detection.log10_p, 2),
    }
