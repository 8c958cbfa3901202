"""What a finished job is downloaded as: the file, a still of it, or a sheet of stills; by key or by link."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from service.api.state import ApiState, State, Tenant, generating_tenant, note
from service.api.stills import spritesheet, thumbnail
from service.errors import Problem
from service.jobs import COMPLETED, Job
from service.links import LONGEST_SECONDS

router = APIRouter(prefix="/v1/videos", tags=["videos"])

VARIANTS = ("video", "thumbnail", "spritesheet")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_BINARY = {"schema": {"type": "string", "format": "binary"}}
CONTENT_DOCS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"video/mp4": _BINARY, "image/webp": _BINARY}},
    206: {"description": "The part that Range asks for.", "content": {"video/mp4": _BINARY}},
    307: {"description": "Where the bucket gives the file, if ASSAY_MEDIA_REDIRECT is set."},
}

Expires = Annotated[int | None, Query(ge=0, le=2**53, description="Of a signed link.")]
Signature = Annotated[str | None, Query(max_length=64, description="Of a signed link.")]


class AskLink(BaseModel):
    """What a link is asked for: the variant, and for how many seconds."""

    model_config = ConfigDict(extra="forbid")
    variant: Literal["video", "thumbnail", "spritesheet"] = "video"
    seconds: Annotated[int, Field(ge=1, le=LONGEST_SECONDS)] | None = None


class DownloadLink(BaseModel):
    """An address at which anybody gets the file until `expires_at`, a Unix time."""

    object: Literal["download_link"] = "download_link"
    url: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A released file: its name in the store, its type, and what a browser saves it as."""

    name: str
    mime: str
    saved_as: str


@router.post("/{video_id}/links")
def link(video_id: str, asked: AskLink, request: Request, state: State, tenant: Tenant) -> DownloadLink:
    """A download link that needs no API key, for a player or a user. It ends with the file at the latest."""
    job = state.services.jobs.get(tenant, video_id)
    finished(state, job)
    note(request, tenant, "video.link", job.id)
    path = f"/v1/videos/{job.id}/content"
    return signed_link(request, state, job, path, asked.variant, asked.seconds)


async def downloaded(
    request: Request,
    video_id: str,
    state: State,
    variant: str = "video",
    expires: Expires = None,
    signature: Signature = None,
) -> Job:
    """The job whose content is asked for, by the key of its tenant or by a signed link. Raises `Problem`."""
    return await _allowed(request, state, video_id, variant, expires, signature)


async def downloaded_image(
    request: Request, image_id: str, state: State, expires: Expires = None, signature: Signature = None
) -> Job:
    """As `downloaded`, of a picture."""
    return await _allowed(request, state, image_id, "image", expires, signature)


async def _allowed(
    request: Request, state: ApiState, job_id: str, variant: str, expires: int | None, signature: str | None
) -> Job:
    if signature is None:
        return state.services.jobs.get(await generating_tenant(request), job_id)
    job = state.services.jobs.anybodys(job_id)
    if job is None or expires is None or not state.links.holds(job_id, variant, expires, signature):
        raise Problem(
            403, "bad_link", "The link is not one of this service, or it has run out.", stage="authenticate"
        )
    return job


@router.get("/{video_id}/content", response_class=FileResponse, responses=CONTENT_DOCS)
def content(
    request: Request, state: State, job: Annotated[Job, Depends(downloaded)], variant: str = "video"
) -> Response:
    """The file itself, where `Range` is honoured, or a `thumbnail` or `spritesheet` with its mark."""
    if variant not in VARIANTS:
        raise Problem(
            400,
            "unknown_variant",
            f"variant {variant[:40]!r}: use video, thumbnail or spritesheet.",
            param="variant",
        )
    made = finished(state, job)
    return deliver(request, state, made if variant == "video" else _still(state, job, made, variant))


def finished(state: ApiState, job: Job) -> Stored:
    """The released file of a job. Raises `Problem` 409 while there is none, 410 when it is gone."""
    if job.status != COMPLETED:
        raise Problem(
            409, "not_completed", f"The job is {job.status}; its content exists once it is completed."
        )
    result = job.result or {}
    if not result or state.services.media.size(result["file"]) is None:
        raise Problem(410, "expired", "The file is past its retention; its record can still be verified.")
    name = str(result["file"])
    return Stored(name, str(result["mime"]), f"{job.medium.hex}{PurePosixPath(name).suffix}")


def deliver(request: Request, state: ApiState, file: Stored) -> Response:
    """Send a file: from the folder, by the bucket's own address if the settings say so, or through here."""
    media, settings = state.services.media, state.services.settings
    if media.folder is not None:
        return FileResponse(media.folder / file.name, media_type=file.mime, filename=file.saved_as)
    address = (
        media.link(file.name, settings.link_seconds, filename=file.saved_as)
        if settings.media_redirect
        else None
    )
    if address is not None:
        return RedirectResponse(address, headers={"cache-control": "no-store"})
    size = media.size(file.name) or 0
    given = request.headers.get("range")
    start, end = byte_range(given, size) if given else (0, size)
    headers = {
        "accept-ranges": "bytes",
        "content-length": str(end - start),
        "content-disposition": f'attachment; filename="{file.saved_as}"',
    }
    if (start, end) != (0, size):
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    status = 206 if "content-range" in headers else 200
    return StreamingResponse(media.read(file.name, start, end), status, headers, media_type=file.mime)


def byte_range(header: str, size: int) -> tuple[int, int]:
    """First byte and end of the one range asked for (RFC 9110, 14); several are answered with the whole.

    Raises `Problem` 416.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or not any(match.groups()):
        return 0, size
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= end:
        raise Problem(
            416,
            "bad_range",
            f"The file has {size} bytes; the range is outside of it.",
            headers={"content-range": f"bytes */{size}"},
        )
    return start, end


def signed_link(
    request: Request, state: ApiState, job: Job, path: str, variant: str, seconds: int | None = None
) -> DownloadLink:
    """A link to `path` of this service, no longer valid than the file is kept."""
    services = state.services
    end = int(services.clock().timestamp()) + (seconds or services.settings.link_seconds)
    if job.expires_at is not None:
        end = min(end, int(job.expires_at.timestamp()))
    query = f"expires={end}&signature={state.links.sign(job.id, variant, end)}"
    if variant in VARIANTS:
        query = f"variant={variant}&{query}"
    base = services.settings.public_url or str(request.base_url)
    return DownloadLink(url=f"{base.rstrip('/')}{path}?{query}", expires_at=end)


def _still(state: ApiState, job: Job, made: Stored, variant: str) -> Stored:
    """The still of a clip, made at its first download and kept beside the clip."""
    media, clip = state.services.media, PurePosixPath(made.name)
    still = Stored(str(clip.with_name(f"{clip.stem}-{variant}.webp")), "image/webp", f"{variant}.webp")
    if media.size(still.name) is None:
        with (
            tempfile.TemporaryDirectory(dir=state.services.settings.making) as folder,
            media.local(made.name) as path,
        ):
            target = Path(folder) / "still.webp"
            if variant == "thumbnail":
                thumbnail(path, target)
            else:
                spritesheet(path, target, job.medium, state.services)
            media.keep(target, still.name)
    return still
