"""`/v1/videos`, as the `openai` SDK speaks it."""

from __future__ import annotations

import secrets
import shutil
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from service.api import schemas
from service.api.intake import Incoming, Retry, submit
from service.api.references import parse_create
from service.api.state import State, Tenant
from service.api.uploads import FORM_OVERHEAD, read_form
from service.jobs import COMPLETED, FAILED

router = APIRouter(prefix="/v1/videos", tags=["videos"])

_FORM_SCHEMA = schemas.CreateVideo.model_json_schema(ref_template="#/components/schemas/{model}")
_UPLOAD_SCHEMA = {
    **_FORM_SCHEMA,
    "properties": {**_FORM_SCHEMA["properties"], "input_reference": {"type": "string", "format": "binary"}},
}
_CREATE_DOCS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _UPLOAD_SCHEMA},
            "application/json": {"schema": _FORM_SCHEMA},
        },
    }
}


@router.post("", response_model=schemas.Video, response_model_exclude_none=True, openapi_extra=_CREATE_DOCS)
async def create(request: Request, response: Response, state: State, tenant: Tenant) -> schemas.Video:
    """Put a job into the queue, after the guard has passed every input of it."""
    limit = state.services.settings.reference_max_bytes
    folder = state.services.settings.references / secrets.token_hex(16)
    try:
        encoded = 4 * limit // 3 + 4  # base64
        async with read_form(
            request, limit=encoded + FORM_OVERHEAD, part_limit=encoded + FORM_OVERHEAD
        ) as form:
            incoming = await run_in_threadpool(parse_create, form, folder, limit)
        job, new = await run_in_threadpool(submit, state, tenant, incoming, Retry.of(request))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if not new:
        shutil.rmtree(folder, ignore_errors=True)
    response.headers["openai-poll-after-ms"] = str(schemas.POLL_AFTER_MS)
    return schemas.Video.of(job)


@router.post("/{video_id}/remix", response_model_exclude_none=True)
def remix(
    video_id: str, asked: schemas.RemixVideo, request: Request, state: State, tenant: Tenant
) -> schemas.Video:
    """The same seed, size and length with another prompt, which the guard reads like any other."""
    source = state.services.jobs.get(tenant, video_id).request
    again = schemas.CreateVideo(
        prompt=asked.prompt,
        negative_prompt=source["negative_prompt"],
        size=f"{source['width']}x{source['height']}",
        seed=source["seed"],
        steps=source["steps"],
        guidance=source["guidance"],
        fps=source["fps"],
        frames=source["frames"],
        purpose=source["purpose"],
    )
    incoming = Incoming(again, remixed_from=video_id)
    return schemas.Video.of(submit(state, tenant, incoming, Retry.of(request))[0])


@router.get("", response_model_exclude_none=True)
def page(
    state: State,
    tenant: Tenant,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Annotated[str, Query(pattern="^(asc|desc)$")] = "desc",
) -> schemas.VideoPage:
    """The tenant's videos; `after` is the id that the last page ended with."""
    found, more = state.services.jobs.page(
        tenant, "video", after=after, limit=limit, newest_first=order == "desc"
    )
    videos = [schemas.Video.of(job) for job in found]
    ends = (videos[0].id, videos[-1].id) if videos else (None, None)
    return schemas.VideoPage(data=videos, has_more=more, first_id=ends[0], last_id=ends[1])


@router.get("/{video_id}", response_model_exclude_none=True)
def retrieve(video_id: str, response: Response, state: State, tenant: Tenant) -> schemas.Video:
    """One video. A failed job is an answer like any other: its `error` says why."""
    job = state.services.jobs.get(tenant, video_id)
    if job.status not in (COMPLETED, FAILED):
        response.headers["openai-poll-after-ms"] = str(schemas.POLL_AFTER_MS)
    return schemas.Video.of(job)


@router.delete("/{video_id}")
def delete(video_id: str, state: State, tenant: Tenant) -> schemas.DeletedVideo:
    """Remove the video; a job that runs stops at its next step."""
    job = state.services.jobs.delete(tenant, video_id)
    if job.result is not None:
        shutil.rmtree(state.services.settings.media / job.id, ignore_errors=True)
    return schemas.DeletedVideo(id=video_id)
