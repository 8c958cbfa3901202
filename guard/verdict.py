"""From what rules find to one outcome: the gravest thing asked for, and what points add up to."""

from __future__ import annotations

import uuid
from datetime import datetime

from guard.decision import Finding, NearMiss
from guard.errors import BackendError
from guard.model import (
    BLOCK_AT_POINTS,
    POINTS,
    REVIEW_AT_POINTS,
    Action,
    Mode,
    Outcome,
    Rule,
    Severity,
)
from guard.reasons import reason_of

_ORDER = (Outcome.ALLOW, Outcome.REVIEW, Outcome.BLOCK)
_OUTCOME_OF = {Action.BLOCK: Outcome.BLOCK, Action.REVIEW: Outcome.REVIEW, Action.FLAG: Outcome.ALLOW}
_ACTION_OF = {outcome: action for action, outcome in _OUTCOME_OF.items()}


class Verdicts:
    """Collects what the rules say."""

    def __init__(self, enforced: list[Finding] | None = None) -> None:
        self.enforced = enforced or []
        self.shadow: list[Finding] = []
        self.near_misses: list[NearMiss] = []
        self.exceptions: list[str] = []

    def add(self, rule: Rule, finding: Finding) -> None:
        (self.enforced if rule.mode is Mode.ENFORCE else self.shadow).append(finding)


def guard_finding(reason: str) -> Finding:
    return Finding("guard", reason_of(reason).meaning, Severity.CRITICAL, Action.BLOCK, reason)


def error_finding(rule: Rule, error: BackendError) -> Finding:
    severity = Severity.CRITICAL if rule.on_error is Outcome.BLOCK else Severity.LOW
    action = _ACTION_OF[rule.on_error]
    return Finding(rule.id, rule.title, severity, action, "GUARD.CHECK_FAILED", error=str(error))


def gravity(finding: Finding) -> tuple[int, int]:
    return -_ORDER.index(_OUTCOME_OF[finding.action]), -POINTS[finding.severity]


def compose(findings: list[Finding], points: int) -> Outcome:
    """The gravest of what the findings ask for and of what their points add up to."""
    scored = (
        Outcome.BLOCK
        if points >= BLOCK_AT_POINTS
        else Outcome.REVIEW
        if points >= REVIEW_AT_POINTS
        else Outcome.ALLOW
    )
    asked = (_OUTCOME_OF[finding.action] for finding in findings)
    return max((scored, *asked), key=_ORDER.index)


def uuid7(now: datetime, random: bytes) -> str:
    """Returns a UUID version 7 (RFC 9562 section 5.7) of `now` and ten random bytes."""
    milliseconds = int(now.timestamp() * 1000)
    value = bytearray(milliseconds.to_bytes(6, "big") + random)
    value[6] = 0x70 | (value[6] & 0x0F)
    value[8] = 0x80 | (value[8] & 0x3F)
    return str(uuid.UUID(bytes=bytes(value)))
