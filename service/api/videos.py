"""`/v1/videos`, as the `openai` SDK speaks it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from generator import MediaKind, Reference, RequestError
from generator import Request as GenerationRequest
from generator.admit import admit
from guard import PolicyViolation
from service.api import schemas
from service.api.state import ApiState, State, Tenant
from service.api.uploads import FORM_OVERHEAD, Form, read_form
from service.errors import Problem
from service.jobs import COMPLETED, FAILED, Job, NewJob
from service.production import reference_reader
from service.wiring import log_decision
from watermark import open_media, write_image

router = APIRouter(prefix="/v1/videos", tags=["videos"])

MODERATION_CODE = "moderation_blocked"
RETRY_WINDOW = timedelta(seconds=120)
"""The SDK repeats a request on its own for at most this long, without saying which one it repeats."""
DATA_URL = "data:image/"
THUMBNAIL_QUALITY = 90
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


@dataclass(frozen=True, slots=True)
class Incoming:
    """A create request, parsed: its fields and the references as files on disk."""

    asked: schemas.CreateVideo
    references: tuple[Reference, ...] = ()
    hashes: tuple[str, ...] = ()
    remixed_from: str | None = None


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
            incoming = await run_in_threadpool(_incoming, form, folder, limit)
        job, new = await run_in_threadpool(_submit, state, tenant, incoming, _Retry.of(request))
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
    return schemas.Video.of(_submit(state, tenant, incoming, _Retry.of(request))[0])


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


@dataclass(frozen=True, slots=True)
class _Retry:
    """What a request says about being a repetition."""

    key: str | None
    automatic: bool

    @classmethod
    def of(cls, request: Request) -> _Retry:
        key = request.headers.get("idempotency-key")
        if key is not None and not 1 <= len(key) <= 255:
            raise Problem(400, "bad_idempotency_key", "Idempotency-Key: use 1 to 255 characters.")
        return cls(key, request.headers.get("x-stainless-retry-count", "0") != "0")


def _incoming(form: Form, folder: Path, limit: int) -> Incoming:
    fields = dict(form.fields)
    upload = form.files.get("input_reference")
    unknown = sorted(set(form.files) - {"input_reference"})
    if unknown:
        raise Problem(
            400, "unknown_field", f"{unknown[0][:80]}: not a field that takes a file.", param=unknown[0]
        )
    try:
        asked = schemas.CreateVideo.model_validate(fields)
    except ValidationError as error:
        raise _invalid(error) from error
    data = _upload(upload, limit) if upload else _linked(asked.input_reference, limit)
    if data is None:
        return Incoming(asked)
    folder.mkdir(parents=True)
    path = folder / "0"
    path.write_bytes(data)
    reference = Reference(
        path=path, kind=MediaKind.IMAGE, title="input_reference", consents=tuple(asked.consents)
    )
    return Incoming(asked, (reference,), (hashlib.sha256(data).hexdigest(),))


def _upload(upload: UploadFile, limit: int) -> bytes:
    data = upload.file.read(limit + 1)
    if len(data) > limit:
        raise Problem(
            413, "too_large", f"input_reference is larger than {limit} bytes.", param="input_reference"
        )
    return data


def _linked(link: schemas.ReferenceLink | None, limit: int) -> bytes | None:
    if link is None:
        return None
    url = link.image_url or ""
    head, comma, text = url.partition(",")
    if not head.startswith(DATA_URL) or not head.endswith(";base64") or not comma:
        raise Problem(
            400,
            "unsupported_reference",
            "input_reference: send the file, or image_url as data:image/...;base64,...; nothing is fetched.",
            param="input_reference",
        )
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Problem(400, "bad_data_url", f"input_reference: {error}.", param="input_reference") from error
    if len(data) > limit:
        raise Problem(
            413, "too_large", f"input_reference is larger than {limit} bytes.", param="input_reference"
        )
    return data


def _invalid(error: ValidationError) -> Problem:
    faults = [(".".join(str(part) for part in fault["loc"]), fault["msg"]) for fault in error.errors()]
    return Problem(
        400, "invalid_request", "; ".join(f"{where}: {what}" for where, what in faults), param=faults[0][0]
    )


def _submit(state: ApiState, tenant: str, incoming: Incoming, retry: _Retry) -> tuple[Job, bool]:
    """Guard, then queue. Raises `Problem`, `RequestError` and what reading a reference raises."""
    services, asked = state.services, incoming.asked
    _check_model(state, asked.model)
    plain = asked.model_dump(exclude={"input_reference", "safety_identifier"})
    digest = _digest(plain, incoming.hashes)
    if retry.automatic and retry.key is None:
        known = services.jobs.recent(tenant, digest, RETRY_WINDOW)
        if known is not None:
            return known, False
    wanted = generation_request(state, tenant, incoming)
    try:
        allowed = admit(
            wanted,
            state.spec,
            state.guard,
            read=reference_reader(state.inspector),
            randbelow=secrets.randbelow,
        )
    except PolicyViolation as violation:
        log_decision(services, violation.decision)
        raise refusal(violation) from violation
    for decision in allowed.decisions:
        log_decision(services, decision)
    return services.jobs.submit(
        NewJob(
            tenant=tenant,
            kind="video",
            model=state.spec.name,
            request=stored_request(allowed.request) | {"remixed_from": incoming.remixed_from},
            digest=digest,
            idempotency_key=retry.key,
            decision_id=allowed.decisions[0].decision_id,
        )
    )


def _check_model(state: ApiState, name: str | None) -> None:
    if name is not None and name != state.spec.name:
        raise Problem(
            400, "model_not_found", f"model {name[:80]!r}: this server runs {state.spec.name}.", param="model"
        )


def _digest(plain: Mapping[str, Any], hashes: tuple[str, ...]) -> str:
    text = json.dumps([plain, hashes], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def generation_request(state: ApiState, tenant: str, incoming: Incoming) -> GenerationRequest:
    """The client's words as the generator's request, with this server's defaults."""
    asked, settings, spec = incoming.asked, state.services.settings, state.spec
    size = asked.size or settings.size
    width, height = (int(side) for side in size.split("x")) if size else (None, None)
    fps = asked.fps or spec.fps
    seconds = asked.seconds or settings.seconds
    frames = asked.frames or (_frames(seconds, fps, spec.frame_step) if seconds and fps else None)
    return GenerationRequest(
        prompt=asked.prompt,
        negative_prompt=asked.negative_prompt,
        width=width,
        height=height,
        frames=frames,
        fps=fps or None,
        seed=asked.seed,
        steps=asked.steps or settings.steps or None,
        guidance=asked.guidance,
        references=incoming.references,
        tenant=tenant,
        purpose=asked.purpose,
    )


def _frames(seconds: float, fps: float, step: int) -> int:
    """The nearest count that the model can make: `step * k + 1`."""
    if seconds * fps > 1e6:
        raise RequestError(f"seconds: {seconds:g} is longer than any model makes")
    return max(0, round((seconds * fps - 1) / step)) * step + 1


def stored_request(request: GenerationRequest) -> dict[str, Any]:
    """A completed request as the job's row keeps it."""
    return {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "width": request.width,
        "height": request.height,
        "frames": request.frames,
        "fps": request.fps,
        "seed": request.seed,
        "steps": request.steps,
        "guidance": request.guidance,
        "purpose": request.purpose,
        "format": request.format,
        "references": [
            {"path": str(given.path), "kind": given.kind, "title": given.title}
            for given in request.references
        ],
    }


def refusal(violation: PolicyViolation) -> Problem:
    """What the client is told: the stable reason and the policy's words, nothing that helps to probe it."""
    decision = violation.decision
    extra: dict[str, object] = {"decision_id": decision.decision_id}
    hint = decision.user_hint()
    if hint is not None:
        extra["hint"] = dict(zip(("field", "start", "end"), hint, strict=True))
    return Problem(
        400,
        decision.reason,
        decision.user_text(),
        stage="guard",
        code=MODERATION_CODE,
        param="prompt",
        extra=extra,
    )
