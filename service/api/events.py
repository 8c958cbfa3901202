"""Progress of one job as server-sent events, for clients that would rather wait than poll."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from service.api import schemas
from service.api.state import ApiState, State, Tenant
from service.errors import Problem
from service.jobs import COMPLETED, FAILED

router = APIRouter(prefix="/v1/videos", tags=["videos"])

LOOK_SECONDS = 0.5


@router.get("/{video_id}/events", response_class=StreamingResponse)
async def events(video_id: str, state: State, tenant: Tenant) -> StreamingResponse:
    """An event `video.STATUS` with the video whenever it changes, until it is completed or failed."""
    await run_in_threadpool(state.services.jobs.get, tenant, video_id)
    return StreamingResponse(
        _stream(state, tenant, video_id),
        media_type="text/event-stream",
        headers={"cache-control": "no-store"},
    )


async def _stream(state: ApiState, tenant: str, video_id: str) -> AsyncIterator[str]:
    last = None
    while True:
        try:
            video = schemas.Video.of(await run_in_threadpool(state.services.jobs.get, tenant, video_id))
        except Problem:  # deleted meanwhile
            yield "event: video.deleted\ndata: {}\n\n"
            return
        if video != last:
            yield f"event: video.{video.status}\ndata: {video.model_dump_json(exclude_none=True)}\n\n"
            last = video
        if video.status in (COMPLETED, FAILED):
            return
        await asyncio.sleep(LOOK_SECONDS)
