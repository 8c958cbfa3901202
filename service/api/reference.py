"""The API reference, written from the OpenAPI document: `python -m service.api.reference docs/api.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI

from service.api.app import create_app
from service.api.state import ApiState

HEAD = """# API reference

Written from the service's OpenAPI document (`GET /openapi.json`) by
`python -m service.api.reference docs/api.md`; do not edit. Keys, limits and errors:
[operators' guide](guide/operators.md). Errors are `application/problem+json` (RFC 9457) with `reason`,
`stage` and the SDK's `error`; `x-should-retry: false` says that sending the same again changes nothing.
"""
METHODS = ("get", "post", "put", "patch", "delete")


def reference(app: FastAPI) -> str:
    """The whole reference as Markdown, one section per tag, in the order of the routes."""
    document = app.openapi()
    sections: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method in METHODS:
            if operation := methods.get(method):
                tag = (operation.get("tags") or ["other"])[0]
                sections.setdefault(tag, []).append("\n".join(_operation(method, path, operation, document)))
    body = "\n".join(f"## {tag.capitalize()}\n\n" + "\n".join(parts) for tag, parts in sections.items())
    return f"{HEAD}\n{body}"


def _operation(method: str, path: str, operation: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`\n"
    text = str(operation.get("description") or operation.get("summary") or "").strip()
    yield " ".join(text.split()) + "\n"
    rows = [
        (given["name"], given["in"], _type(given["schema"], document), given.get("required", False))
        for given in operation.get("parameters", ())
    ]
    content = operation.get("requestBody", {}).get("content", {})
    for kind, media in content.items():
        schema = _resolve(media.get("schema", {}), document)
        required = schema.get("required", ())
        for name, part in schema.get("properties", {}).items():
            row = (name, kind.rpartition("/")[2], _type(part, document), name in required)
            if (same := next((at for at, known in enumerate(rows) if known[0] == name), None)) is None:
                rows.append(row)
            elif row[1] not in rows[same][1]:
                rows[same] = (name, f"{rows[same][1]}, {row[1]}", rows[same][2], row[3])
    if rows:
        yield "| name | in | type | required |\n|---|---|---|---|"
        yield from (
            f"| `{name}` | {place} | {kind} | {'yes' if must else ''} |" for name, place, kind, must in rows
        )
        yield ""
    answer = operation.get("responses", {}).get("200", {}).get("content", {})
    shown = [f"{kind}: {_type(media.get('schema', {}), document)}" for kind, media in answer.items()]
    if shown:
        yield f"Answers {'; '.join(shown)}.\n"


def _resolve(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["schemas"][name] if name else schema
    return found


def _type(schema: dict[str, Any], document: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    for word in ("anyOf", "oneOf"):
        if word in schema:
            kinds = [_type(one, document) for one in schema[word] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}), document)}"
    bounds = [
        f"{sign} {schema[key]:g}"
        for key, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
            ("maxLength", "length ≤"),
        )
        if key in schema
    ]
    form = {"binary": "file", "date-time": "date and time"}.get(schema.get("format", ""), kind)
    return f"{form}, {', '.join(bounds)}" if bounds else form


def document_only() -> FastAPI:
    """The application without anything behind its routes: it describes itself and answers nothing."""
    return create_app(cast(ApiState, None))


def main() -> None:
    """Write the file that is named on the command line."""
    Path(sys.argv[1]).write_text(reference(document_only()), "utf-8")


if __name__ == "__main__":
    main()
