"""Building blocks of the policy language: each reads a node with positions and exports its JSON Schema.

One object does both, so the schema that an editor uses cannot differ from what the loader accepts, except
where JSON Schema has no words for it (references between parts of a file, calendar dates).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeVar

from rapidfuzz import process
from rapidfuzz.distance import OSA

from guard import source as tree
from guard.errors import Location, Problem

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
JsonSchema = dict[str, Any]

MAX_TEXT_CHARACTERS = 20_000  # one value; the same as the longest text the engine checks
# Editors read some YAML 1.2 scalars as numbers and booleans where the loader reads text.
_ANY_SCALAR: Final = ["string", "number", "boolean"]
_NOT_A_STRING: Final = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.(inf|Inf|INF)"
    r"|\.(nan|NaN|NAN)|true|True|TRUE|false|False|FALSE"
)  # YAML 1.2.2, section 10.3.2


class Failed(Enum):
    """What a reader returns after it has reported why there is no value."""

    FAILED = "failed"


FAILED: Final = Failed.FAILED


def suggest(word: str, known: Sequence[str]) -> str | None:
    """Returns the known word closest to `word` (at most a third of its letters differ), or None."""
    limit = max(1, len(word) // 3)
    best = process.extractOne(word, known, scorer=OSA.distance, score_cutoff=limit, processor=str.lower)
    return str(best[0]) if best else None


@dataclass
class Report:
    """Collects every problem of a file."""

    source: tree.Source
    problems: list[Problem] = field(default_factory=list)
    references: list[tuple[Location, str, str]] = field(default_factory=list)  # place, name, kind of list

    def add(self, at: Location, message: str, suggestion: str | None = None) -> Failed:
        """Notes a problem and returns `FAILED`, so that readers can return it in one line."""
        self.problems.append(self.source.problem(at, message, suggestion))
        return FAILED


class Spec(Protocol[T_co]):
    """Something that a value in a policy must be."""

    def read(self, node: tree.Node, report: Report) -> T_co | Failed:
        """Returns the value of `node`, or reports what is wrong with it."""
        ...

    def json_schema(self) -> JsonSchema:
        """Returns the JSON Schema (draft-07) of the values that `read` accepts."""
        ...


def _scalar(node: tree.Node, report: Report, what: str) -> str | Failed:
    if not isinstance(node, tree.Scalar):
        return report.add(node.at, f"expected {what}, found {_kind(node)}")
    if node.empty:
        return report.add(node.at, f"expected {what}, found nothing")
    return node.value


def _is_plain_number(node: tree.Node) -> bool:
    return isinstance(node, tree.Scalar) and node.plain and _NOT_A_STRING.fullmatch(node.value) is not None


def _kind(node: tree.Node) -> str:
    return {tree.Scalar: "a single value", tree.Sequence: "a list", tree.Mapping: "a mapping"}[type(node)]


@dataclass(frozen=True)
class Text:
    """Text that a person reads or that is matched: any scalar as it was written, or one with a `pattern`."""

    what: str
    pattern: str = ""
    max_length: int = MAX_TEXT_CHARACTERS

    def read(self, node: tree.Node, report: Report) -> str | Failed:
        value = _scalar(node, report, self.what)
        if value is FAILED:
            return FAILED
        if len(value) > self.max_length:
            return report.add(node.at, f"{self.what} is longer than {self.max_length:,} characters")
        if not self.pattern:
            return value if value.strip() else report.add(node.at, f"expected {self.what}, found only blanks")
        if not re.fullmatch(self.pattern, value):
            return report.add(node.at, f"expected {self.what}, found {_shorten(value)!r}")
        if _is_plain_number(node):
            return report.add(node.at, f"{value} reads as a number; put it in quotes")
        return value

    def json_schema(self) -> JsonSchema:
        if not self.pattern:
            return {"type": _ANY_SCALAR, "pattern": r"\S", "maxLength": self.max_length}
        return {"type": "string", "pattern": f"^({self.pattern})$", "maxLength": self.max_length}


@dataclass(frozen=True)
class Reference:
    """The name of a list of one kind; whether there is one is known when the whole file has been read."""

    kind: str
    name: Text

    def read(self, node: tree.Node, report: Report) -> str | Failed:
        name = self.name.read(node, report)
        if name is not FAILED:
            report.references.append((node.at, name, self.kind))
        return name

    def json_schema(self) -> JsonSchema:
        return self.name.json_schema()


@dataclass(frozen=True)
class Registered:
    """A word that a registry must know; `known` gives examples for suggestions."""

    word: Text
    accepts: Callable[[str], bool]
    known: Sequence[str]
    advice: str

    def read(self, node: tree.Node, report: Report) -> str | Failed:
        value = self.word.read(node, report)
        if value is FAILED or self.accepts(value):
            return value
        return report.add(
            node.at, f"{value!r} is not {self.word.what}; {self.advice}", suggest(value, self.known)
        )

    def json_schema(self) -> JsonSchema:
        return {**self.word.json_schema(), "examples": list(self.known)}


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """A value with a notation of its own: a date, a percentage, a distance in words."""

    what: str
    pattern: str
    parse: Callable[[str], T]  # raises ValueError on what the pattern cannot tell

    def read(self, node: tree.Node, report: Report) -> T | Failed:
        value = _scalar(node, report, self.what)
        if value is FAILED:
            return FAILED
        try:
            if re.fullmatch(self.pattern, value):
                return self.parse(value)
        except ValueError:
            pass
        return report.add(node.at, f"expected {self.what}, found {_shorten(value)!r}")

    def json_schema(self) -> JsonSchema:
        return {"type": "string", "pattern": f"^({self.pattern})$"}


def day(what: str) -> Parsed[date]:
    """Returns the reader of a calendar day such as `2027-12-31`."""
    return Parsed(f"{what} as YYYY-MM-DD", r"\d{4}-\d{2}-\d{2}", date.fromisoformat)


@dataclass(frozen=True)
class Word(Generic[T]):
    """One word of a closed set; `words` maps what the author writes to its value."""

    what: str
    words: Mapping[str, T]

    def read(self, node: tree.Node, report: Report) -> T | Failed:
        value = _scalar(node, report, self.what)
        if value is FAILED:
            return FAILED
        if value in self.words:
            return self.words[value]
        known = list(self.words)
        choices = ", ".join(known)
        return report.add(node.at, f"{value!r} is not {self.what} (one of: {choices})", suggest(value, known))

    def json_schema(self) -> JsonSchema:
        return {"enum": list(self.words)}


@dataclass(frozen=True)
class ListOf(Generic[T]):
    """A list with at least `minimum` items."""

    what: str
    item: Spec[T]
    minimum: int = 1

    def read(self, node: tree.Node, report: Report) -> tuple[T, ...] | Failed:
        if not isinstance(node, tree.Sequence):
            return report.add(node.at, f"expected a list of {self.what}, found {_kind(node)}")
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
            return report.add(node.at, f"expected {self.what}, found {_kind(node)}")
        result: dict[str, T] = {}
        for key, child in node.entries:
            value = self.value.read(child, report)
            if not re.fullmatch(self.key_pattern, key.value):
                report.add(key.at, f"{_shorten(key.value)!r} cannot be a name here; use a-z, 0-9 and -")
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
            return report.add(node.at, f"{_kind(node)} cannot stand here")
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
    """A mapping with known keys only. `build` takes them as keyword arguments, and the place as `at`."""

    what: str
    build: Callable[..., T]
    keys: Mapping[str, Key]

    def read(self, node: tree.Node, report: Report) -> T | Failed:
        if not isinstance(node, tree.Mapping):
            return report.add(node.at, f"expected {self.what}, found {_kind(node)}")
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
        return self.build(**values) if len(report.problems) == before else FAILED

    def _unknown(self, key: tree.Scalar, seen: Mapping[str, Location], report: Report) -> str | None:
        free = [name for name in self.keys if name not in seen]
        suggestion = suggest(key.value, free) or suggest(key.value, list(self.keys))
        hint = "" if suggestion else f" (known: {', '.join(self.keys)})"
        report.add(key.at, f"unknown key {_shorten(key.value)!r} in {self.what}{hint}", suggestion)
        return suggestion

    def json_schema(self) -> JsonSchema:
        properties = {
            name: {**key.spec.json_schema(), "description": key.doc} for name, key in self.keys.items()
        }
        required = [name for name, key in self.keys.items() if key.required]
        schema: JsonSchema = {"type": "object", "properties": properties, "additionalProperties": False}
        return {**schema, "required": required} if required else schema


@dataclass(frozen=True)
class Choice(Generic[T]):
    """A record whose kind is told by which of the keys `variants` it has."""

    what: str
    variants: Mapping[str, Spec[T]]

    def read(self, node: tree.Node, report: Report) -> T | Failed:
        if not isinstance(node, tree.Mapping):
            return report.add(node.at, f"expected {self.what}, found {_kind(node)}")
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
                return report.add(key.at, f"unknown key {_shorten(key.value)!r} in {self.what}", suggestion)
        at = node.entries[0][0].at if node.entries else node.at
        found = f", found {_shorten(node.entries[0][0].value)!r}" if node.entries else ""
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


def _shorten(value: str, limit: int = 60) -> str:
    return value if len(value) <= limit else value[: limit - 3] + "..."
