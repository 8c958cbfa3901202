"""Which conditions of a policy its tests have seen hold and not hold, and which entries they have met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from guard.engine import Guard
from guard.errors import BackendError
from guard.model import CaseTest, Condition, Mode, Policy, Rule, leaves
from guard.request import GuardRequest
from guard.rules import describe, view_for
from guard.testing import request_of


@dataclass(frozen=True, slots=True)
class ConditionCoverage:
    """One condition: whether some test of its rule saw it hold, and whether one saw it not hold."""

    rule_id: str
    condition: str
    line: int
    held: bool
    missed: bool

    @property
    def covered(self) -> bool:
        """True where the tests show both sides."""
        return self.held and self.missed


def cover(policy: Policy, guard: Guard) -> list[ConditionCoverage]:
    """Returns the coverage of every condition of the rules that are not off, exemptions included."""
    return [found for rule in policy.rules if rule.mode is not Mode.OFF for found in _cover(rule, guard)]


def _cover(rule: Rule, guard: Guard) -> Iterator[ConditionCoverage]:
    seen: dict[Condition, set[bool]] = {
        leaf: set() for part in (rule.when, *rule.unless) for leaf in leaves(part)
    }
    for test in rule.tests:
        if isinstance(test, CaseTest):
            request, backed = request_of(test.case, rule, guard)
            for leaf, results in seen.items():
                results.add(_holds(leaf, rule, request, backed))
    for leaf, results in seen.items():
        yield ConditionCoverage(rule.id, describe(leaf), leaf.at.line, True in results, False in results)


def _holds(leaf: Condition, rule: Rule, request: GuardRequest, guard: Guard) -> bool:
    picture = 0 if rule.looks_at_pictures and request.pictures else None
    try:
        return view_for(rule, guard.facts(request), picture).holds(leaf)
    except BackendError:
        return False
