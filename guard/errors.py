"""The errors of this package. Every message says what was wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guard.location import Location

if TYPE_CHECKING:
    from guard.decision import Decision


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One thing that is wrong in a policy, with the line it stands on."""

    location: Location
    message: str
    suggestion: str | None = None
    source_line: str = ""

    def render(self) -> str:
        """Returns the problem as an editor would show it: place, message, the line, a caret below it."""
        text = f"{self.location}: {self.message}"
        if self.suggestion:
            text += f" - did you mean {self.suggestion!r}?"
        if not self.source_line:
            return text
        gutter = f"{self.location.line:>5} | "
        caret = " " * (len(gutter) + self.location.column - 1) + "^"
        return f"{text}\n{gutter}{self.source_line}\n{caret}"


class GuardError(Exception):
    """Base of every error that this package raises on purpose."""


class PolicyError(GuardError):
    """A policy cannot be loaded. `problems` holds all of them, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(problem.render() for problem in self.problems))


class PolicyViolation(GuardError):  # noqa: N818 - the word of the field; the decision is the content
    """A request was not allowed. `decision` says by which rules and why, without the request's text."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        rules = ", ".join(finding.rule_id for finding in decision.findings) or "no rule"
        super().__init__(
            f"{decision.outcome} by {decision.policy} ({rules}); decision {decision.decision_id}"
        )


class PictureError(GuardError):
    """Bytes offered as a picture are not one, or are larger than the limits allow."""


class BackendError(GuardError):
    """A check could not run: its model is missing or failed."""


class AdapterError(GuardError):
    """A file offered as an adapter is not a sound safetensors file."""


class BundleError(GuardError):
    """A policy bundle is not signed, not whole, or holds a policy that does not pass its own tests."""


class LogError(GuardError):
    """A decision log cannot be written to or is not what its last acknowledged state says."""


class VaultError(GuardError):
    """A prompt vault cannot be written or read: no key, the wrong key, or entries that were changed."""


class ConsentError(GuardError):
    """A consent token cannot be used. `reason` is a stable word for logs: malformed, expired, revoked, ..."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)
