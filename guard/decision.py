"""What the guard answers: an outcome with everything that explains it, and nothing of the request itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from guard.model import Action, Certainty, Outcome, Severity, Stage
from guard.reasons import reason_of

DECISION_FORMAT = 1  # version of `Decision.to_json`; raised when a key changes its meaning


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that a condition saw. Names of people and words of the prompt are not in it.

    `source` is the role of the text or picture, `index` its number in the request. For texts, `start` and
    `end` are the half-open span of characters in the text as it was sent, `view` is the simplest reading of
    the text in which the entry is visible, `list` and `entry` say what matched. For pictures, the span is
    None.
    """

    condition: str
    source: str
    index: int
    certainty: Certainty = Certainty.SURE
    view: str = ""
    start: int | None = None
    end: int | None = None
    list: str = ""
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fired, or a check that could not run (`rule_id` "guard" where no rule is to blame)."""

    rule_id: str
    title: str
    severity: Severity
    action: Action
    reason: str
    evidence: tuple[Evidence, ...] = ()
    tell_user: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A rule of which some conditions held and others did not; `missing` describes those."""

    rule_id: str
    held: int
    total: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one `GuardRequest`.

    `findings` are the enforced rules that fired, gravest first; `shadow` those that only watch;
    `exceptions` the ids of exceptions that kept a rule from firing. `handle` is an HMAC of the texts (""
    without a key).
    """

    decision_id: str
    at: datetime
    stage: Stage
    tenant: str
    purpose: str
    policy: str
    policy_digest: str
    outcome: Outcome
    points: int
    findings: tuple[Finding, ...] = ()
    shadow: tuple[Finding, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()
    exceptions: tuple[str, ...] = ()
    handle: str = ""

    @property
    def allowed(self) -> bool:
        """True only for the outcome `allow`."""
        return self.outcome is Outcome.ALLOW

    @property
    def reason(self) -> str:
        """The reason code of the gravest finding; "" where there is none."""
        return self.findings[0].reason if self.findings else ""

    def user_text(self, language: str = "en") -> str:
        """Returns what the user may be told, in `language` where the rule has it, otherwise in English."""
        if not self.findings:
            return ""
        told = self.findings[0].tell_user
        return told.get(language) or told.get("en") or reason_of(self.reason).user_text

    def user_hint(self) -> tuple[str, int, int] | None:
        """Returns role, start and end of the text to look at, or None where showing it would help probing."""
        if not self.findings or not reason_of(self.reason).hint:
            return None
        spans = (e for e in self.findings[0].evidence if e.start is not None and e.end is not None)
        return next(((e.source, e.start or 0, e.end or 0) for e in spans), None)

    def to_json(self) -> dict[str, Any]:
        """Returns the decision as JSON-ready values, without the request's text or pictures."""
        record = {"format": DECISION_FORMAT, **asdict(self)}
        record["at"] = self.at.isoformat()
        return record
