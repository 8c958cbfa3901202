"""Blocks that read a single value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Generic, TypeVar

from guard import source as tree
from guard.schema.base import FAILED, Failed, JsonSchema, Report, kind_of, shorten, suggest

T = TypeVar("T")


MAX_TEXT_CHARACTERS = 20_000  # one value; the same as the longest text the engine checks
# Editors read some YAML 1.2 scalars as numbers and booleans where the loader reads text.
_ANY_SCALAR: Final = ["string", "number", "boolean"]
_NOT_A_STRING: Final = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.(inf|Inf|INF)"
    r"|\.(nan|NaN|NAN)|true|True|TRUE|false|False|FALSE"
)  # YAML 1.2.2, section 10.3.2


def _scalar(node: tree.Node, report: Report, what: str) -> str | Failed:
    if not isinstance(node, tree.Scalar):
        return report.add(node.at, f"expected {what}, found {kind_of(node)}")
    if node.empty:
        return report.add(node.at, f"expected {what}, found nothing")
    return node.value


def _is_plain_number(node: tree.Node) -> bool:
    return isinstance(node, tree.Scalar) and node.plain and _NOT_A_STRING.fullmatch(node.value) is not None


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
            return report.add(node.at, f"expected {self.what}, found {shorten(value)!r}")
        if _is_plain_number(node):
            return report.add(node.at, f"{value} reads as a number; put it in quotes")
        return value

    def json_schema(self) -> JsonSchema:
        if not self.pattern:
            return {"type": _ANY_SCALAR, "pattern": r"\S", "maxLength": self.max_length}
        return {"type": "string", "pattern": f"^({self.pattern})$", "maxLength": self.max_length}


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`, written plainly."""

    what: str
    low: int
    high: int

    def read(self, node: tree.Node, report: Report) -> int | Failed:
        value = _scalar(node, report, self.what)
        if value is FAILED:
            return FAILED
        plain = isinstance(node, tree.Scalar) and node.plain
        if plain and re.fullmatch(r"0|[1-9][0-9]{0,8}", value) and self.low <= int(value) <= self.high:
            return int(value)
        return report.add(
            node.at, f"expected {self.what} from {self.low} to {self.high}, found {shorten(value)!r}"
        )

    def json_schema(self) -> JsonSchema:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


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
        return report.add(node.at, f"expected {self.what}, found {shorten(value)!r}")

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
