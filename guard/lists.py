"""The lists of a policy: entries in the policy itself, or in files beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Protocol

from guard.errors import Problem
from guard.language import MAX_ITEM_CHARACTERS, ListDraft
from guard.location import Location
from guard.model import Entry, EntryList
from guard.patterns import pattern_fault
from guard.schema import Report
from guard.sources import PolicyFiles

_DIGEST = re.compile("[0-9a-f]{64}")
MAX_LIST_ENTRIES = 500_000  # all lists of a policy; bounds the memory of the automaton


class Digest(Protocol):
    """A running hash."""

    def update(self, data: bytes, /) -> None:
        """Adds bytes."""
        ...


class ListReader:
    """Turns a list as written into entries; problems in a list file name that file's line."""

    def __init__(
        self, name: str, draft: ListDraft, report: Report, files: PolicyFiles, digest: Digest
    ) -> None:
        self._name = name
        self._draft = draft
        self._report = report
        self._files = files
        self._digest = digest

    def read(self) -> EntryList:
        """Returns the list; what is wrong with it is in the report."""
        draft = self._draft
        if bool(draft.items) == bool(draft.file):
            self._report.add(draft.at, f"list {self._name!r} needs either `items` or `file`")
        entries = [Entry(f"{self._name}:{n}", (item,)) for n, item in enumerate(draft.items, 1)]
        if draft.file:
            entries = list(self._from_file(draft.file))
        if draft.kind == "digests" and not all(_DIGEST.fullmatch(entry.names[0]) for entry in entries):
            self._report.add(draft.at, f"list {self._name!r}: digests are 64 characters of 0-9 and a-f")
        if draft.kind == "hashes" and not all(_DIGEST.fullmatch(entry.names[0]) for entry in entries):
            self._report.add(draft.at, f"list {self._name!r}: hashes are 64 characters of 0-9 and a-f")
        if draft.kind == "patterns":
            self._check_patterns(entries)
        if len(entries) > MAX_LIST_ENTRIES:
            self._report.add(draft.at, f"list {self._name!r} has more than {MAX_LIST_ENTRIES:,} entries")
        return EntryList(
            self._name, draft.kind, tuple(entries), draft.at, draft.source, draft.licence, draft.file
        )

    def _check_patterns(self, entries: list[Entry]) -> None:
        for entry in entries:
            if fault := pattern_fault(entry.names[0]):
                self._report.add(
                    self._draft.at, f"list {self._name!r}: the pattern {entry.names[0]!r} {fault}"
                )

    def _from_file(self, file: str) -> Iterator[Entry]:
        content = self._files.read(file)
        if isinstance(content, str):
            self._report.add(self._draft.at, f"list file {file!r} {content}")
            return
        self._digest.update(f"\0{file}\0".encode() + content)
        try:
            lines = content.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            self._report.add(self._draft.at, f"list file {file!r} is not UTF-8 text (byte {error.start})")
            return
        read = self._json_entry if file.endswith(".jsonl") else self._text_entry
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                entry = read(number, line)
                if isinstance(entry, str):
                    self._report.problems.append(Problem(Location(file, number, 1), entry, None, line[:200]))
                else:
                    yield entry

    def _text_entry(self, number: int, line: str) -> Entry | str:
        name = line.strip()
        return (
            Entry(f"{self._name}:{number}", (name,)) if len(name) <= MAX_ITEM_CHARACTERS else "entry too long"
        )

    def _json_entry(self, number: int, line: str) -> Entry | str:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            return f"not a JSON line: {error}"
        names = [row.get("name"), *row.get("aliases", [])] if _is_person(row) else []
        good = [
            name for name in names if isinstance(name, str) and 0 < len(name.strip()) <= MAX_ITEM_CHARACTERS
        ]
        if not names or len(good) != len(names):
            return 'expected {"name": "...", "aliases": ["..."], "id": "..."}; id and aliases may be left out'
        return Entry(str(row.get("id") or f"{self._name}:{number}"), tuple(good))


def _is_person(row: object) -> bool:
    known = {"name", "aliases", "id"}
    return isinstance(row, dict) and set(row) <= known and isinstance(row.get("aliases", []), list)
