"""The closed words of the language: stages, modes, severities, actions, outcomes, certainties."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Stage(StrEnum):
    """Where in the life of a request a rule looks."""

    PROMPT = "prompt"
    REFERENCE = "reference"
    ADAPTER = "adapter"
    OUTPUT = "output"


class Mode(StrEnum):
    """`shadow` rules are evaluated and logged, and change nothing."""

    OFF = "off"
    SHADOW = "shadow"
    ENFORCE = "enforce"


class Severity(StrEnum):
    """How grave a finding is; `POINTS` says what it counts."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Action(StrEnum):
    """What a rule asks for when it fires. `flag` asks for nothing by itself: its points count."""

    BLOCK = "block"
    REVIEW = "review"
    FLAG = "flag"


class Outcome(StrEnum):
    """What a decision says. Only `allow` lets a request through."""

    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"


class Certainty(StrEnum):
    """How sure a match must be: `sure` is as written, `likely` sees through disguise, `possible` guesses."""

    SURE = "sure"
    LIKELY = "likely"
    POSSIBLE = "possible"

    @property
    def rank(self) -> int:
        """0 for `possible` to 2 for `sure`."""
        return ("possible", "likely", "sure").index(self.value)


class Role(StrEnum):
    """What a name is there for: `subject` is who is to be seen, `style` is whose style is borrowed."""

    SUBJECT = "subject"
    STYLE = "style"


# The scale of the OWASP Core Rule Set (crs-setup.conf): critical 5, error 4, warning 3, notice 2; block at 5.
POINTS: Mapping[Severity, int] = {
    Severity.CRITICAL: 5,
    Severity.HIGH: 4,
    Severity.MEDIUM: 3,
    Severity.LOW: 2,
}
BLOCK_AT_POINTS = 5
REVIEW_AT_POINTS = 3
MAX_STRICTNESS = 4  # levels as in the Core Rule Set, where they are called paranoia levels
