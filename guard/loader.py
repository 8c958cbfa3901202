"""Policy text to `Policy`. Lint, tests and production all load through here, so they cannot disagree."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

from guard import source as tree
from guard.errors import Location, PolicyError, Problem
from guard.language import MAX_ITEM_CHARACTERS, POLICY, ListDraft, PolicyDraft
from guard.model import (
    Action,
    AdapterCase,
    AdapterFile,
    AttackTest,
    CaseTest,
    Entry,
    EntryList,
    Leaf,
    Mode,
    PictureCase,
    PictureCondition,
    Policy,
    Rule,
    Stage,
    TextCondition,
    leaves,
)
from guard.schema import FAILED, Report, suggest

LIST_KINDS = ("people", "words", "digests")
MAX_LIST_BYTES = 64 * 2**20  # one list file; 150,000 people with aliases take about 20 MB
_DIGEST = re.compile("[0-9a-f]{64}")
MAX_LIST_ENTRIES = 500_000  # all lists of a policy; bounds the memory of the automaton


def default_policy_path() -> Path:
    """Returns where the shipped policy is installed."""
    return Path(str(files("policies").joinpath("default.yaml")))


def load_policy(path: Path) -> Policy:
    """Reads the policy file at `path` and the list files beside it.

    Raises `PolicyError` with every problem found, each with its line and column; a file that cannot be read
    is one of them.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise _whole_file(str(path), f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _whole_file(str(path), f"is not UTF-8 text (byte {error.start})") from error
    return parse_policy(text, str(path), folder=path.parent)


def parse_policy(text: str, source: str = "<policy>", *, folder: Path | None = None) -> Policy:
    """Returns the policy in `text`; `source` names it in messages, list files are looked for in `folder`.

    Raises `PolicyError` with every problem found.
    """
    report = Report(tree.Source(source, text))
    root = tree.read_tree(report.source)
    draft = POLICY.read(root, report)
    _check_references(report, _declared_lists(root))
    if draft is FAILED:
        raise PolicyError(report.problems)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    lists = {
        name: _ListReader(name, written, folder, report, digest).read()
        for name, written in (draft.lists or {}).items()
    }
    for problem in _check(draft):
        report.add(*problem)
    if report.problems:
        raise PolicyError(report.problems)
    return Policy(
        name=draft.policy,
        version=draft.version,
        rules=draft.rules,
        lists=lists,
        unchecked_stages=draft.unchecked_stages,
        tests=draft.tests,
        digest=digest.hexdigest(),
        at=draft.at,
        description=draft.description,
    )


def _declared_lists(root: tree.Node) -> dict[str, str]:
    """Returns the kind of each list by name, as far as the file says, so that all errors come at once."""
    found: dict[str, str] = {}
    for key, lists in root.entries if isinstance(root, tree.Mapping) else ():
        if key.value == "lists" and isinstance(lists, tree.Mapping):
            for name, body in lists.entries:
                found[name.value] = ""
                for field, value in body.entries if isinstance(body, tree.Mapping) else ():
                    if field.value == "kind" and isinstance(value, tree.Scalar):
                        found[name.value] = value.value
    return found


def _check_references(report: Report, declared: dict[str, str]) -> None:
    for at, name, kind in report.references:
        if name not in declared:
            report.add(at, f"there is no list {name!r}", suggest(name, list(declared)))
        elif declared[name] in LIST_KINDS and declared[name] != kind:
            report.add(at, f"list {name!r} is a list of {declared[name]}, and {kind} are needed here")


def _whole_file(path: str, message: str) -> PolicyError:
    return PolicyError([Problem(Location(path, 1, 1), f"the policy {message}")])


class _ListReader:
    """Turns a list as written into entries; problems in a list file name that file's line."""

    def __init__(self, name: str, draft: ListDraft, folder: Path | None, report: Report, digest: Any) -> None:
        self._name = name
        self._draft = draft
        self._folder = folder
        self._report = report
        self._digest = digest

    def read(self) -> EntryList:
        draft = self._draft
        if bool(draft.items) == bool(draft.file):
            self._report.add(draft.at, f"list {self._name!r} needs either `items` or `file`")
        entries = [Entry(f"{self._name}:{n}", (item,)) for n, item in enumerate(draft.items, 1)]
        if draft.file:
            entries = list(self._from_file(draft.file))
        if draft.kind == "digests" and not all(_DIGEST.fullmatch(entry.names[0]) for entry in entries):
            self._report.add(draft.at, f"list {self._name!r}: digests are 64 characters of 0-9 and a-f")
        if len(entries) > MAX_LIST_ENTRIES:
            self._report.add(draft.at, f"list {self._name!r} has more than {MAX_LIST_ENTRIES:,} entries")
        return EntryList(self._name, draft.kind, tuple(entries), draft.at, draft.source, draft.licence)

    def _from_file(self, file: str) -> Iterator[Entry]:
        content = self._content(file)
        if content is None:
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

    def _content(self, file: str) -> bytes | None:
        at = self._draft.at
        if self._folder is None:
            self._report.add(
                at, f"list file {file!r} cannot be found: this policy was not read from a folder"
            )
            return None
        if ".." in PurePosixPath(file).parts:
            self._report.add(at, f"list file {file!r} leaves the policy's folder")
            return None
        path = self._folder / file
        try:
            if path.stat().st_size > MAX_LIST_BYTES:
                self._report.add(at, f"list file {file!r} is larger than {MAX_LIST_BYTES:,} bytes")
                return None
            return path.read_bytes()
        except OSError as error:
            self._report.add(at, f"list file {file!r} cannot be read: {error.strerror}")
            return None

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
        return Entry(str(row.get("id", f"{self._name}:{number}")), tuple(good))


def _is_person(row: object) -> bool:
    known = {"name", "aliases", "id"}
    return isinstance(row, dict) and set(row) <= known and isinstance(row.get("aliases", []), list)


Finding = tuple[Location, str, str | None]


def _check(draft: PolicyDraft) -> Iterator[Finding]:
    """Yields what is wrong between parts of a policy."""
    if not draft.rules:
        yield draft.at, "a policy needs at least one rule", None
    first: dict[str, Rule] = {}
    for rule in draft.rules:
        other = first.setdefault(rule.id, rule)
        if other is not rule:
            yield rule.at, f"rule id {rule.id!r} is already used in line {other.at.line}", None
        yield from _check_rule(rule)
    checked = {rule.stage for rule in draft.rules if rule.mode is not Mode.OFF}
    for stage in draft.unchecked_stages:
        if stage in checked:
            yield draft.at, f"stage {stage.value!r} is named under unchecked_stages and has rules", None


def _check_rule(rule: Rule) -> Iterator[Finding]:
    for condition in (rule.when, *rule.unless):
        for leaf in leaves(condition):
            yield from _check_leaf(leaf, rule.stage)
    verdicts = {test.expect for test in rule.tests if isinstance(test, CaseTest)}
    if rule.mode is Mode.ENFORCE and not {rule.then.value, "allow"} <= verdicts:
        yield (
            rule.at,
            f"rule {rule.id!r} needs a `{rule.then}` test and an `allow` test before it may enforce",
            None,
        )
    for test in rule.tests:
        yield from _check_test(test, rule)
    ids = [exception.id for exception in rule.exceptions]
    for exception in rule.exceptions:
        if ids.count(exception.id) > 1:
            yield exception.at, f"exception id {exception.id!r} is given twice", None


def _check_leaf(leaf: Leaf, stage: Stage) -> Iterator[Finding]:
    if isinstance(leaf, AdapterFile) and stage is not Stage.ADAPTER:
        yield leaf.at, f"adapters are not seen at stage {stage.value!r}; use stage adapter", None
    if isinstance(leaf, PictureCondition) and stage is not Stage.REFERENCE:
        yield leaf.at, f"pictures are not seen at stage {stage.value!r}; use stage reference", None


def _check_test(test: CaseTest | AttackTest, rule: Rule) -> Iterator[Finding]:
    if isinstance(test, AttackTest):
        yield from _check_attack(test, rule)
    elif test.expect not in ("allow", rule.then.value):
        yield (
            test.at,
            f"this rule's action is {rule.then.value!r}, so its tests say that or `allow`",
            rule.then.value,
        )
    elif not isinstance(test.case, kind := _case_kind(rule)):
        yield test.at, f"rule {rule.id!r} looks at {_CASES[kind]}, and so must its tests", None


_CASES: dict[type, str] = {
    str: "a text",
    PictureCase: "a picture such as {face: present}",
    AdapterCase: "an adapter such as {adapter: unlisted}",
}


def _case_kind(rule: Rule) -> type:
    if rule.looks_at_pictures:
        return PictureCase
    return AdapterCase if rule.trusted_lists else str


def _check_attack(test: AttackTest, rule: Rule) -> Iterator[Finding]:
    for placeholder, name in (("person", test.person), ("word", test.word)):
        if (name is None) != (f"{{{placeholder}}}" not in test.attack):
            yield test.at, f"{{{placeholder}}} in the text and the key {placeholder!r} belong together", None
    if (test.person is None) == (test.word is None):
        yield test.at, "an attack needs one placeholder, {person} or {word}, and the list it stands for", None
    if rule.then is Action.FLAG:
        yield test.at, "an attack test says what must be blocked or reviewed; this rule only flags", None


def conditions_of(rules: Iterable[Rule]) -> Iterator[TextCondition]:
    """Yields every condition of `rules` that reads text."""
    for rule in rules:
        for condition in (rule.when, *rule.unless):
            for leaf in leaves(condition):
                if isinstance(leaf, TextCondition):
                    yield leaf
