"""`/v1/videos/characters`: a clip of somebody or something, kept as a reference for later requests."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from generator import MediaKind, Reference
from guard import GuardRequest, Picture, PolicyViolation, Stage, Text
from service.api import schemas
from service.api.forms import form_docs
from service.api.intake import refusal
from service.api.references import copy, parse, save
from service.api.state import ApiState, State, Tenant
from service.api.uploads import FORM_OVERHEAD, Form, read_form
from service.errors import Problem
from service.production import reference_reader
from service.store.characters import StoredCharacter
from service.wiring import log_decision

router = APIRouter(prefix="/v1/videos/characters", tags=["videos"])

MOST_FRAMES = 64
"""What the guard looks at of a character's clip; each use of it is read again in full."""


@router.post("", response_model=schemas.Character, openapi_extra=form_docs(schemas.CreateCharacter, "video"))
async def create(request: Request, state: State, tenant: Tenant) -> schemas.Character:
    """Keep a clip, after the guard has looked at it: a face needs consent."""
    limit = state.services.settings.upload_max_bytes
    async with read_form(request, limit=limit + FORM_OVERHEAD, part_limit=FORM_OVERHEAD) as form:
        return await run_in_threadpool(_create, state, tenant, form, limit)


@router.get("/{character_id}")
def retrieve(character_id: str, state: State, tenant: Tenant) -> schemas.Character:
    """One character."""
    return _shown(find(state, tenant, character_id))


@router.delete("/{character_id}")
def delete(character_id: str, state: State, tenant: Tenant) -> schemas.DeletedCharacter:
    """Forget a character and its clip."""
    found = find(state, tenant, character_id)
    state.services.characters.delete(tenant, character_id)
    shutil.rmtree(Path(found.path).parent, ignore_errors=True)
    return schemas.DeletedCharacter(id=character_id)


def find(state: ApiState, tenant: str, character_id: str) -> StoredCharacter:
    """A character of the tenant. Raises `Problem` 404."""
    found = state.services.characters.find(tenant, character_id)
    if found is None:
        raise Problem(404, "not_found", f"There is no character {character_id[:80]!r}.", param="character_id")
    return found


def references(
    state: ApiState, tenant: str, links: Sequence[schemas.CharacterLink], folder: Path
) -> tuple[Reference, ...]:
    """Copies of the characters' clips in `folder`, which belong to the job. Raises `Problem` 404."""
    found = [find(state, tenant, link.id) for link in links]
    for index, character in enumerate(found):
        copy(Path(character.path), folder / f"character-{index}")
    return tuple(
        Reference(
            path=folder / f"character-{index}",
            kind=MediaKind.VIDEO,
            title=character.name,
            consents=character.consents,
        )
        for index, character in enumerate(found)
    )


def _create(state: ApiState, tenant: str, form: Form, limit: int) -> schemas.Character:
    asked = parse(schemas.CreateCharacter, form, file="video")
    if "video" not in form.files:
        raise Problem(400, "no_video", "Send the clip as the file `video`.", param="video")
    character_id = f"char_{secrets.token_hex(16)}"
    path = state.services.settings.characters / character_id / "0"
    try:
        save(form.files["video"], path, limit, "video")
        _enforce(state, tenant, asked, path)
    except BaseException:
        shutil.rmtree(path.parent, ignore_errors=True)
        raise
    return _shown(
        state.services.characters.add(
            tenant, character_id, name=asked.name, path=str(path), consents=asked.consents
        )
    )


def _enforce(state: ApiState, tenant: str, asked: schemas.CreateCharacter, path: Path) -> None:
    given = Reference(path=path, kind=MediaKind.VIDEO, title=asked.name, consents=tuple(asked.consents))
    seen = reference_reader(state.inspector)(given, MOST_FRAMES)
    pictures = tuple(Picture("character", frame, seen.sha256, given.consents) for frame in seen.frames)
    wanted = (
        GuardRequest(Stage.PROMPT, (Text("name", asked.name),), tenant=tenant),
        GuardRequest(Stage.REFERENCE, (), pictures, tenant=tenant),
    )
    for request in wanted:
        try:
            log_decision(state.services, state.guard.enforce(request))
        except PolicyViolation as violation:
            log_decision(state.services, violation.decision)
            raise refusal(violation) from violation


def _shown(character: StoredCharacter) -> schemas.Character:
    return schemas.Character(
        id=character.id, name=character.name, created_at=int(character.created_at.timestamp())
    )
