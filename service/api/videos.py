"""`/v1/videos`, as the `openai` SDK speaks it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.api import schemas
from service.api.characters import references
from service.api.forms import form_docs
from service.api.intake import Incoming, take
from service.api.references import parse_create, sha256_of
from service.api.state import ApiState, State, Tenant, api_state, generating_tenant, note
from service.api.uploads import Form
from service.errors import StorageError
from service.jobs import COMPLETED, FAILED, present

router = APIRouter(prefix="/v1/videos", tags=["videos"])


@router.post(
    "",
    response_model=schemas.Video,
    response_model_exclude_none=True,
    openapi_extra=form_docs(schemas.CreateVideo, "input_reference"),
)
async def create(request: Request, response: Response, state: State, tenant: Tenant) -> schemas.Video:
    """Put a job into the queue, after the guard has passed every input of it."""
    encoded = 4 * state.services.settings.reference_max_bytes // 3 + 4  # base64
    return await take(request, response, state, tenant, _create, limit=encoded, part_limit=encoded)


def _create(state: ApiState, tenant: str, form: Form, folder: Path) -> Incoming:
    incoming = parse_create(form, folder, state.services.settings.reference_max_bytes)
    kept = references(state, tenant, incoming.asked.characters, folder)
    hashes = tuple(sha256_of(given.path) for given in kept)
    return replace(incoming, references=incoming.references + kept, hashes=incoming.hashes + hashes)


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


@router.get("/{video_id}", response_model=schemas.Video, response_model_exclude_none=True)
async def retrieve(video_id: str, request: Request) -> Response:
    """One video. A failed job is an answer like any other: its `error` says why."""
    # Most requests come here; to resolve `State` and `Tenant` would be a third of what they cost.
    state, tenant = api_state(request), await generating_tenant(request)
    job = present(await state.jobs.get((tenant, video_id)), video_id)
    after = {} if job.status in (COMPLETED, FAILED) else {"openai-poll-after-ms": str(schemas.POLL_AFTER_MS)}
    body = schemas.Video.of(job).model_dump_json(exclude_none=True)  # written once: clients ask all the time
    return Response(body, media_type="application/json", headers=after)


@router.delete("/{video_id}")
def delete(video_id: str, request: Request, state: State, tenant: Tenant) -> schemas.DeletedVideo:
    """Remove the video; a job that runs stops at its next step."""
    job = state.services.jobs.delete(tenant, video_id)
    if job.result is not None:
        with suppress(OSError, StorageError):  # the sweep tries again
            state.services.media.remove(job.id)
    note(request, tenant, "video.delete", job.id)
    return schemas.DeletedVideo(id=video_id)


@router.post("/{video_id}/cancel", response_model_exclude_none=True)
def cancel(video_id: str, request: Request, state: State, tenant: Tenant) -> schemas.Video:
    """Stop a job and keep it, as failed with the code `cancelled`; it costs nothing. The loop ends at its
    next step. A job that has ended stays as it is.
    """
    job = state.services.jobs.cancel(tenant, video_id)
    note(request, tenant, "video.cancel", job.id)
    return schemas.Video.of(job)
