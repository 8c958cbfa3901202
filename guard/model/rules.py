"""Rules and policies as the engine sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from guard.location import Location
from guard.model.conditions import AdapterFile, Condition, PictureCondition, leaves
from guard.model.lists import EntryList
from guard.model.terms import Action, Mode, Outcome, Severity, Stage
from guard.model.tests import CaseTest, RuleTest


@dataclass(frozen=True, slots=True)
class RuleException:
    """One tenant for whom a rule does not fire, until the end of a day (UTC)."""

    id: str
    tenant: str
    until: date
    why: str
    at: Location


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, with its tests and the text that the user gets.

    `strictness` is the lowest strictness of a policy, 1 to 4, at which the rule is looked at. At stage
    output, `frames_in_a_row` neighbouring frames must be found (all, where there are fewer), so that a
    flickering detector does not refuse a clip.
    """

    id: str
    title: str
    stage: Stage
    severity: Severity
    when: Condition
    then: Action
    reason: str
    at: Location
    mode: Mode = Mode.SHADOW
    strictness: int = 1
    frames_in_a_row: int = 1
    unless: tuple[Condition, ...] = ()
    on_error: Outcome = Outcome.BLOCK
    tell_user: Mapping[str, str] = field(default_factory=dict)
    exceptions: tuple[RuleException, ...] = ()
    tests: tuple[RuleTest, ...] = ()

    @property
    def looks_at_pictures(self) -> bool:
        """True where the rule is evaluated once per picture."""
        if self.stage is Stage.ADAPTER:  # consents come with the file there
            return False
        return any(isinstance(leaf, PictureCondition) for leaf in leaves(self.when))

    @property
    def looks_at_adapters(self) -> bool:
        """True where the rule asks for more of an adapter than its metadata."""
        return any(isinstance(leaf, AdapterFile) for leaf in leaves(self.when))

    @property
    def trusted_lists(self) -> tuple[str, ...]:
        """The lists of adapter digests that the rule trusts."""
        found = (leaf.trusted for leaf in leaves(self.when) if isinstance(leaf, AdapterFile))
        return tuple(name for name in found if name is not None)


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules and lists of one file, and of the policies that it extends (`bases`, by label).

    `digest` is the SHA-256 of the file and of every file that it draws on, in hex. `tests` are those of the
    file alone: what another policy promised as a whole need not hold for this one.
    """

    name: str
    version: str
    rules: tuple[Rule, ...]
    lists: Mapping[str, EntryList]
    unchecked_stages: tuple[Stage, ...]
    tests: tuple[CaseTest, ...]
    digest: str
    at: Location
    description: str = ""
    strictness: int = 1
    bases: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """`name@version`, as decisions and manifests carry it."""
        return f"{self.name}@{self.version}"

    def for_stage(self, stage: Stage) -> tuple[Rule, ...]:
        """Returns the rules that are looked at at `stage`."""
        return tuple(rule for rule in self.rules if rule.stage is stage and self.is_active(rule))

    def is_active(self, rule: Rule) -> bool:
        """True for a rule that is not off and not stricter than the policy."""
        return rule.mode is not Mode.OFF and rule.strictness <= self.strictness
