"""References of a request: uploaded as a file, or sent as a data URL."""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path

from pydantic import ValidationError
from starlette.datastructures import UploadFile

from generator import MediaKind, Reference
from service.api import schemas
from service.api.intake import Incoming
from service.api.uploads import Form
from service.errors import Problem

DATA_URL = "data:image/"


def parse_create(form: Form, folder: Path, limit: int) -> Incoming:
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
