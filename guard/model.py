"""A policy as the engine sees it: frozen values, already validated, with the places they came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from guard.errors import Location


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


# The scale of the OWASP Core Rule Set (crs-setup.conf): critical 5, error 4, warning 3, notice 2; block at 5.
POINTS: Mapping[Severity, int] = {
    Severity.CRITICAL: 5,
    Severity.HIGH: 4,
    Severity.MEDIUM: 3,
    Severity.LOW: 2,
}
BLOCK_AT_POINTS = 5
REVIEW_AT_POINTS = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list: a person with all their names, or one word or phrase."""

    id: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EntryList:
    """A list that conditions refer to by name. `kind` is `people`, `words` or `digests` (SHA-256, hex)."""

    name: str
    kind: str
    entries: tuple[Entry, ...] = field(repr=False)
    at: Location
    source: str = ""
    licence: str = ""
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """Holds where a text contains an entry of a word list, `within` so many words of another match."""

    words: str  # name of the list
    at: Location
    certainty: Certainty = Certainty.LIKELY
    within: int | None = None


@dataclass(frozen=True, slots=True)
class Mentions:
    """Holds where a text names a person of a list, in whatever disguise `certainty` allows."""

    mentions: str  # name of the list
    at: Location
    certainty: Certainty = Certainty.LIKELY
    within: int | None = None


@dataclass(frozen=True, slots=True)
class Face:
    """Holds for a picture in which a face was detected."""

    face: str  # "present"
    at: Location
    certainty: Certainty = Certainty.LIKELY


@dataclass(frozen=True, slots=True)
class Consent:
    """Holds for a picture without a valid consent token for the request's tenant and purpose."""

    consent: str  # "missing"
    at: Location


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """Holds where an adapter's digest is not in the list `trusted`."""

    adapter: str  # "unlisted"
    trusted: str  # name of the list
    at: Location


@dataclass(frozen=True, slots=True)
class AllOf:
    """Holds where every one of its conditions holds."""

    all: tuple[Condition, ...]
    at: Location


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Holds where at least one of its conditions holds."""

    any: tuple[Condition, ...]
    at: Location


TextCondition = Words | Mentions
PictureCondition = Face | Consent
Leaf = Words | Mentions | Face | Consent | AdapterFile
Condition = Leaf | AllOf | AnyOf


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Yields the conditions without parts, in file order."""
    match condition:
        case AllOf(all=parts) | AnyOf(any=parts):
            for part in parts:
                yield from leaves(part)
        case _:
            yield condition


def list_of(leaf: TextCondition) -> str:
    """Returns the name of the list that a text condition looks for."""
    return leaf.words if isinstance(leaf, Words) else leaf.mentions


@dataclass(frozen=True, slots=True)
class PictureCase:
    """The picture of a test, described: `face` present, none, unknown; `consent` valid, none, expired."""

    face: str
    at: Location
    consent: str = "none"


@dataclass(frozen=True, slots=True)
class AdapterCase:
    """The adapter of a test: `listed` in, or `unlisted` by, every list that the rule trusts."""

    adapter: str
    at: Location


Case = str | PictureCase | AdapterCase


@dataclass(frozen=True, slots=True)
class CaseTest:
    """What a text, a picture or an adapter must lead to: an action of the rule, or `allow`."""

    expect: str
    case: Case
    at: Location


@dataclass(frozen=True, slots=True)
class AttackTest:
    """A template whose placeholder takes every entry of a list, disguised by every named attack."""

    attack: str
    attacks: tuple[str, ...]
    at: Location
    person: str | None = None
    word: str | None = None
    block_at_least: float = 1.0


RuleTest = CaseTest | AttackTest


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
    """One rule, with its tests and the text that the user gets."""

    id: str
    title: str
    stage: Stage
    severity: Severity
    when: Condition
    then: Action
    reason: str
    at: Location
    mode: Mode = Mode.SHADOW
    unless: tuple[Condition, ...] = ()
    on_error: Outcome = Outcome.BLOCK
    tell_user: Mapping[str, str] = field(default_factory=dict)
    exceptions: tuple[RuleException, ...] = ()
    tests: tuple[RuleTest, ...] = ()

    @property
    def looks_at_pictures(self) -> bool:
        """True where the rule is evaluated once per picture."""
        return any(isinstance(leaf, PictureCondition) for leaf in leaves(self.when))

    @property
    def trusted_lists(self) -> tuple[str, ...]:
        """The lists of adapter digests that the rule trusts."""
        return tuple(leaf.trusted for leaf in leaves(self.when) if isinstance(leaf, AdapterFile))


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules and lists of one file. `digest` is the SHA-256 of the file and of every list file, in hex."""

    name: str
    version: str
    rules: tuple[Rule, ...]
    lists: Mapping[str, EntryList]
    unchecked_stages: tuple[Stage, ...]
    tests: tuple[CaseTest, ...]
    digest: str
    at: Location
    description: str = ""

    @property
    def label(self) -> str:
        """`name@version`, as decisions and manifests carry it."""
        return f"{self.name}@{self.version}"

    def for_stage(self, stage: Stage) -> tuple[Rule, ...]:
        """Returns the rules that are not off at `stage`."""
        return tuple(rule for rule in self.rules if rule.stage is stage and rule.mode is not Mode.OFF)
