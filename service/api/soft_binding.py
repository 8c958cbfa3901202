"""C2PA Soft Binding Resolution API 2.2: from a mark, a picture or its likeness to the manifest that was
stripped."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from provenance import Evidence
from provenance.fingerprint import PDQ_BYTES
from provenance.manifest import SOFT_BINDING_ALG
from provenance.store import active_manifest
from service.api.state import ApiState, State, Verifier
from service.api.uploads import save_body
from service.errors import IsolationError, Problem
from service.isolate import RefusedError
from watermark import MediaId, PayloadError

router = APIRouter(prefix="/v1", tags=["soft binding resolution"])

FINGERPRINT_ALG = "org.assay.pdq.1"
"""Values are PDQ hashes, 32 bytes; what differs in up to 31 of 256 bits matches."""
MANIFEST_TYPE = "application/c2pa"
ID_BYTES = 6
MAX_VALUE = 1000
"""Characters of a binding's value: ours have 8 and 44."""
MOST = 100
"""Matches of one answer, whatever was asked for."""
_CONTENT_TYPES = ("image/", "audio/", "video/", "application/", "model/", "text/")
_RAW = {"schema": {"type": "string", "format": "binary"}}

Matches = dict[str, list[dict[str, Any]]]
MaxResults = Annotated[int, Query(alias="maxResults", ge=1)]


class BindingQuery(BaseModel):
    """Algorithm name and base64 value of a soft binding."""

    value: str = Field(max_length=MAX_VALUE)
    alg: str = Field(max_length=200)


@router.get("/services/supportedAlgorithms")
async def supported() -> dict[str, list[dict[str, str]]]:
    """Our mark, and the perceptual hash that finds copies whose mark is gone."""
    return {"watermarks": [{"alg": SOFT_BINDING_ALG}], "fingerprints": [{"alg": FINGERPRINT_ALG}]}


@router.get("/matches/byBinding")
def by_binding(state: State, tenant: Verifier, value: str, alg: str, max_results: MaxResults = 10) -> Matches:
    """Manifests of the media that carry this value."""
    if len(value) > MAX_VALUE:
        raise Problem(414, "too_long", "value: too long for an address; POST it.", param="value")
    return _matches(state, alg, value, max_results)


@router.post("/matches/byBinding")
def by_posted_binding(
    asked: BindingQuery, state: State, tenant: Verifier, max_results: MaxResults = 10
) -> Matches:
    """As the GET."""
    return _matches(state, asked.alg, asked.value, max_results)


@router.post(
    "/matches/byContent",
    openapi_extra={"requestBody": {"required": True, "content": {f"{t}*": _RAW for t in _CONTENT_TYPES}}},
)
async def by_content(
    request: Request,
    state: State,
    tenant: Verifier,
    alg: str | None = None,
    max_results: MaxResults = 10,
    hint_alg: Annotated[str | None, Query(alias="hintAlg")] = None,
    hint_value: Annotated[str | None, Query(alias="hintValue")] = None,
) -> Matches:
    """Manifests of the media that this file is a copy of: by its mark, else by what it looks like.

    `alg` restricts the search to one of the two; a hint is not needed, and is not trusted.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind.startswith(_CONTENT_TYPES):
        raise Problem(415, "unsupported_type", "Send the file itself, with its type.", stage="upload")
    settings = state.services.settings
    async with save_body(request, settings.scratch, limit=settings.upload_max_bytes) as path:
        try:
            evidence = await run_in_threadpool(state.inspector.inspect, path)
        except (RefusedError, IsolationError) as error:
            raise Problem(415, error.reason, str(error), stage="inspect") from error
    return await run_in_threadpool(_of_content, state, evidence, alg, min(max_results, MOST))


@router.get("/manifests/{manifest_id}", response_class=Response)
def manifest(
    manifest_id: str,
    state: State,
    tenant: Verifier,
    active_only: Annotated[bool, Query(alias="returnActiveManifest")] = False,
) -> Response:
    """The manifest store as it was embedded, or its active manifest alone."""
    record = state.services.registry.by_manifest_label(manifest_id)
    if record is None or record.manifest is None or record.revoked_at is not None:
        raise Problem(404, "not_found", f"There is no manifest {manifest_id[:80]!r}.")
    content = active_manifest(record.manifest, manifest_id) if active_only else record.manifest
    return Response(content, media_type=MANIFEST_TYPE)


def _of_content(state: ApiState, evidence: Evidence, alg: str | None, most: int) -> Matches:
    found: list[dict[str, Any]] = []
    detection = evidence.detection
    if alg in (None, SOFT_BINDING_ALG) and detection is not None and detection.media_id is not None:
        label = state.services.registry.label_of(detection.media_id) if detection.found else None
        found += [{"manifestId": label, "similarityScore": 100}] if label else []
    if alg in (None, FINGERPRINT_ALG) and evidence.views is not None:
        hashes = evidence.views.search_hashes()
        known = {match["manifestId"] for match in found}
        found += [match for match in _alike(state, hashes, most) if match["manifestId"] not in known]
    return {"matches": found[:most]}


def _matches(state: ApiState, alg: str, value: str, most: int) -> Matches:
    if alg == FINGERPRINT_ALG:
        return {"matches": _alike(state, [_pdq(value)], min(most, MOST))}
    if alg != SOFT_BINDING_ALG:
        known = f"{SOFT_BINDING_ALG} and {FINGERPRINT_ALG}"
        raise Problem(400, "unknown_algorithm", f"alg: this server knows {known}.", param="alg")
    label = state.services.registry.label_of(_media_id(value))
    return {"matches": [] if label is None else [{"manifestId": label}]}


def _alike(state: ApiState, hashes: Sequence[bytes], most: int) -> list[dict[str, Any]]:
    found = state.services.similar.search(hashes, most)
    return [{"manifestId": one.label, "similarityScore": one.score} for one in found if one.label]


def _pdq(value: str) -> bytes:
    data = _decoded(value)
    if len(data) != PDQ_BYTES:
        raise Problem(400, "bad_binding", f"value: a PDQ hash has {PDQ_BYTES} bytes.", param="value")
    return data


def _media_id(value: str) -> MediaId:
    """The id in a base64 value: its bytes, or its twelve digits as text."""
    data = _decoded(value)
    try:
        return MediaId(int.from_bytes(data)) if len(data) == ID_BYTES else MediaId.parse(data.decode("ascii"))
    except (UnicodeDecodeError, PayloadError) as error:
        raise Problem(400, "bad_binding", "value: not a binding of this algorithm.", param="value") from error


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(400, "bad_binding", "value: not base64.", param="value") from error
