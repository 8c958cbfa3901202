"""The pages: static files without build step or external asset. Every word comes from `strings.json`."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from importlib.resources import files

from fastapi import APIRouter, Response

from service.errors import ConfigurationError, Problem

router = APIRouter(include_in_schema=False)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PLACE = re.compile(r"\{\{([a-z_.]+)\}\}")
STRINGS = "strings.json"


def fill(page: str, strings: Mapping[str, str]) -> str:
    """Put the strings, escaped, into the places `{{name}}` of `page`. Raises `ConfigurationError` for a name
    that `strings` lacks."""

    def text(place: re.Match[str]) -> str:
        if place[1] not in strings:
            raise ConfigurationError(f"{STRINGS} has no {place[1]!r}, which a page asks for")
        return html.escape(strings[place[1]])

    return _PLACE.sub(text, page)


def _load() -> dict[str, bytes]:
    folder = files("service") / "web"
    strings: dict[str, str] = json.loads((folder / STRINGS).read_text("utf-8"))
    pages = {path.name: path.read_bytes() for path in folder.iterdir() if path.name.endswith(tuple(_TYPES))}
    for name in pages:
        if name.endswith(".html"):
            pages[name] = fill(pages[name].decode(), strings).encode()
    # A module, not JSON: browsers of the last years all import modules, JSON only the newest.
    pages["strings.js"] = f"export default {json.dumps(strings, ensure_ascii=False)};\n".encode()
    return pages


_FILES = _load()


@router.get("/")
async def index() -> Response:
    """The verify page."""
    return await asset("index.html")


@router.get("/operators")
async def operators() -> Response:
    """The operators' page. It shows nothing before an administrator's key is given."""
    return await asset("operators.html")


@router.get("/web/{name}")
async def asset(name: str) -> Response:
    """One of their files."""
    if name not in _FILES:
        raise Problem(404, "not_found", f"There is no page {name[:80]!r}.")
    suffix = name[name.rfind(".") :]
    return Response(_FILES[name], media_type=_TYPES[suffix], headers={"cache-control": "no-cache"})
