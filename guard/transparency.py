"""What a log says as a whole: counts for transparency reports, with the categories of the DSA.

Regulation (EU) 2022/2065 asks in Article 15 for the number of restrictions by type of content, by the means
by which they were found, and for complaints with their outcomes; Article 17(3)(c) for whether automated means
were used. The categories are those of the DSA Transparency Database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from guard.history import Past
from guard.model import Outcome
from guard.reasons import reason_of


@dataclass(frozen=True, slots=True)
class Appeals:
    """How appeals went, and the median time to a decision in hours (None where none is decided)."""

    filed: int = 0
    decided: int = 0
    reversed: int = 0
    median_hours: float | None = None
    by_reason: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # decided, reversed

    @property
    def reversal_rate(self) -> float | None:
        """The share of decided appeals that were reversed."""
        return self.reversed / self.decided if self.decided else None


@dataclass(frozen=True, slots=True)
class TransparencyReport:
    """Counts of one period. Restrictions are decisions other than `allow`; all are made automatically."""

    first: datetime | None
    last: datetime | None
    decisions: int
    outcomes: Mapping[str, int]
    stages: Mapping[str, int]  # of restrictions
    reasons: Mapping[str, int]  # of restrictions
    dsa: Mapping[str, int]  # of restrictions
    rules: Mapping[str, int]  # that fired, in whichever place
    shadow_rules: Mapping[str, int]  # that would have fired
    exceptions: Mapping[str, int]
    policies: Mapping[str, int]
    appeals: Appeals

    def to_json(self) -> dict[str, Any]:
        """Returns the report as JSON-ready values."""
        return {
            "format": 1,
            "period": [moment.isoformat() if moment else None for moment in (self.first, self.last)],
            "decisions": self.decisions,
            "outcomes": dict(self.outcomes),
            "restrictions": {
                "automated_detection": True,
                "automated_decision": True,
                "by_stage": dict(self.stages),
                "by_reason": dict(self.reasons),
                "by_dsa_category": {f"STATEMENT_CATEGORY_{name}": n for name, n in self.dsa.items()},
            },
            "rules": dict(self.rules),
            "shadow_rules": dict(self.shadow_rules),
            "exceptions": dict(self.exceptions),
            "policies": dict(self.policies),
            "appeals": {
                "filed": self.appeals.filed,
                "decided": self.appeals.decided,
                "reversed": self.appeals.reversed,
                "reversal_rate": self.appeals.reversal_rate,
                "median_hours": self.appeals.median_hours,
                "by_reason": {
                    reason: {"decided": decided, "reversed": overturned}
                    for reason, (decided, overturned) in self.appeals.by_reason.items()
                },
            },
        }


def count(
    past: Iterable[Past],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    appeals: Appeals = Appeals(),
) -> TransparencyReport:
    """Counts the decisions made from `since` up to, and without, `until`."""
    kept = [p for p in past if (since is None or p.at >= since) and (until is None or p.at < until)]
    restricted = [p for p in kept if p.outcome is not Outcome.ALLOW]
    return TransparencyReport(
        first=min((p.at for p in kept), default=None),
        last=max((p.at for p in kept), default=None),
        decisions=len(kept),
        outcomes=_counts(p.outcome.value for p in kept),
        stages=_counts(p.stage.value for p in restricted),
        reasons=_counts(p.reason for p in restricted),
        dsa=_counts(reason_of(p.reason).dsa_category for p in restricted),
        rules=_counts(finding["rule_id"] for p in kept for finding in p.findings),
        shadow_rules=_counts(finding["rule_id"] for p in kept for finding in p.record.get("shadow", [])),
        exceptions=_counts(name for p in kept for name in p.record.get("exceptions", [])),
        policies=_counts(p.policy for p in kept),
        appeals=appeals,
    )


def _counts(words: Iterable[str]) -> dict[str, int]:
    """Returns how often each word comes, the most frequent first."""
    return dict(sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0])))
