"""What is wrong between the parts of a policy, where every part by itself is right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from guard.language import PolicyDraft
from guard.location import Location
from guard.model import (
    Action,
    AdapterCase,
    AdapterFile,
    AttackTest,
    CaseTest,
    Consent,
    Leaf,
    Mode,
    PictureCase,
    PictureCondition,
    Policy,
    Rule,
    Stage,
    leaves,
)

Finding = tuple[Location, str, str | None]


def check_policy(draft: PolicyDraft, rules: Sequence[Rule], bases: Iterable[Policy]) -> Iterator[Finding]:
    """Yields what is wrong: `rules` are the draft's own and the overridden ones, `bases` what it extends."""
    first: dict[str, Rule] = {}
    taken = {rule.id: base.label for base in bases for rule in base.rules}
    for rule in draft.rules:
        if rule.id in taken:
            message = f"rule id {rule.id!r} is taken by {taken[rule.id]}; change that rule under `overrides`"
            yield rule.at, message, None
        other = first.setdefault(rule.id, rule)
        if other is not rule:
            yield rule.at, f"rule id {rule.id!r} is already used in line {other.at.line}", None
    for rule in rules:
        yield from _check_rule(rule)
    checked = {rule.stage for rule in rules if rule.mode is not Mode.OFF}
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
    if isinstance(leaf, AdapterFile) and (leaf.adapter == "unlisted") != (leaf.trusted is not None):
        yield leaf.at, "`unlisted` and the key 'trusted', which names the list, belong together", None
    if isinstance(leaf, Consent) and stage is Stage.ADAPTER:
        return
    if isinstance(leaf, Consent) and stage is not Stage.REFERENCE:
        yield leaf.at, f"consents come with files of stages reference and adapter, not {stage.value!r}", None
    elif isinstance(leaf, PictureCondition) and stage not in (Stage.REFERENCE, Stage.OUTPUT):
        yield leaf.at, f"pictures are not seen at stage {stage.value!r}; use stage reference or output", None


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
    return AdapterCase if rule.looks_at_adapters else str


def _check_attack(test: AttackTest, rule: Rule) -> Iterator[Finding]:
    for placeholder, name in (("person", test.person), ("word", test.word)):
        if (name is None) != (f"{{{placeholder}}}" not in test.attack):
            yield test.at, f"{{{placeholder}}} in the text and the key {placeholder!r} belong together", None
    if (test.person is None) == (test.word is None):
        yield test.at, "an attack needs one placeholder, {person} or {word}, and the list it stands for", None
    if rule.then is Action.FLAG:
        yield test.at, "an attack test says what must be blocked or reviewed; this rule only flags", None
