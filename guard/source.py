"""YAML 1.2 text to a tree of positioned nodes, in which every scalar is still the text the author wrote.

Nothing is converted here, so none of YAML's surprises (`no`, `on`, `1e5`, `12:30`, dates) can happen: the
schema alone decides what a scalar means. Anchors, tags, merges and second documents are refused; with them go
alias bombs. The parser's events are walked without recursion, so depth is a limit and not a crash.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from guard.errors import PolicyError, Problem
from guard.location import Location

MAX_SOURCE_CHARACTERS = 1_000_000  # a policy of 1,000 rules with their tests has about 600,000
MAX_DEPTH = 24  # nested lists and mappings; conditions nest twice in practice
MAX_NODES = 200_000  # scalars, lists and mappings; bounds time and memory of a hostile file


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value, as text. `plain` is false where the author quoted it."""

    at: Location
    value: str
    plain: bool

    @property
    def empty(self) -> bool:
        """True where the author wrote nothing, `~` or `null`."""
        return self.plain and self.value in ("", "~", "null")


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    at: Location
    items: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values, in file order; keys are scalars and may repeat (the schema reports that)."""

    at: Location
    entries: list[tuple[Scalar, Node]] = field(default_factory=list)


Node = Scalar | Sequence | Mapping


@dataclass(frozen=True)
class Source:
    """The text of one file, for positions and for the lines shown under errors."""

    path: str
    text: str

    def at(self, line: int, column: int) -> Location:
        """Returns the place of a zero-based mark of the YAML scanner."""
        return Location(self.path, line + 1, column + 1)

    def problem(self, at: Location, message: str, suggestion: str | None = None) -> Problem:
        """Returns a problem that carries its source line."""
        lines = self.text.splitlines()
        line = lines[at.line - 1] if at.path == self.path and 0 < at.line <= len(lines) else ""
        return Problem(at, message, suggestion, line)

    def fail(self, line: int, column: int, message: str) -> PolicyError:
        """Returns the error for a file that cannot be read any further."""
        return PolicyError([self.problem(self.at(line, column), message)])


def read_tree(source: Source) -> Node:
    """Parses `source` to its root node.

    Raises `PolicyError` with one problem on bad syntax, an empty file, or a file over the limits above.
    """
    if len(source.text) > MAX_SOURCE_CHARACTERS:
        raise source.fail(
            0, 0, f"the file has more than {MAX_SOURCE_CHARACTERS:,} characters; move lists to files"
        )
    root: Node | None = None
    try:
        root = _TreeBuilder(source).build(YAML(typ="safe", pure=True).parse(source.text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        raise source.fail(line, column, f"not valid YAML: {error.problem or error.context}") from error
    except YAMLError as error:  # the reader's own error has an offset and no mark
        position = getattr(error, "position", 0)
        before = source.text[:position] if isinstance(position, int) else ""
        line = before.count("\n")
        raise source.fail(line, position - before.rfind("\n") - 1, "a character that YAML forbids") from error
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        # The scanner lets a few malformed escapes and directives through to the standard library.
        raise source.fail(0, 0, f"not valid YAML: {error}") from error
    if root is None:
        raise source.fail(0, 0, "the file is empty; a policy needs `policy`, `version` and `rules`")
    return root


class _TreeBuilder:
    """Builds nodes from parser events with an explicit stack."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._stack: list[Sequence | Mapping] = []
        self._keys: list[Scalar | None] = []
        self._root: Node | None = None
        self._count = 0

    def build(self, events: Iterator[Any]) -> Node | None:
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                self._refuse(event, documents > 1, "a second document; keep one policy in one file")
            elif isinstance(event, AliasEvent):
                self._refuse(event, True, "aliases are not supported; name the list under `lists`")
            elif isinstance(event, (SequenceEndEvent, MappingEndEvent)):
                self._stack.pop()
                self._keys.pop()
            elif isinstance(event, (ScalarEvent, SequenceStartEvent, MappingStartEvent)):
                self._start(event)
        return self._root

    def _start(self, event: Any) -> None:
        self._count += 1
        self._refuse(
            event, event.anchor is not None, "anchors are not supported; name the list under `lists`"
        )
        tagged = event.tag is not None and event.tag != "!"
        self._refuse(event, tagged, f"tags such as {event.tag} are not supported")
        self._refuse(event, self._count > MAX_NODES, f"more than {MAX_NODES:,} values; move lists to files")
        at = self._source.at(event.start_mark.line, event.start_mark.column)
        if isinstance(event, ScalarEvent):
            self._attach(event, Scalar(at, event.value, plain=event.style in (None, "")))
            return
        node = Sequence(at) if isinstance(event, SequenceStartEvent) else Mapping(at)
        self._attach(event, node)
        self._refuse(event, len(self._stack) >= MAX_DEPTH, f"nested more than {MAX_DEPTH} levels deep")
        self._stack.append(node)
        self._keys.append(None)

    def _attach(self, event: Any, node: Node) -> None:
        if not self._stack:
            self._root = node
            return
        parent, key = self._stack[-1], self._keys[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif key is not None:
            parent.entries.append((key, node))
            self._keys[-1] = None
        elif isinstance(node, Scalar):
            self._keys[-1] = node
        else:
            self._refuse(event, True, "a key must be a single word, not a list or a mapping")

    def _refuse(self, event: Any, bad: bool, message: str) -> None:
        if bad:
            raise self._source.fail(event.start_mark.line, event.start_mark.column, message)
