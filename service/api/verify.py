"""`POST /v1/verify`: a file in, evidence out."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from provenance import judge
from provenance.text import clean
from service.api.state import ApiState, State, Verifier
from service.api.uploads import FORM_OVERHEAD, read_form, save_body, save_upload
from service.casefile import as_html, as_pdf
from service.errors import Problem
from service.metrics import VERDICTS

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
async def verify(
    request: Request, state: State, tenant: Verifier, thorough: Annotated[bool, Query()] = False
) -> Response:
    """What can be proved about a file: multipart field `file`, or the file as the body itself.

    `thorough=true` also looks for marked parts, a clip of ours in a longer one or in a corner of the picture,
    where the whole shows no mark: several times slower. Where it shows one, its parts are told in any case.

    JSON, or with `Accept: text/html` or `application/pdf` a report to file.
    """
    settings = state.services.settings
    limit, scratch = settings.upload_max_bytes, settings.scratch
    _require_space(scratch, limit)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        async with save_body(request, scratch, limit=limit) as path:
            row = await run_in_threadpool(examine, state, path, tenant, thorough=thorough)
            return _answer(request, row, "upload")
    async with read_form(request, limit=limit + FORM_OVERHEAD, part_limit=FORM_OVERHEAD) as form:
        upload = form.files.get("file")
        if upload is None:
            raise Problem(400, "no_file", "Send the file as the multipart field `file`.", param="file")
        async with save_upload(upload, scratch, limit=limit) as path:
            row = await run_in_threadpool(examine, state, path, tenant, thorough=thorough)
            return _answer(request, row, clean(upload.filename or "upload"))


def _answer(request: Request, row: dict[str, Any], name: str) -> Response:
    accepted = request.headers.get("accept", "")
    made = version("assay")
    if accepted.startswith("text/html"):
        return HTMLResponse(as_html([{"file": name, **row}], version=made))
    if accepted.startswith("application/pdf"):
        return Response(as_pdf([{"file": name, **row}], version=made), media_type="application/pdf")
    return JSONResponse(row)


def examine(state: ApiState, path: Path, tenant: str | None, *, thorough: bool = False) -> dict[str, Any]:
    """Inspect in a limited process, then judge by the registry."""
    evidence = state.inspector.inspect(path, thorough=thorough)
    report = judge(evidence, state.services.registry, now=state.services.clock())
    VERDICTS.labels(str(report.verdict)).inc()
    return report.to_json(viewer=tenant)


def _require_space(folder: Path, limit: int) -> None:
    if shutil.disk_usage(folder).free < SPARE_FACTOR * limit:
        raise Problem(
            507, "disk_full", "The server has no space for uploads now.", stage="storage", retry=True
        )
