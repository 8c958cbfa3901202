"""C2PA Soft Binding Resolution API 2.2: from a mark's value to the manifest that was stripped."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from provenance.manifest import SOFT_BINDING_ALG
from service.api.state import ApiState, State, Verifier
from service.errors import Problem
from watermark import MediaId, PayloadError

router = APIRouter(prefix="/v1", tags=["soft binding resolution"])

MANIFEST_TYPE = "application/c2pa"
ID_BYTES = 6


class BindingQuery(BaseModel):
    """Algorithm name and base64 value of a soft binding."""

    value: str = Field(max_length=1000)
    alg: str = Field(max_length=200)


@router.get("/services/supportedAlgorithms")
async def supported() -> dict[str, list[dict[str, str]]]:
    """Our mark; fingerprints are compared with the record of a mark and not searched for."""
    return {"watermarks": [{"alg": SOFT_BINDING_ALG}], "fingerprints": []}


@router.get("/matches/byBinding")
def by_binding(
    state: State,
    tenant: Verifier,
    value: Annotated[str, Query(max_length=1000)],
    alg: Annotated[str, Query(max_length=200)],
) -> dict[str, list[dict[str, Any]]]:
    """Manifests of the media that carry this value."""
    return _matches(state, BindingQuery(value=value, alg=alg))


@router.post("/matches/byBinding")
def by_posted_binding(asked: BindingQuery, state: State, tenant: Verifier) -> dict[str, list[dict[str, Any]]]:
    """As the GET."""
    return _matches(state, asked)


@router.get("/manifests/{manifest_id}", response_class=Response)
def manifest(manifest_id: str, state: State, tenant: Verifier) -> Response:
    """The manifest store, as it was embedded."""
    record = state.services.registry.by_manifest_label(manifest_id)
    if record is None or record.manifest is None or record.revoked_at is not None:
        raise Problem(404, "not_found", f"There is no manifest {manifest_id[:80]!r}.")
    return Response(record.manifest, media_type=MANIFEST_TYPE)


def _matches(state: ApiState, asked: BindingQuery) -> dict[str, list[dict[str, Any]]]:
    if asked.alg != SOFT_BINDING_ALG:
        raise Problem(400, "unknown_algorithm", f"alg: this server knows {SOFT_BINDING_ALG}.", param="alg")
    record = state.services.registry.by_media_id(_media_id(asked.value))
    if record is None or record.manifest_label is None or record.revoked_at is not None:
        return {"matches": []}
    return {"matches": [{"manifestId": record.manifest_label}]}


def _media_id(value: str) -> MediaId:
    """The id in a base64 value: its bytes, or its twelve digits as text."""
    try:
        data = base64.b64decode(value, validate=True)
        return MediaId(int.from_bytes(data)) if len(data) == ID_BYTES else MediaId.parse(data.decode("ascii"))
    except (binascii.Error, UnicodeDecodeError, PayloadError) as error:
        raise Problem(400, "bad_binding", "value: not a binding of this algorithm.", param="value") from error
