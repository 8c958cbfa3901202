"""The grammar of overrides: single fields of rules and lists that another policy wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from guard.language.rules import RULE
from guard.language.words import identifier, item
from guard.location import Location
from guard.model import Action, Mode, Outcome, RuleException, RuleTest, Severity
from guard.schema import Choice, Key, ListOf, Record, Spec, Text


@dataclass(frozen=True)
class RuleOverride:
    """New values of fields of one rule; None leaves a field as it is. Exceptions and tests are added."""

    rule: str
    why: str
    at: Location
    mode: Mode | None = None
    severity: Severity | None = None
    then: Action | None = None
    on_error: Outcome | None = None
    strictness: int | None = None
    reason: str | None = None
    tell_user: Mapping[str, str] | None = None
    exceptions: tuple[RuleException, ...] = ()
    tests: tuple[RuleTest, ...] = ()


@dataclass(frozen=True)
class ListOverride:
    """Entries that are added to a list, and entries (by any of their names) that are taken out."""

    list: str
    why: str
    at: Location
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


Override = RuleOverride | ListOverride

_why = Key(Text("a reason"), "Why this is different here.", required=True)
_REPLACED = ("mode", "severity", "then", "on_error", "strictness", "reason", "tell_user")
_ADDED = ("exceptions", "tests")
_rule = Record(
    "an override of a rule",
    RuleOverride,
    {
        "rule": Key(identifier("the id of a rule"), "The rule that is changed.", required=True),
        "why": _why,
        **{name: Key(RULE.keys[name].spec, f"In place of the rule's own `{name}`.") for name in _REPLACED},
        **{name: Key(RULE.keys[name].spec, f"Added to the rule's own {name}.") for name in _ADDED},
    },
    one_of=(*_REPLACED, *_ADDED),
)
_list = Record(
    "an override of a list",
    ListOverride,
    {
        "list": Key(identifier("the name of a list"), "The list that is changed.", required=True),
        "why": _why,
        "add": Key(ListOf("entries", item), "Entries that are added."),
        "remove": Key(ListOf("entries", item), "Entries that are taken out, by any of their names."),
    },
    one_of=("add", "remove"),
)
OVERRIDE: Spec[Override] = Choice[Override]("an override", {"rule": _rule, "list": _list})
