"""What every building block shares: the report of problems, and what a block is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol, TypeVar

from rapidfuzz import process
from rapidfuzz.distance import OSA

from guard import source as tree
from guard.errors import Problem
from guard.location import Location

T_co = TypeVar("T_co", covariant=True)
JsonSchema = dict[str, Any]


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


def kind_of(node: tree.Node) -> str:
    return {tree.Scalar: "a single value", tree.Sequence: "a list", tree.Mapping: "a mapping"}[type(node)]


def shorten(value: str, limit: int = 60) -> str:
    return value if len(value) <= limit else value[: limit - 3] + "..."
