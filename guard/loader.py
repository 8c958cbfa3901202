"""Policy text to `Policy`. Lint, tests and production all load through here, so they cannot disagree."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from guard import source as tree
from guard.consistency import check_policy
from guard.errors import PolicyError, Problem
from guard.extend import Bases, merge
from guard.language import LIST_KINDS, POLICY, PolicyDraft
from guard.lists import ListReader
from guard.location import Location
from guard.model import Policy, Rule, Stage, TextCondition, leaves
from guard.schema import FAILED, Report, suggest
from guard.sources import PolicyFiles, shipped_folder


def default_policy_path() -> Path:
    """Returns where the shipped policy is installed."""
    return shipped_folder() / "default.yaml"


def load_policy(path: Path) -> Policy:
    """Reads the policy file at `path`, the files beside it that it names, and what it extends.

    Raises `PolicyError` with every problem found, each with its line and column; a file that cannot be read
    is one of them.
    """
    return read_policy(path)[0]


def read_policy(path: Path) -> tuple[Policy, Mapping[str, bytes]]:
    """Returns the policy at `path`, and by name every file that it was made of; raises as `load_policy`."""
    files = PolicyFiles(path.parent)
    content = files.read(path.name)
    if isinstance(content, str):
        raise _whole_file(str(path), content)
    return _parse(content, str(path), files, ()), files.read_so_far


def parse_policy(
    text: str,
    source: str = "<policy>",
    *,
    folder: Path | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Policy:
    """Returns the policy in `text`; `source` names it in messages.

    Other files are looked up in `files` where given, and otherwise read from `folder` and the package.

    Raises `PolicyError` with every problem found.
    """
    return _parse(text, source, PolicyFiles(folder, files), ())


def _parse(content: bytes | str, source: str, files: PolicyFiles, above: tuple[str, ...]) -> Policy:
    """Reads one file; `above` are the policies that extend it, the nearest last."""
    if isinstance(content, bytes):
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _whole_file(source, f"is not UTF-8 text (byte {error.start})") from error
    report = Report(tree.Source(source, content))
    root = tree.read_tree(report.source)
    draft = POLICY.read(root, report)
    bases = Bases(report, files, (*above, source), _parse).read(root)
    _check_references(report, {**_kinds(bases), **_declared_lists(root)})
    if draft is FAILED:
        raise PolicyError(report.problems)
    digest = hashlib.sha256(content.encode("utf-8", "surrogatepass"))
    for base in bases:
        digest.update(f"\0extends\0{base.digest}".encode())
    own = {
        name: ListReader(name, written, report, files, digest).read() for name, written in draft.lists.items()
    }
    rules, lists = merge(draft, own, bases, report)
    for problem in check_policy(draft, rules, bases):
        report.add(*problem)
    if report.problems:
        raise PolicyError(report.problems)
    return Policy(
        name=draft.policy,
        version=draft.version,
        rules=rules,
        lists=lists,
        unchecked_stages=_unchecked(draft, bases, rules),
        tests=draft.tests,
        digest=digest.hexdigest(),
        at=draft.at,
        description=draft.description,
        strictness=draft.strictness or max((base.strictness for base in bases), default=1),
        bases=tuple(label for base in bases for label in (base.label, *base.bases)),
    )


def _unchecked(draft: PolicyDraft, bases: Sequence[Policy], rules: Sequence[Rule]) -> tuple[Stage, ...]:
    """Returns the stages left unchecked by the file itself, or by every policy that it extends."""
    seen = {rule.stage for rule in rules}
    return tuple(
        stage
        for stage in Stage
        if stage not in seen
        and (stage in draft.unchecked_stages or (bases and all(stage in b.unchecked_stages for b in bases)))
    )


def _kinds(bases: Iterable[Policy]) -> dict[str, str]:
    return {entries.name: entries.kind for base in bases for entries in base.lists.values()}


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


def conditions_of(rules: Iterable[Rule]) -> Iterator[TextCondition]:
    """Yields every condition of `rules` that reads text."""
    for rule in rules:
        for condition in (rule.when, *rule.unless):
            for leaf in leaves(condition):
                if isinstance(leaf, TextCondition):
                    yield leaf
