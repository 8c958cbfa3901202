"""Frozen dataclasses to JSON and back, checked against their annotations: how evidence leaves `isolate`.

Takes what evidence is made of: dataclasses, enums, text, bytes, numbers, moments, tuples, mappings
with text keys, small float arrays, and unions of these with None. Anything else is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from service.errors import IsolationError

T = TypeVar("T")
MAX_DEPTH = 64
"""Nested values: evidence has ten levels."""


def encode(value: object) -> bytes:
    """`value` as JSON; `decode(type(value), encode(value)) == value`."""
    return json.dumps(_plain(value)).encode()


def decode(kind: type[T], data: bytes) -> T:
    """Read what `encode` wrote. Raises `IsolationError` for anything that is not a `kind`."""
    try:
        value: T = _typed(kind, json.loads(data), MAX_DEPTH)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError, binascii.Error) as error:
        raise IsolationError("failed", f"The limited process gave no {kind.__name__}.") from error
    return value


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return value.value
        case str():
            return value
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case datetime():
            return value.isoformat()
        case np.ndarray():
            return value.tolist()
        case tuple():
            return [_plain(item) for item in value]
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} cannot cross the border")


def _typed(kind: Any, data: Any, depth: int) -> Any:
    if depth == 0:
        raise ValueError("nested too deeply")
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _optional(get_args(kind), data, depth)
    if origin is tuple:
        return _items(get_args(kind), data, depth)
    if origin is not None and issubclass(origin, np.ndarray):
        return np.array(_as(list, data), np.float64)
    if origin is not None and issubclass(origin, Mapping):
        item = get_args(kind)[1]
        return {_as(str, key): _typed(item, value, depth - 1) for key, value in _as(dict, data).items()}
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        known = _as(dict, data)
        if set(known) != {field.name for field in fields(kind)}:
            raise ValueError(f"not the fields of {kind}")
        build: Any = kind
        return build(**{name: _typed(hints[name], value, depth - 1) for name, value in known.items()})
    return _scalar(kind, data)


def _scalar(kind: Any, data: Any) -> Any:
    if issubclass(kind, Enum):
        return kind(data)
    if kind is bytes:
        return base64.b64decode(_as(str, data), validate=True)
    if kind is datetime:
        return datetime.fromisoformat(_as(str, data))
    if kind is float:
        return float(_as((int, float), data))
    if kind in (str, int, bool):
        return _as(kind, data)
    raise TypeError(f"{kind} cannot cross the border")


def _optional(kinds: tuple[Any, ...], data: Any, depth: int) -> Any:
    if data is None and type(None) in kinds:
        return None
    (kind,) = (kind for kind in kinds if kind is not type(None))
    return _typed(kind, data, depth)


def _items(kinds: tuple[Any, ...], data: Any, depth: int) -> tuple[Any, ...]:
    items = _as(list, data)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_typed(kinds[0], item, depth - 1) for item in items)
    return tuple(_typed(kind, item, depth - 1) for kind, item in zip(kinds, items, strict=True))


def _as(kind: Any, data: Any) -> Any:
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise TypeError(f"expected {kind}, got {type(data).__name__}")
    return data
