"""Blocks that read lists and mappings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from guard import source as tree
from guard.location import Location
from guard.schema.base import FAILED, Failed, JsonSchema, Report, Spec, kind_of, shorten, suggest

T = TypeVar("T")


@dataclass(frozen=True)
class ListOf(Generic[T]):
    """A list with at least `minimum` items."""

    what: str
    item: Spec[T]
    minimum: int = 1

    def read(self, node: tree.Node, report: Report) -> tuple[T, ...] | Failed:
        if not isinstance(node, tree.Sequence):
            return report.add(node.at, f"expected a list of {self.what}, found {kind_of(node)}")
        if len(node.items) < self.minimum:
            return report.add(node.at, f"the list of {self.what} is empty")
        items = [self.item.read(item, report) for item in node.items]
        return tuple(item for item in items if item is not FAILED)

    def json_schema(self) -> JsonSchema:
        return {"type": "array", "items": self.item.json_schema(), "minItems": self.minimum}


@dataclass(frozen=True)
class MapOf(Generic[T]):
    """Names chosen by the author, each with a value of one kind."""

    what: str
    key_pattern: str
    value: Spec[T]

    def read(self, node: tree.Node, report: Report) -> dict[str, T] | Failed:
        if not isinstance(node, tree.Mapping):
            return report.add(node.at, f"expected {self.what}, found {kind_of(node)}")
        result: dict[str, T] = {}
        for key, child in node.entries:
            value = self.value.read(child, report)
            if not re.fullmatch(self.key_pattern, key.value):
                report.add(key.at, f"{shorten(key.value)!r} cannot be a name here; use a-z, 0-9 and -")
            elif key.value in result:
                report.add(key.at, f"{key.value!r} is given twice")
            elif value is not FAILED:
                result[key.value] = value
        return result

    def json_schema(self) -> JsonSchema:
        names = {f"^({self.key_pattern})$": self.value.json_schema()}
        return {"type": "object", "patternProperties": names, "additionalProperties": False}


@dataclass(frozen=True)
class Either(Generic[T]):
    """A short form where the node is a single value (or a list), a long form otherwise."""

    scalar: Spec[T] | None = None
    sequence: Spec[T] | None = None
    mapping: Spec[T] | None = None

    def read(self, node: tree.Node, report: Report) -> T | Failed:
        forms = {tree.Scalar: self.scalar, tree.Sequence: self.sequence, tree.Mapping: self.mapping}
        spec = forms[type(node)]
        if spec is None:
            return report.add(node.at, f"{kind_of(node)} cannot stand here")
        return spec.read(node, report)

    def json_schema(self) -> JsonSchema:
        forms = (self.scalar, self.sequence, self.mapping)
        return {"anyOf": [spec.json_schema() for spec in forms if spec is not None]}


@dataclass(frozen=True)
class Key:
    """One key of a record. A key that is not required has the default of the record's own class."""

    spec: Spec[Any]
    doc: str
    required: bool = False


@dataclass(frozen=True)
class Record(Generic[T]):
    """A mapping with known keys only. `build` takes them as keyword arguments, and the place as `at`.

    At least one of the keys `one_of` must be there, where there are any.
    """

    what: str
    build: Callable[..., T]
    keys: Mapping[str, Key]
    one_of: tuple[str, ...] = ()

    def read(self, node: tree.Node, report: Report) -> T | Failed:
        if not isinstance(node, tree.Mapping):
            return report.add(node.at, f"expected {self.what}, found {kind_of(node)}")
        before = len(report.problems)
        values: dict[str, Any] = {"at": node.at}
        seen: dict[str, Location] = {}
        meant: set[str] = set()
        for key, child in node.entries:
            if key.value in seen:
                report.add(key.at, f"key {key.value!r} is given twice; first in line {seen[key.value].line}")
            elif key.value in self.keys:
                seen[key.value] = key.at
                values[_python_name(key.value)] = self.keys[key.value].spec.read(child, report)
            else:
                meant.add(self._unknown(key, seen, report) or "")
        for name, spec in self.keys.items():
            if spec.required and name not in seen and name not in meant:
                report.add(node.at, f"{self.what} needs the key {name!r}")
        if self.one_of and not any(name in seen or name in meant for name in self.one_of):
            report.add(node.at, f"{self.what} needs one of the keys: {', '.join(self.one_of)}")
        return self.build(**values) if len(report.problems) == before else FAILED

    def _unknown(self, key: tree.Scalar, seen: Mapping[str, Location], report: Report) -> str | None:
        free = [name for name in self.keys if name not in seen]
        suggestion = suggest(key.value, free) or suggest(key.value, list(self.keys))
        hint = "" if suggestion else f" (known: {', '.join(self.keys)})"
        report.add(key.at, f"unknown key {shorten(key.value)!r} in {self.what}{hint}", suggestion)
        return suggestion

    def json_schema(self) -> JsonSchema:
        properties = {
            name: {**key.spec.json_schema(), "description": key.doc} for name, key in self.keys.items()
        }
        required = [name for name, key in self.keys.items() if key.required]
        schema: JsonSchema = {"type": "object", "properties": properties, "additionalProperties": False}
        if required:
            schema["required"] = required
        if self.one_of:
            schema["anyOf"] = [{"required": [name]} for name in self.one_of]
        return schema


@dataclass(frozen=True)
class Choice(Generic[T]):
    """A record whose kind is told by which of the keys `variants` it has."""

    what: str
    variants: Mapping[str, Spec[T]]

    def read(self, node: tree.Node, report: Report) -> T | Failed:
        if not isinstance(node, tree.Mapping):
            return report.add(node.at, f"expected {self.what}, found {kind_of(node)}")
        kinds = [key for key, _ in node.entries if key.value in self.variants]
        if len({key.value for key in kinds}) > 1:
            first, second = kinds[0].value, next(k.value for k in kinds if k.value != kinds[0].value)
            return report.add(kinds[1].at, f"{self.what} is either {first!r} or {second!r}, not both")
        if not kinds:
            return self._no_kind(node, report)
        return self.variants[kinds[0].value].read(node, report)

    def _no_kind(self, node: tree.Mapping, report: Report) -> Failed:
        known = list(self.variants)
        for key, _ in node.entries:
            if suggestion := suggest(key.value, known):
                return report.add(key.at, f"unknown key {shorten(key.value)!r} in {self.what}", suggestion)
        at = node.entries[0][0].at if node.entries else node.at
        found = f", found {shorten(node.entries[0][0].value)!r}" if node.entries else ""
        return report.add(at, f"{self.what} needs one of the keys: {', '.join(known)}{found}")

    def json_schema(self) -> JsonSchema:
        return {"oneOf": [spec.json_schema() for spec in self.variants.values()]}


@dataclass(frozen=True)
class Shared(Generic[T]):
    """A spec that may refer to itself; in the JSON Schema it becomes a definition."""

    name: str
    resolve: Callable[[], Spec[T]]

    def read(self, node: tree.Node, report: Report) -> T | Failed:
        return self.resolve().read(node, report)

    def json_schema(self) -> JsonSchema:
        return {"$ref": f"#/definitions/{self.name}"}


def _python_name(key: str) -> str:
    return {"with": "attacks", "as": "role"}.get(key, key.replace("-", "_"))
