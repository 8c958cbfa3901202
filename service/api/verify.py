"""`POST /v1/verify`: a file in, evidence out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from provenance import judge
from service.api.state import ApiState, State, Verifier
from service.api.uploads import FORM_OVERHEAD, read_form, save_body, save_upload
from service.errors import Problem

router = APIRouter(prefix="/v1", tags=["verify"])

SPARE_FACTOR = 2
"""Disk that must be free before an upload is accepted, as a multiple of the largest one."""
_FILE = {"type": "string", "format": "binary"}
_VERIFY_DOCS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": _FILE}, "required": ["file"]}
            },
            "application/octet-stream": {"schema": _FILE},
        },
    }
}


@router.post("/verify", openapi_extra=_VERIFY_DOCS)
async def verify(request: Request, state: State, tenant: Verifier) -> JSONResponse:
    """What can be proved about a file: multipart field `file`, or the file as the body itself."""
    settings = state.services.settings
    limit, scratch = settings.upload_max_bytes, settings.scratch
    _require_space(scratch, limit)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        async with save_body(request, scratch, limit=limit) as path:
            return JSONResponse(await run_in_threadpool(examine, state, path, tenant))
    async with read_form(request, limit=limit + FORM_OVERHEAD, part_limit=FORM_OVERHEAD) as form:
        upload = form.files.get("file")
        if upload is None:
            raise Problem(400, "no_file", "Send the file as the multipart field `file`.", param="file")
        async with save_upload(upload, scratch, limit=limit) as path:
            return JSONResponse(await run_in_threadpool(examine, state, path, tenant))


def examine(state: ApiState, path: Path, tenant: str | None) -> dict[str, Any]:
    """Inspect in a limited process, then judge by the registry."""
    evidence = state.inspector.inspect(path)
    report = judge(evidence, state.services.registry, now=state.services.clock())
    return report.to_json(viewer=tenant)


def _require_space(folder: Path, limit: int) -> None:
    if shutil.disk_usage(folder).free < SPARE_FACTOR * limit:
        raise Problem(
            507, "disk_full", "The server has no space for uploads now.", stage="storage", retry=True
        )
