"""`/v1/images`, as the `openai` SDK speaks it. A picture is a job like a clip; the answer waits for it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.concurrency import run_in_threadpool

from generator import MediaFormat, MediaKind, Reference
from service.api import schemas
from service.api.content import CONTENT_DOCS, deliver, downloaded_image, finished, signed_link
from service.api.forms import form_docs
from service.api.intake import MODERATION_CODE, Incoming, Retry, submit
from service.api.references import parse, save, sha256_of
from service.api.state import ApiState, State, Tenant
from service.api.uploads import FORM_OVERHEAD, Form, read_form
from service.errors import Problem
from service.jobs import COMPLETED, FAILED, Job

router = APIRouter(prefix="/v1/images", tags=["images"])

WAIT_SECONDS = 600.0
"""As long as the SDK waits for an answer."""
LOOK_SECONDS = 0.25
MOST = 10
"""Pictures of one request, as in the SDK."""
EFFORT = {"low": 0.5, "medium": 1.0, "standard": 1.0, "high": 2.0, "hd": 2.0}
"""Quality as a factor of the sampling steps."""


class CreateImage(BaseModel):
    """What `POST /v1/images/generations` takes. An unknown field is an error.

    `partial_images` and `stream` are refused: a picture that is not finished carries no mark.
    """

    model_config = ConfigDict(extra="forbid")
    prompt: Annotated[str, StringConstraints(min_length=1)]
    model: str | None = None
    n: schemas.Whole = Field(default=1, ge=1, le=MOST)
    size: schemas.Size | Literal["auto"] = "auto"
    quality: Literal["auto", "low", "medium", "standard", "high", "hd"] = "auto"
    output_format: Literal["png", "jpeg", "webp", "avif"] = "png"
    response_format: Literal["b64_json", "url"] = "b64_json"
    background: Literal["auto", "opaque"] = "auto"
    moderation: Literal["auto"] = "auto"
    negative_prompt: str = ""
    seed: schemas.Whole | None = Field(default=None, ge=0, lt=2**62)
    steps: schemas.Whole | None = Field(default=None, ge=1)
    guidance: schemas.Real | None = Field(default=None, ge=0)
    purpose: str = "generate"
    consents: list[str] = Field(default=[], max_length=16)
    user: str | None = Field(default=None, max_length=200)
    safety_identifier: str | None = Field(default=None, max_length=200)


class EditImage(CreateImage):
    """What `POST /v1/images/edits` takes besides the file `image`."""


class Picture(BaseModel):
    """One picture: its bytes or its address, and what it can be proved by."""

    b64_json: str | None = None
    url: str | None = None
    provenance: schemas.Provenance


class Pictures(BaseModel):
    """The SDK's `ImagesResponse`."""

    created: int
    data: list[Picture]
    background: Literal["opaque"] = "opaque"
    output_format: str
    size: str


@router.post("/generations", response_model_exclude_none=True)
async def generate(asked: CreateImage, request: Request, state: State, tenant: Tenant) -> Pictures:
    """Make pictures and wait for them."""
    return await _make(request, state, tenant, asked, Incoming(_wanted(state, asked)))


@router.post(
    "/edits",
    response_model=Pictures,
    response_model_exclude_none=True,
    openapi_extra=form_docs(EditImage, "image"),
)
async def edit(request: Request, state: State, tenant: Tenant) -> Pictures:
    """Make a picture from a picture, with a model that takes one."""
    limit = state.services.settings.reference_max_bytes + FORM_OVERHEAD
    folder = state.services.settings.references / f"image-{time.monotonic_ns():x}"
    async with read_form(request, limit=limit, part_limit=FORM_OVERHEAD) as form:
        asked, incoming = await run_in_threadpool(_edit, state, form, folder)
    try:
        return await _make(request, state, tenant, asked, incoming)
    except BaseException:  # the references of jobs that ran are gone with them; these never started
        shutil.rmtree(folder, ignore_errors=True)
        raise


@router.get("/{image_id}/content", response_class=FileResponse, responses=CONTENT_DOCS)
def content(request: Request, state: State, job: Annotated[Job, Depends(downloaded_image)]) -> Response:
    """The file of one picture."""
    return deliver(request, state, finished(state, job))


def _edit(state: ApiState, form: Form, folder: Path) -> tuple[EditImage, Incoming]:
    files = {name.removesuffix("[]"): upload for name, upload in form.files.items()}
    asked = parse(EditImage, replace(form, files=files), file="image")
    if "image" not in files:
        raise Problem(400, "no_file", "Send the picture as the multipart field `image`.", param="image")
    if MediaKind.IMAGE not in state.spec.takes:
        raise Problem(
            400, "unsupported_by_model", f"{state.spec.name} takes no picture to start from.", param="image"
        )
    save(files["image"], folder / "0", state.services.settings.reference_max_bytes, "image")
    given = Reference(path=folder / "0", kind=MediaKind.IMAGE, title="image", consents=tuple(asked.consents))
    return asked, Incoming(_wanted(state, asked), (given,), (sha256_of(given.path),))


def _wanted(state: ApiState, asked: CreateImage) -> schemas.CreateVideo:
    usual = asked.steps or state.services.settings.steps or state.spec.steps
    steps = max(1, round(usual * EFFORT.get(asked.quality, 1.0)))
    return schemas.CreateVideo(
        prompt=asked.prompt,
        model=asked.model,
        size=None if asked.size == "auto" else asked.size,
        negative_prompt=asked.negative_prompt,
        seed=asked.seed,
        steps=steps,
        guidance=asked.guidance,
        frames=1,
        purpose=asked.purpose,
        consents=asked.consents,
    )


async def _make(
    request: Request, state: ApiState, tenant: str, asked: CreateImage, incoming: Incoming
) -> Pictures:
    picture = replace(incoming, kind="image", format=MediaFormat(asked.output_format))
    retry = Retry.of(request, state.services.clock())
    jobs = [
        await run_in_threadpool(submit, state, tenant, _numbered(picture, at), _numbered_retry(retry, at))
        for at in range(asked.n)
    ]
    done = await _wait(request, state, tenant, [job for job, _ in jobs])
    data = [await run_in_threadpool(_answer, request, state, job, asked.response_format) for job in done]
    first = done[0].request
    return Pictures(
        created=int(done[0].created_at.timestamp()),
        data=data,
        output_format=asked.output_format,
        size=f"{first['width']}x{first['height']}",
    )


def _numbered(incoming: Incoming, at: int) -> Incoming:
    """The same request as its picture number `at`: another seed, and another job."""
    if at == 0:
        return incoming
    seed = None if incoming.asked.seed is None else incoming.asked.seed + at
    asked = incoming.asked.model_copy(update={"seed": seed})
    return replace(incoming, asked=asked, hashes=(*incoming.hashes, f"picture {at}"))


def _numbered_retry(retry: Retry, at: int) -> Retry:
    if at == 0 or retry.key is None:
        return retry
    return replace(retry, key=f"{hashlib.sha256(retry.key.encode()).hexdigest()}/{at}")


async def _wait(request: Request, state: ApiState, tenant: str, jobs: list[Job]) -> list[Job]:
    """Wait until every job has ended. Raises `Problem` for the first that failed, and when time is up; a
    client that goes away takes its jobs back."""
    store, end = state.services.jobs, time.monotonic() + WAIT_SECONDS
    while True:
        jobs = [await run_in_threadpool(store.get, tenant, job.id) for job in jobs]
        if all(job.status in (COMPLETED, FAILED) for job in jobs):
            break
        gone = await request.is_disconnected()
        if gone or time.monotonic() > end:
            for job in jobs:
                await run_in_threadpool(store.cancel, tenant, job.id)
            raise Problem(503, "too_slow", "The pictures were not ready in time; try again.", retry=True)
        await asyncio.sleep(LOOK_SECONDS)
    for job in jobs:
        if job.status == FAILED:
            raise _failure(job)
    return jobs


def _failure(job: Job) -> Problem:
    reason = job.error_code or "failed"
    status = 400 if reason == MODERATION_CODE else 500
    return Problem(status, reason, job.error_message or "The picture could not be made.", stage="generate")


def _answer(request: Request, state: ApiState, job: Job, form: str) -> Picture:
    result: dict[str, Any] = job.result or {}
    proof = schemas.Provenance(**result["provenance"])
    if form == "url":
        link = signed_link(request, state, job, f"/v1/images/{job.id}/content", "image")
        return Picture(url=link.url, provenance=proof)
    file = finished(state, job)
    data = b"".join(state.services.media.read(file.name, 0, int(result["bytes"])))
    return Picture(b64_json=base64.b64encode(data).decode("ascii"), provenance=proof)
