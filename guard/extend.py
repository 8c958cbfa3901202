"""One policy on top of others: their rules and lists, with single fields overridden.

Nothing is spliced as text: an override names a rule and a field, so a condition cannot change its meaning by
what is put next to it, and an override of something that is no longer there is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from guard import source as tree
from guard.errors import PolicyError
from guard.language import ListOverride, PolicyDraft, RuleOverride
from guard.location import Location
from guard.model import CaseTest, Entry, EntryList, Policy, Rule, RuleTest
from guard.schema import Report, suggest
from guard.sources import PolicyFiles

MAX_DEPTH = 6  # policies on top of each other; the shipped ones have four, an operator adds one
Parse = Callable[[bytes, str, PolicyFiles, tuple[str, ...]], Policy]


@dataclass(frozen=True)
class Bases:
    """Reads the policies that a file extends; what is wrong with them is in the report of that file."""

    report: Report
    files: PolicyFiles
    above: tuple[str, ...]
    parse: Parse

    def read(self, root: tree.Node) -> tuple[Policy, ...]:
        """Returns the policies named under `extends`, as far as they can be read."""
        entries = root.entries if isinstance(root, tree.Mapping) else []
        named = [value for key, value in entries if key.value == "extends"]
        items = [item for node in named if isinstance(node, tree.Sequence) for item in node.items]
        found = [self._read(item.value, item.at) for item in items if isinstance(item, tree.Scalar)]
        return tuple(policy for policy in found if policy)

    def _read(self, name: str, at: Location) -> Policy | None:
        file, files = self.files.base(name)
        source = files.place(file)
        if source in self.above:
            self.report.add(at, f"{name!r} extends itself")
            return None
        if len(self.above) >= MAX_DEPTH:
            self.report.add(at, f"policies may stand at most {MAX_DEPTH} on top of each other")
            return None
        content = files.read(file)
        if isinstance(content, str):
            self.report.add(at, f"policy {name!r} {content}")
            return None
        try:
            return self.parse(content, source, files, self.above)
        except PolicyError as error:
            self.report.add(at, f"policy {name!r} does not load; its problems follow")
            self.report.problems += error.problems
            return None


def merge(
    draft: PolicyDraft, own: Mapping[str, EntryList], bases: Sequence[Policy], report: Report
) -> tuple[tuple[Rule, ...], dict[str, EntryList]]:
    """Returns all rules and all lists: those of `bases` with the overrides of `draft`, then its own."""
    rules: dict[str, Rule] = {}
    lists: dict[str, EntryList] = {}
    for base in bases:
        for rule in base.rules:
            _keep_one(rules, rule.id, rule, f"rule {rule.id!r}", draft.at, report)
        for entries in base.lists.values():
            _keep_one(lists, entries.name, entries, f"list {entries.name!r}", draft.at, report)
    for override in draft.overrides:
        if isinstance(override, RuleOverride):
            _override_rule(rules, override, report)
        else:
            _override_list(lists, override, report)
    for name, entries in own.items():
        if name in lists:
            report.add(entries.at, f"list {name!r} is taken by a policy that is extended; name it otherwise")
    return (*rules.values(), *draft.rules), {**lists, **own}


def _keep_one(known: dict[str, Any], name: str, new: Any, what: str, at: Location, report: Report) -> None:
    """Two policies that extend the same third one bring the same rules; different ones must not collide."""
    if known.setdefault(name, new).at != new.at:
        report.add(at, f"{what} comes from two of the policies under `extends`, and they differ")


def _override_rule(rules: dict[str, Rule], override: RuleOverride, report: Report) -> None:
    rule = rules.get(override.rule)
    if rule is None:
        message = f"there is no rule {override.rule!r} in the policies that are extended"
        report.add(override.at, message, suggest(override.rule, list(rules)))
        return
    fields = ("mode", "severity", "then", "on_error", "strictness", "reason")
    changes: dict[str, Any] = {
        name: value for name in fields if (value := getattr(override, name)) is not None
    }
    then = override.then or rule.then
    tests = tuple(_same_verdict(test, rule, then.value) for test in rule.tests)
    rules[override.rule] = replace(
        rule,
        **changes,
        tell_user={**rule.tell_user, **(override.tell_user or {})},
        exceptions=rule.exceptions + override.exceptions,
        tests=tests + override.tests,
    )


def _same_verdict(test: RuleTest, rule: Rule, action: str) -> RuleTest:
    """A test of what the rule must block becomes a test of what it must review, where that is its action."""
    if isinstance(test, CaseTest) and test.expect == rule.then.value:
        return replace(test, expect=action)
    return test


def _override_list(lists: dict[str, EntryList], override: ListOverride, report: Report) -> None:
    entries = lists.get(override.list)
    if entries is None:
        message = f"there is no list {override.list!r} in the policies that are extended"
        report.add(override.at, message, suggest(override.list, list(lists)))
        return
    names = {name for entry in entries.entries for name in entry.names}
    for item in override.remove:
        if item not in names:
            report.add(override.at, f"{item!r} is not in list {override.list!r}", suggest(item, list(names)))
    kept = tuple(entry for entry in entries.entries if not set(entry.names) & set(override.remove))
    added = tuple(Entry(f"{override.list}:{item}", (item,)) for item in override.add)
    lists[override.list] = replace(entries, entries=kept + added)
