"""Which rules say the same, and which never matter because another one always fires first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from guard.model import (
    POINTS,
    Action,
    AllOf,
    AnyOf,
    Condition,
    EntryList,
    Leaf,
    Mentions,
    Mode,
    Policy,
    Rule,
    TextCondition,
    list_of,
)

_ACTIONS = (Action.FLAG, Action.REVIEW, Action.BLOCK)


def shadowed_rules(policy: Policy) -> Iterator[tuple[Rule, Rule, bool]]:
    """Yields rules with the one that makes them superfluous, and whether both ask for exactly the same.

    A rule never matters where another enforced rule of the stage, without exemptions and exceptions, fires
    whenever it does, and is as grave and asks for as much. What is found is certain; not all is found.
    """
    active = [rule for rule in policy.rules if policy.is_active(rule)]
    for number, rule in enumerate(active):
        for place, other in enumerate(active):
            if other is rule or other.stage is not rule.stage:
                continue
            same = _implies(rule.when, other.when, policy) and _implies(other.when, rule.when, policy)
            same = same and _texts(rule) == _texts(other)
            if same and place < number:
                yield rule, other, True
                break
            if not same and _outweighs(other, rule) and _implies(rule.when, other.when, policy):
                yield rule, other, False
                break


def _texts(rule: Rule) -> list[str]:
    return sorted(_shape(condition) for condition in rule.unless)


def _outweighs(other: Rule, rule: Rule) -> bool:
    return (
        other.mode is Mode.ENFORCE
        and not other.unless
        and not other.exceptions
        and POINTS[other.severity] >= POINTS[rule.severity]
        and _ACTIONS.index(other.then) >= _ACTIONS.index(rule.then)
    )


def _implies(one: Condition, two: Condition, policy: Policy) -> bool:
    """True where `two` certainly holds whenever `one` does."""
    if isinstance(one, AnyOf):
        return all(_implies(part, two, policy) for part in one.any)
    if isinstance(two, AllOf):
        return all(_implies(one, part, policy) for part in two.all)
    if isinstance(two, AnyOf) and any(_implies(one, part, policy) for part in two.any):
        return True
    if isinstance(one, AllOf):
        return any(_implies(part, two, policy) for part in one.all)
    return not isinstance(two, AnyOf) and _leaf_implies(one, two, policy)


def _leaf_implies(one: Leaf, two: Leaf, policy: Policy) -> bool:
    if isinstance(one, TextCondition) and isinstance(two, TextCondition):
        return (
            type(one) is type(two)
            and _inside(policy.lists[list_of(one)], policy.lists[list_of(two)])
            and one.certainty.rank >= two.certainty.rank
            and (two.within is None or (one.within is not None and one.within <= two.within))
            and (not isinstance(two, Mentions) or two.role in (None, getattr(one, "role", None)))
        )
    return _shape(one) == _shape(two)


def _inside(one: EntryList, two: EntryList) -> bool:
    if one.name == two.name:
        return True
    names = {name for entry in two.entries for name in entry.names}
    return all(name in names for entry in one.entries for name in entry.names)


def _shape(condition: Condition) -> str:
    """Returns a condition without places, the same for conditions that ask for the same."""
    match condition:
        case AllOf(all=parts):
            return f"all({sorted(map(_shape, parts))})"
        case AnyOf(any=parts):
            return f"any({sorted(map(_shape, parts))})"
        case _:
            values = [(f.name, str(getattr(condition, f.name))) for f in fields(condition) if f.name != "at"]
            return f"{type(condition).__name__}{values}"
