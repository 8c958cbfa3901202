"""What a finished job is downloaded as: the file, or a thumbnail of it."""

from __future__ import annotations

import secrets
from itertools import islice
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from service.api.state import State, Tenant
from service.errors import Problem
from service.jobs import COMPLETED
from watermark import open_media, write_image

router = APIRouter(prefix="/v1/videos", tags=["videos"])

THUMBNAIL_QUALITY = 90


@router.get(
    "/{video_id}/content",
    response_class=FileResponse,
    responses={200: {"content": {"video/mp4": {"schema": {"type": "string", "format": "binary"}}}}},
)
def content(video_id: str, state: State, tenant: Tenant, variant: str = "video") -> FileResponse:
    """The file itself; `Range` is honoured."""
    job = state.services.jobs.get(tenant, video_id)
    if variant not in ("video", "thumbnail"):
        raise Problem(
            400, "unknown_variant", f"variant {variant[:40]!r}: use video or thumbnail.", param="variant"
        )
    if job.status != COMPLETED:
        raise Problem(
            409, "not_completed", f"The job is {job.status}; its content exists once it is completed."
        )
    result = job.result or {}
    path = state.services.settings.media / result.get("file", "expired")
    if not path.is_file():
        raise Problem(410, "expired", "The file is past its retention; its record can still be verified.")
    if variant == "thumbnail":
        return FileResponse(_thumbnail(path), media_type="image/webp")
    return FileResponse(path, media_type=result["mime"], filename=f"{job.medium.hex}{path.suffix}")


def _thumbnail(path: Path) -> Path:
    """The middle frame of a finished clip at its full size: smaller, it would no longer carry the mark."""
    target = path.with_suffix(".webp")
    if not target.exists():
        media = open_media(path)
        middle = next(islice(media.frames(), media.frame_count // 2, None))
        fresh = target.with_name(f"{secrets.token_hex(8)}.webp")
        write_image(fresh, middle, quality=THUMBNAIL_QUALITY)
        fresh.replace(target)
    return target
