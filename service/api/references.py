"""References of a request: uploaded as a file, sent as a data URL, or named as a video made here."""

from __future__ import annotations

import base64
import binascii
import hashlib
import shutil
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from generator import MediaKind, Reference
from service.api import schemas
from service.api.intake import Incoming
from service.api.uploads import COPY_BYTES, Form
from service.errors import Problem

DATA_URL = "data:image/"

Asked = TypeVar("Asked", bound=BaseModel)


def parse_create(form: Form, folder: Path, limit: int) -> Incoming:
    """The fields of a create request, its reference written to `folder`. Raises `Problem`."""
    asked = parse(schemas.CreateVideo, form, file="input_reference")
    upload = form.files.get("input_reference")
    path = folder / "0"
    if upload is not None:
        save(upload, path, limit, "input_reference")
    elif asked.input_reference is not None:
        data = picture_data(asked.input_reference.image_url or "", limit, "input_reference")
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    else:
        return Incoming(asked)
    reference = Reference(
        path=path, kind=MediaKind.IMAGE, title="input_reference", consents=tuple(asked.consents)
    )
    return Incoming(asked, (reference,), (sha256_of(path),))


def parse(model: type[Asked], form: Form, *, file: str) -> Asked:
    """The fields of a form as `model`; the one field that may be a file is `file`. Raises `Problem` 400."""
    unknown = sorted(set(form.files) - {file})
    if unknown:
        raise Problem(
            400, "unknown_field", f"{unknown[0][:80]}: not a field that takes a file.", param=unknown[0]
        )
    try:
        return model.model_validate(dict(form.fields), context={"form": not form.typed})
    except ValidationError as error:
        raise _invalid(error) from error


def save(upload: UploadFile, path: Path, limit: int, field: str) -> None:
    """Copy an uploaded file to `path`, block by block. Raises `Problem` 413."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("wb") as target:
        while chunk := upload.file.read(COPY_BYTES):
            written += len(chunk)
            if written > limit:
                raise _too_large(field, limit)
            target.write(chunk)


def copy(source: Path, path: Path) -> None:
    """A finished file as a reference of its own: it must outlive the retention of the original."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)


def sha256_of(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def picture_data(url: str, limit: int, field: str) -> bytes:
    """The bytes of a picture's data URL. Raises `Problem` 400 or 413; nothing is fetched."""
    head, comma, text = url.partition(",")
    if not head.startswith(DATA_URL) or not head.endswith(";base64") or not comma:
        raise Problem(
            400,
            "unsupported_reference",
            f"{field}: send the picture as data:image/...;base64,...; nothing is fetched.",
            param=field,
        )
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(400, "bad_data_url", f"{field}: {error}.", param=field) from error
    if len(data) > limit:
        raise _too_large(field, limit)
    return data


def _too_large(field: str, limit: int) -> Problem:
    return Problem(413, "too_large", f"{field} is larger than {limit} bytes.", param=field)


def _invalid(error: ValidationError) -> Problem:
    faults = [(".".join(str(part) for part in fault["loc"]), fault["msg"]) for fault in error.errors()]
    return Problem(
        400, "invalid_request", "; ".join(f"{where}: {what}" for where, what in faults), param=faults[0][0]
    )
