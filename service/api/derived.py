"""Videos made from videos: remix, edit, extension. The guard reads them like any other request."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response

from generator import MediaKind, Reference
from service.api import schemas
from service.api.content import finished
from service.api.forms import form_docs
from service.api.intake import Incoming, Retry, submit, take
from service.api.references import parse, save, sha256_of
from service.api.state import ApiState, State, Tenant
from service.api.uploads import Form
from service.errors import Problem
from service.jobs import Job
from watermark import write_image

router = APIRouter(prefix="/v1/videos", tags=["videos"])


@router.post("/{video_id}/remix", response_model_exclude_none=True)
def remix(
    video_id: str, asked: schemas.RemixVideo, request: Request, state: State, tenant: Tenant
) -> schemas.Video:
    """The same seed, size and length with another prompt."""
    source = state.services.jobs.get(tenant, video_id)
    incoming = Incoming(_again(source, asked.prompt), origin={"remixed_from": video_id})
    return schemas.Video.of(submit(state, tenant, incoming, Retry.of(request, state.services.clock()))[0])


@router.post(
    "/edits",
    response_model=schemas.Video,
    response_model_exclude_none=True,
    openapi_extra=form_docs(schemas.EditVideo, "video"),
)
async def edit(request: Request, response: Response, state: State, tenant: Tenant) -> schemas.Video:
    """Make a video again as the prompt says.

    A model that takes a video starts from it. With one that does not, a video made here is made again from
    its seed, at its size and length, as in a remix; an uploaded one is refused.
    """
    limit = state.services.settings.upload_max_bytes
    return await take(request, response, state, tenant, _edit, limit=limit)


@router.post(
    "/extensions",
    response_model=schemas.Video,
    response_model_exclude_none=True,
    openapi_extra=form_docs(schemas.ExtendVideo, "video"),
)
async def extend(request: Request, response: Response, state: State, tenant: Tenant) -> schemas.Video:
    """Make what follows a video: a clip of its own that begins with the video's last picture.

    Needs a model that takes a picture.
    """
    limit = state.services.settings.upload_max_bytes
    return await take(request, response, state, tenant, _extend, limit=limit)


def _edit(state: ApiState, tenant: str, form: Form, folder: Path) -> Incoming:
    asked = parse(schemas.EditVideo, form, file="video")
    source = _source(state, tenant, form, asked)
    origin = {} if source is None else {"edited_from": source.id}
    wanted = _wanted(asked, source)
    if MediaKind.VIDEO not in state.spec.takes:
        if source is None:
            raise _unsupported(state, "no video; name a video made here as video[id]")
        finished(state, source)  # an edit is of a finished video, whatever it is made from
        return Incoming(wanted, origin=origin)
    path = _fetch(state, source, form, folder / "0")
    reference = Reference(
        path=path, kind=MediaKind.VIDEO, title="edited video", consents=tuple(asked.consents)
    )
    return Incoming(wanted, (reference,), (sha256_of(path),), origin)


def _extend(state: ApiState, tenant: str, form: Form, folder: Path) -> Incoming:
    asked = parse(schemas.ExtendVideo, form, file="video")
    source = _source(state, tenant, form, asked)
    if MediaKind.IMAGE not in state.spec.takes:
        raise _unsupported(state, "no picture to go on from")
    path = _fetch(state, source, form, folder / "source")
    last = folder / "0.png"
    write_image(last, state.inspector.last_picture(path))
    path.unlink()
    wanted = _wanted(asked, source).model_copy(update={"seconds": asked.seconds, "frames": None})
    reference = Reference(
        path=last, kind=MediaKind.IMAGE, title="last picture", consents=tuple(asked.consents)
    )
    origin = {} if source is None else {"extended_from": source.id}
    return Incoming(wanted, (reference,), (sha256_of(last),), origin)


def _source(state: ApiState, tenant: str, form: Form, asked: schemas.EditVideo) -> Job | None:
    """The job that `video[id]` names; None when a file was sent."""
    if (asked.video is None) == ("video" not in form.files):
        raise Problem(
            400, "no_video", "Send the video as a file, or name one made here as video[id].", param="video"
        )
    return None if asked.video is None else state.services.jobs.get(tenant, asked.video.id)


def _fetch(state: ApiState, source: Job | None, form: Form, path: Path) -> Path:
    if source is None:
        save(form.files["video"], path, state.services.settings.upload_max_bytes, "video")
    else:
        state.services.media.fetch(finished(state, source).name, path)
    return path


def _wanted(asked: schemas.EditVideo, source: Job | None) -> schemas.CreateVideo:
    """The fields given, and for the rest those of the source."""
    given = asked.model_dump(exclude={"video", "seconds"}, exclude_unset=True)
    if source is None:
        return schemas.CreateVideo(**given)
    return _again(source, asked.prompt).model_copy(update=given)


def _again(source: Job, prompt: str) -> schemas.CreateVideo:
    made = source.request
    return schemas.CreateVideo(
        prompt=prompt,
        negative_prompt=made["negative_prompt"],
        size=f"{made['width']}x{made['height']}",
        seed=made["seed"],
        steps=made["steps"],
        guidance=made["guidance"],
        fps=made["fps"],
        frames=made["frames"],
        codec=made.get("codec"),
        purpose=made["purpose"],
    )


def _unsupported(state: ApiState, what: str) -> Problem:
    return Problem(400, "unsupported_by_model", f"video: {state.spec.name} takes {what}.", param="video")
