"""The verify page: static files without build step or external asset."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Response

from service.errors import Problem

router = APIRouter(include_in_schema=False)
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_FILES = {path.name: path.read_bytes() for path in (files("service") / "web").iterdir() if path.is_file()}


@router.get("/")
async def index() -> Response:
    """The page."""
    return await asset("index.html")


@router.get("/web/{name}")
async def asset(name: str) -> Response:
    """One of its files."""
    suffix = name[name.rfind(".") :]
    if name not in _FILES or suffix not in _TYPES:
        raise Problem(404, "not_found", f"There is no page {name[:80]!r}.")
    return Response(
        _FILES[name], media_type=f"{_TYPES[suffix]}; charset=utf-8", headers={"cache-control": "no-cache"}
    )
