"""`/v1/moderations` and `/v1/content_provenance_checks`: guard and evidence in the SDK's shapes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from guard import GuardRequest, Picture, Stage, Text
from provenance import C2paState, Evidence
from service.api.forms import file_docs
from service.api.references import picture_data
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


class PictureUrl(BaseModel):
    """A picture as data URL; nothing is fetched."""

    url: str


class PicturePart(BaseModel):
    """One picture of a list of parts."""

    type: Literal["image_url"]
    image_url: PictureUrl


Part = Annotated[TextPart | PicturePart, Field(discriminator="type")]


class ModerationRequest(BaseModel):
    """What is to be judged: a text, several texts, or the parts of one input.

    Every frame that a picture holds is judged as a reference would be.
    """

    input: str | Annotated[list[str], Field(min_length=1)] | Annotated[list[Part], Field(min_length=1)]
    model: str | None = None


class ModerationResult(BaseModel):
    """What the policy says about one input. `reasons` and `decision_id` are ours."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]]
    reasons: list[str]
    decision_id: str


class Moderation(BaseModel):
    """One answer for each input."""

    id: str
    model: str
    results: list[ModerationResult]


@router.post("/moderations")
def moderate(asked: ModerationRequest, state: State, tenant: Tenant) -> Moderation:
    """What the policy says about each text, or about text and pictures together."""
    given = [asked.input] if isinstance(asked.input, str) else asked.input
    texts = [part for part in given if isinstance(part, str)]
    parts = [part for part in given if not isinstance(part, str)]
    results = [_result(state, [_text_request(text, tenant)], "text") for text in texts]
    if parts:
        results.append(_judge_parts(state, parts, tenant))
    return Moderation(id=f"modr_{secrets.token_hex(12)}", model=state.guard.policy.label, results=results)


def _judge_parts(state: ApiState, parts: Sequence[TextPart | PicturePart], tenant: str) -> ModerationResult:
    requests = [_text_request(part.text, tenant) for part in parts if isinstance(part, TextPart)]
    urls = [part.image_url.url for part in parts if isinstance(part, PicturePart)]
    pictures = tuple(_picture(state, url) for url in urls)
    if pictures:
        requests.append(GuardRequest(Stage.REFERENCE, (), pictures, tenant=tenant))
    return _result(state, requests, "image" if urls else "text")


def _text_request(text: str, tenant: str) -> GuardRequest:
    return GuardRequest(Stage.PROMPT, (Text("prompt", text),), tenant=tenant)


def _picture(state: ApiState, url: str) -> Picture:
    """The picture of a data URL, read in a limited process."""
    settings = state.services.settings
    data = picture_data(url, settings.reference_max_bytes, "input")
    with NamedTemporaryFile(dir=settings.scratch, prefix="upload-") as file:
        file.write(data)
        file.flush()
        seen = state.inspector.pictures(Path(file.name), "image", 1)
    return Picture("input", seen.frames[0], hashlib.sha256(data).hexdigest())


def _result(state: ApiState, requests: Sequence[GuardRequest], kind: str) -> ModerationResult:
    decisions = [state.guard.evaluate(request) for request in requests]
    for decision in decisions:
        log_decision(state.services, decision)
    reasons = [finding.reason for decision in decisions for finding in decision.findings]
    hit = {category for reason in reasons if (category := _category(reason))}
    refused = [decision for decision in decisions if not decision.allowed]
    return ModerationResult(
        flagged=bool(refused),
        categories={name: name in hit for name in CATEGORIES},
        category_scores={name: float(name in hit) for name in CATEGORIES},
        category_applied_input_types={name: [kind] for name in CATEGORIES},
        reasons=reasons,
        decision_id=(refused or decisions)[0].decision_id,
    )


def _category(reason: str) -> str | None:
    return next((name for start, name in _CATEGORY_OF.items() if reason.startswith(start)), None)


@router.post("/content_provenance_checks", openapi_extra=file_docs("file"))
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
