"""Findings about a policy that loads: what its author should know before it goes live."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from guard.ambiguity import ambiguous_entries
from guard.loader import conditions_of
from guard.location import Location
from guard.model import (
    AllOf,
    AttackTest,
    CaseTest,
    Certainty,
    Condition,
    EntryList,
    KnownPicture,
    Mentions,
    Mode,
    Outcome,
    Pattern,
    Policy,
    Rule,
    Severity,
    Stage,
    TextCondition,
    Words,
    leaves,
    list_of,
)
from guard.names import common_words, words_of
from guard.overlap import shadowed_rules
from guard.patterns import repeats_a_repetition

SHORT_ENTRY_LETTERS = 4  # Latin letters; shorter entries turn up inside unrelated texts
LONG_EXCEPTION = timedelta(days=366)  # an exception that never ends is a change of the rule


class IssueSeverity(StrEnum):
    """`error`: the policy does not do what it says. `warning`: it may not. `note`: worth a look."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding. `code` is stable, for suppressing it in tools."""

    severity: IssueSeverity
    code: str
    message: str
    at: Location
    suggestion: str | None = None


def lint_policy(
    policy: Policy, *, today: date | None = None, texts: Iterable[str] | None = None
) -> list[Issue]:
    """Returns what is questionable, gravest first.

    Without `today`, dates are not looked at. `texts` are harmless ones in which no name of a list should be
    found (`guard.ambiguity.everyday_texts`); without them, that is not looked at.
    """
    issues = [*_about_policy(policy), *_about_lists(policy), *_about_patterns(policy)]
    issues += [] if texts is None else _about_names(policy, texts)
    for rule in policy.rules:
        issues += _about_rule(rule)
        issues += _about_condition(rule)
        issues += _about_exceptions(rule, today) if today else []
    order = list(IssueSeverity)
    return sorted(issues, key=lambda issue: (order.index(issue.severity), issue.at, issue.code))


def _about_policy(policy: Policy) -> Iterator[Issue]:
    enforced = {rule.stage for rule in policy.rules if rule.mode is Mode.ENFORCE}
    for stage in (Stage.PROMPT, Stage.REFERENCE, Stage.ADAPTER, Stage.OUTPUT):
        if stage in enforced or stage in policy.unchecked_stages:
            continue
        shadow = any(rule.stage is stage and rule.mode is Mode.SHADOW for rule in policy.rules)
        kind = IssueSeverity.WARNING if shadow else IssueSeverity.NOTE
        message = f"stage {stage.value!r} has no enforcing rule: every request at that stage is refused"
        yield Issue(kind, "stage-refused", message, policy.at)
    if not policy.tests:
        yield Issue(IssueSeverity.NOTE, "no-policy-tests", "no tests of the whole policy", policy.at)
    yield from _overlaps(policy)


def _overlaps(policy: Policy) -> Iterator[Issue]:
    for rule, other, same in shadowed_rules(policy):
        if same:
            message = f"rule {rule.id!r} asks for exactly the same as {other.id!r}"
            yield Issue(IssueSeverity.WARNING, "duplicate-rule", message, rule.at, "remove one of them")
        else:
            message = f"rule {rule.id!r} never matters: {other.id!r} fires whenever it does, and is as grave"
            yield Issue(IssueSeverity.WARNING, "shadowed-rule", message, rule.at, "raise its severity")


def _about_patterns(policy: Policy) -> Iterator[Issue]:
    for entries in policy.lists.values():
        for entry in entries.entries if entries.kind == "patterns" else ():
            if repeats_a_repetition(entry.names[0]):
                message = (
                    f"list {entries.name!r}: {entry.names[0]!r} repeats a repetition; it takes linear time "
                    "here, would hang other engines, and rarely says what was meant"
                )
                yield Issue(IssueSeverity.WARNING, "redos-prone", message, entries.at, "repeat once")


def _about_names(policy: Policy, texts: Iterable[str]) -> Iterator[Issue]:
    for found in ambiguous_entries(policy, texts):
        message = (
            f"list {found.list.name!r}: {found.entry!r} is found in {found.seen} of {found.texts:,} harmless "
            f"texts, for example {found.example[:60]!r}"
        )
        yield Issue(
            IssueSeverity.NOTE, "ambiguous-name", message, found.list.at, "ask for a second condition with it"
        )


def _about_lists(policy: Policy) -> Iterator[Issue]:
    used = {list_of(condition) for condition in conditions_of(policy.rules)}
    used |= {name for rule in policy.rules for name in rule.trusted_lists}
    used |= {
        leaf.hash for rule in policy.rules for leaf in leaves(rule.when) if isinstance(leaf, KnownPicture)
    }
    for entries in policy.lists.values():
        if entries.name not in used:
            yield Issue(
                IssueSeverity.WARNING,
                "unused-list",
                f"no rule uses list {entries.name!r}",
                entries.at,
                "remove it",
            )
        if entries.kind not in ("digests", "hashes"):
            yield from _about_entries(entries)


def _about_entries(entries: EntryList) -> Iterator[Issue]:
    seen: dict[tuple[str, ...], str] = {}
    short: list[str] = []
    for entry in entries.entries:
        for name in entry.names:
            words = words_of(name)
            if seen.setdefault(words, entry.id) != entry.id:
                message = f"list {entries.name!r}: {name!r} is there twice"
                yield Issue(IssueSeverity.NOTE, "duplicate-entry", message, entries.at)
            if not words:
                message = f"list {entries.name!r}: {name!r} has no letters and never matches"
                yield Issue(IssueSeverity.ERROR, "dead-entry", message, entries.at)
            elif entries.kind == "people" and all(word in common_words() for word in words):
                message = f"list {entries.name!r}: the name {name!r} is made of everyday words"
                yield Issue(IssueSeverity.NOTE, "everyday-name", message, entries.at)
            elif len("".join(words)) < SHORT_ENTRY_LETTERS and "".join(words).isascii():
                short.append(name)
    if short:
        names = ", ".join(map(repr, short[:5])) + (f" and {len(short) - 5} more" if len(short) > 5 else "")
        message = f"list {entries.name!r}: short entries may match by chance: {names}"
        yield Issue(IssueSeverity.NOTE, "short-entry", message, entries.at)


def _about_rule(rule: Rule) -> Iterator[Issue]:
    def issue(severity: IssueSeverity, code: str, message: str) -> Issue:
        return Issue(severity, code, f"rule {rule.id!r}: {message}", rule.at)

    cases = [test for test in rule.tests if isinstance(test, CaseTest)]
    if not any(test.expect == rule.then.value for test in cases):
        yield issue(IssueSeverity.WARNING, "no-tests", f"no test shows what it must {rule.then}")
    if not any(test.expect == "allow" for test in cases):
        yield issue(IssueSeverity.WARNING, "no-allow-test", "no test shows what it must let through")
    mentions = any(isinstance(leaf, Mentions) for leaf in leaves(rule.when))
    if mentions and not any(isinstance(test, AttackTest) for test in rule.tests):
        yield issue(IssueSeverity.NOTE, "no-attack-test", "names people and has no `attack` test")
    if not rule.tell_user:
        yield issue(IssueSeverity.WARNING, "no-user-text", "no `tell_user`; the user gets a general sentence")
    elif "en" not in rule.tell_user:
        yield issue(IssueSeverity.NOTE, "no-english-text", "`tell_user` has no English text to fall back to")
    if rule.severity is Severity.CRITICAL and rule.on_error is Outcome.ALLOW:
        yield issue(
            IssueSeverity.ERROR, "fails-open", "is critical and lets requests through when it cannot check"
        )
    elif rule.on_error is Outcome.ALLOW:
        yield issue(IssueSeverity.WARNING, "fails-open", "lets requests through when it cannot check")


def _about_condition(rule: Rule) -> Iterator[Issue]:
    texts = [leaf for leaf in leaves(rule.when) if isinstance(leaf, TextCondition)]
    if texts and all(leaf.within is not None for leaf in texts):
        message = (
            f"rule {rule.id!r} never fires: every condition has `within`, so there is nothing to be near to"
        )
        yield Issue(IssueSeverity.ERROR, "never-fires", message, rule.at)
    for exemption in rule.unless:
        for leaf in leaves(exemption):
            if isinstance(leaf, TextCondition) and _covered(leaf, rule.when):
                message = f"rule {rule.id!r} never fires: `unless` covers a condition that `when` needs"
                yield Issue(IssueSeverity.ERROR, "never-fires", message, leaf.at)
            if isinstance(leaf, Words) and leaf.certainty is Certainty.POSSIBLE:
                message = f"rule {rule.id!r}: an exemption on a guess is easy to abuse"
                yield Issue(IssueSeverity.WARNING, "loose-exemption", message, leaf.at)


def _covered(exemption: TextCondition, when: Condition) -> bool:
    """True where `when` cannot hold without `exemption` holding too."""
    match when:
        case AllOf(all=parts):
            return any(_covered(exemption, part) for part in parts)
        case Words() | Mentions() | Pattern():
            return list_of(when) == list_of(exemption) and exemption.certainty.rank <= when.certainty.rank
        case _:
            return False


def _about_exceptions(rule: Rule, today: date) -> Iterator[Issue]:
    for exception in rule.exceptions:
        where = f"rule {rule.id!r}: exception {exception.id!r}"
        if exception.until < today:
            message = f"{where} ended on {exception.until}"
            yield Issue(IssueSeverity.WARNING, "expired-exception", message, exception.at, "remove it")
        elif exception.until - today > LONG_EXCEPTION:
            message = f"{where} runs for more than a year"
            yield Issue(IssueSeverity.WARNING, "long-exception", message, exception.at)
