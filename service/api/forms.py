"""OpenAPI of the routes that read their body themselves."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


def form_docs(model: type[BaseModel], file: str) -> dict[str, Any]:
    """A route that takes `model` as JSON, or as a form whose field `file` is a file."""
    plain = inline(model.model_json_schema())
    upload = {**plain, "properties": {**plain["properties"], file: {"type": "string", "format": "binary"}}}
    content = {"multipart/form-data": {"schema": upload}, "application/json": {"schema": plain}}
    return {"requestBody": {"required": True, "content": content}}


def file_docs(file: str) -> dict[str, Any]:
    """A route that takes a form with the one file `file`."""
    fields = {file: {"type": "string", "format": "binary"}}
    schema = {"type": "object", "properties": fields, "required": [file]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def inline(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema without references: nothing else in the document uses its parts."""
    parts = schema.pop("$defs", {})

    def walk(node: Any) -> Any:
        if isinstance(node, dict) and "$ref" in node:
            return walk(parts[node["$ref"].rpartition("/")[2]])
        if isinstance(node, dict):
            return {key: walk(value) for key, value in node.items()}
        return [walk(item) for item in node] if isinstance(node, list) else node

    whole: dict[str, Any] = walk(schema)
    return whole
