"""What a finished job is downloaded as: the file, a still of it, or a sheet of stills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse

from service.api.state import ApiState, State, Tenant
from service.api.stills import spritesheet, thumbnail
from service.errors import Problem
from service.jobs import COMPLETED, Job

router = APIRouter(prefix="/v1/videos", tags=["videos"])

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_CONTENT_DOCS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"video/mp4": _BINARY, "image/webp": _BINARY}},
    206: {"description": "The part that Range asks for.", "content": {"video/mp4": _BINARY}},
}


@router.get("/{video_id}/content", response_class=FileResponse, responses=_CONTENT_DOCS)
def content(video_id: str, state: State, tenant: Tenant, variant: str = "video") -> FileResponse:
    """The file itself, where `Range` is honoured, or a `thumbnail` or `spritesheet` with its mark."""
    job = state.services.jobs.get(tenant, video_id)
    if variant not in ("video", "thumbnail", "spritesheet"):
        raise Problem(
            400,
            "unknown_variant",
            f"variant {variant[:40]!r}: use video, thumbnail or spritesheet.",
            param="variant",
        )
    path = finished_file(state, job)
    if variant == "thumbnail":
        return FileResponse(thumbnail(path), media_type="image/webp")
    if variant == "spritesheet":
        return FileResponse(spritesheet(path, job.medium, state.services), media_type="image/webp")
    mime = (job.result or {})["mime"]
    return FileResponse(path, media_type=mime, filename=f"{job.medium.hex}{path.suffix}")


def finished_file(state: ApiState, job: Job) -> Path:
    """The released file of a job. Raises `Problem` 409 while there is none, 410 when it is gone."""
    if job.status != COMPLETED:
        raise Problem(
            409, "not_completed", f"The job is {job.status}; its content exists once it is completed."
        )
    path = state.services.settings.media / str((job.result or {}).get("file", "expired"))
    if not path.is_file():
        raise Problem(410, "expired", "The file is past its retention; its record can still be verified.")
    return path
