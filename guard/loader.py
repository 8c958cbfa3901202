"""Policy text to `Policy`. Lint, tests and production all load through here, so they cannot disagree."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path

from guard import source as tree
from guard.errors import Location, PolicyError, Problem
from guard.language import POLICY, PolicyDraft
from guard.lists import LIST_KINDS, ListFiles, ListReader
from guard.model import (
    Action,
    AdapterCase,
    AdapterFile,
    AttackTest,
    CaseTest,
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


def default_policy_path() -> Path:
    """Returns where the shipped policy is installed."""
    return Path(str(resources.files("policies").joinpath("default.yaml")))


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


def parse_policy(
    text: str,
    source: str = "<policy>",
    *,
    folder: Path | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Policy:
    """Returns the policy in `text`; `source` names it in messages.

    List files are looked up in `files` where given, and otherwise read from `folder`.

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
        name: ListReader(name, written, report, ListFiles(folder, files), digest).read()
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


def list_files(policy: Policy) -> tuple[str, ...]:
    """Returns the names of the list files that a policy was made of."""
    return tuple(entries.file for entries in policy.lists.values() if entries.file)


def conditions_of(rules: Iterable[Rule]) -> Iterator[TextCondition]:
    """Yields every condition of `rules` that reads text."""
    for rule in rules:
        for condition in (rule.when, *rule.unless):
            for leaf in leaves(condition):
                if isinstance(leaf, TextCondition):
                    yield leaf
