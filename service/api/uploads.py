"""Request bodies within limits: counted as they arrive, files streamed to disk, forms un-bracketed."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message

from service.errors import Problem

MIB = 2**20
COPY_BYTES = MIB
FORM_OVERHEAD = MIB
"""Room for the part headers and the text fields around one file."""
MAX_FIELDS = 100
MAX_DEPTH = 4
"""Brackets in a form key: a[b][c][] is the deepest that a client sends."""
LINGER_SECONDS = 10.0
LINGER_BYTES = 4 * 2**30
"""A refused body is read and dropped up to here: closing the connection on a client that still sends
makes its kernel throw the answer away."""


@dataclass(frozen=True, slots=True)
class Form:
    """Fields, un-bracketed, and files by name. `typed`: the fields are JSON's, not text."""

    fields: Mapping[str, Any]
    files: Mapping[str, UploadFile] = field(default_factory=dict)
    typed: bool = False


def bounded(request: Request, limit: int) -> Request:
    """The same request, whose body ends in `Problem` 413 when it is longer than `limit` bytes."""
    declared = request.headers.get("content-length", "")
    count = int(declared) if declared.isdigit() else 0
    read = 0

    async def receive() -> Message:
        nonlocal read
        if count > limit:
            await _refuse(request, limit)
        message = await request.receive()
        read += len(message.get("body", b""))
        if read > limit:
            await _refuse(request, limit)
        return message

    return Request(request.scope, receive)


async def _refuse(request: Request, limit: int) -> None:
    if request.headers.get("expect", "").lower() != "100-continue":
        await _drain(request)
    raise Problem(413, "too_large", f"The request is larger than {limit} bytes.", stage="upload")


async def _drain(request: Request) -> None:
    end, left = time.monotonic() + LINGER_SECONDS, LINGER_BYTES
    while left > 0 and (wait := end - time.monotonic()) > 0:
        try:
            message = await asyncio.wait_for(request.receive(), wait)
        except TimeoutError:
            return
        left -= len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return


@asynccontextmanager
async def read_form(request: Request, *, limit: int, part_limit: int) -> AsyncIterator[Form]:
    """A JSON, multipart or urlencoded body of at most `limit` bytes, text fields of at most `part_limit`.

    Raises `Problem` 400, 413 or 415.
    """
    inner = bounded(request, limit)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        yield Form(await _json(inner), typed=True)
    elif kind in {"multipart/form-data", "application/x-www-form-urlencoded"}:
        try:
            form = await inner.form(max_files=MAX_FIELDS, max_fields=MAX_FIELDS, max_part_size=part_limit)
        except HTTPException as error:
            raise Problem(
                400, "bad_form", f"The form cannot be read: {error.detail}", stage="upload"
            ) from error
        except ClientDisconnect as error:
            raise Problem(400, "truncated", "The connection ended in the middle of the form.") from error
        try:
            items = form.multi_items()
            texts = [(key, value) for key, value in items if isinstance(value, str)]
            files = {key: value for key, value in items if isinstance(value, UploadFile)}
            if len(texts) + len(files) < len(items):
                raise Problem(400, "bad_form", "A file field was sent more than once; one file is taken.")
            yield Form(unbracket(texts), files)
        finally:
            await form.close()
    else:
        shown = kind[:80] or "no content type"
        raise Problem(415, "unsupported_type", f"{shown}: send multipart/form-data or application/json.")


async def _json(request: Request) -> Mapping[str, Any]:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise Problem(400, "bad_json", f"The body is not JSON: {str(error)[:200]}") from error
    if not isinstance(body, dict):
        raise Problem(400, "bad_json", "The body is JSON but no object.")
    return body


def unbracket(items: list[tuple[str, str]]) -> dict[str, Any]:
    """`a[b]=1`, `c[]=2` -> `{"a": {"b": "1"}, "c": ["2"]}`, as `openai` clients flatten them.

    Raises `Problem` 400 for a key that contradicts another one.
    """
    whole: dict[str, Any] = {}
    for key, value in items:
        name, _, rest = key.partition("[")
        path = [name, *re.findall(r"([^\[\]]*)\]", rest)]
        if len(path) > MAX_DEPTH:
            raise Problem(400, "bad_form", f"{key[:80]}: too many brackets.", param=name)
        try:
            _place(whole, path, value)
        except (TypeError, AttributeError) as error:
            raise Problem(
                400, "bad_form", f"{key[:80]}: given as a value and as a group.", param=name
            ) from error
    return whole


def _place(target: Any, path: list[str], value: str) -> None:
    head, *tail = path
    if not tail:
        target[head] = value
    elif tail == [""]:
        target.setdefault(head, []).append(value)
    elif tail[0] == "":  # a list of objects: a key that repeats starts the next object
        group = target.setdefault(head, [])
        if not group or tail[1] in group[-1]:
            group.append({})
        _place(group[-1], tail[1:], value)
    else:
        _place(target.setdefault(head, {}), tail, value)


@asynccontextmanager
async def save_body(request: Request, folder: Path, *, limit: int) -> AsyncIterator[Path]:
    """The body itself as a file in `folder`, removed afterwards. Raises `Problem` 400 or 413."""
    with NamedTemporaryFile(dir=folder, prefix="upload-") as file:
        try:
            async for chunk in bounded(request, limit).stream():
                await run_in_threadpool(file.write, chunk)
        except ClientDisconnect as error:
            raise Problem(400, "truncated", "The connection ended in the middle of the upload.") from error
        file.flush()
        yield Path(file.name)


@asynccontextmanager
async def save_upload(upload: UploadFile, folder: Path, *, limit: int) -> AsyncIterator[Path]:
    """One file of a form as a file in `folder`, removed afterwards. Raises `Problem` 413."""
    with NamedTemporaryFile(dir=folder, prefix="upload-") as file:
        written = 0
        while chunk := await upload.read(COPY_BYTES):
            written += len(chunk)
            if written > limit:
                raise Problem(413, "too_large", f"The file is larger than {limit} bytes.", stage="upload")
            await run_in_threadpool(file.write, chunk)
        file.flush()
        yield Path(file.name)
