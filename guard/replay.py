"""Past decisions under another policy: which would change, and by which rules.

The log knows prompts only by their HMAC, so a replay needs the vault. Without it nothing is guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from guard.engine import Guard
from guard.history import Past
from guard.model import Outcome, Policy
from guard.request import GuardRequest

_ORDER = (Outcome.ALLOW, Outcome.REVIEW, Outcome.BLOCK)


@dataclass(frozen=True, slots=True)
class Change:
    """One decision that would be another one. Rules are those of the gravest finding, "" where none fired."""

    decision_id: str
    at: datetime
    tenant: str
    before: Outcome
    after: Outcome
    rule_before: str
    rule_after: str

    @property
    def stricter(self) -> bool:
        """True where less would be let through."""
        return _ORDER.index(self.after) > _ORDER.index(self.before)


@dataclass(frozen=True, slots=True)
class Replay:
    """How `replayed` of `decisions` decisions came out; the rest was not in the vault, or had no texts."""

    decisions: int
    replayed: int
    changes: tuple[Change, ...]

    @property
    def counts(self) -> Mapping[tuple[Outcome, Outcome], int]:
        """How many decisions change from one outcome to another."""
        return Counter((change.before, change.after) for change in self.changes)


def replay(past: Iterable[Past], requests: Mapping[str, GuardRequest], new: Policy) -> Replay:
    """Judges the requests of past decisions by `new`, each at its own time, and compares with the log."""
    changes, total, replayed = [], 0, 0
    judge = _Judge(new)
    for decision in past:
        total += 1
        request = requests.get(decision.id)
        if request is None:
            continue
        replayed += 1
        outcome, rule = judge(request, decision.at)
        before = str(decision.findings[0]["rule_id"]) if decision.findings else ""
        if (outcome, rule) != (decision.outcome, before):
            changes.append(_change(decision, decision.outcome, before, outcome, rule))
    return Replay(total, replayed, tuple(changes))


def compare(past: Iterable[Past], requests: Mapping[str, GuardRequest], old: Policy, new: Policy) -> Replay:
    """Judges the requests of past decisions by two policies and compares those."""
    changes, total, replayed = [], 0, 0
    first, second = _Judge(old), _Judge(new)
    for decision in past:
        total += 1
        request = requests.get(decision.id)
        if request is None:
            continue
        replayed += 1
        before, after = first(request, decision.at), second(request, decision.at)
        if before != after:
            changes.append(_change(decision, *before, *after))
    return Replay(total, replayed, tuple(changes))


def _change(decision: Past, before: Outcome, rule_before: str, after: Outcome, rule_after: str) -> Change:
    return Change(decision.id, decision.at, decision.tenant, before, after, rule_before, rule_after)


class _Judge:
    """A policy, with the clock at the time of the decision (exceptions end)."""

    def __init__(self, policy: Policy) -> None:
        self._now: datetime | None = None
        self._guard = Guard(policy, faces=None, consents=None, clock=self._clock)

    def _clock(self) -> datetime:
        if self._now is None:
            raise RuntimeError("the clock is set before each decision")
        return self._now

    def __call__(self, request: GuardRequest, at: datetime) -> tuple[Outcome, str]:
        self._now = at
        decision = self._guard.evaluate(request)
        return decision.outcome, decision.findings[0].rule_id if decision.findings else ""
