"""The tests that stand inside rules."""

from __future__ import annotations

from dataclasses import dataclass

from guard.errors import Location


@dataclass(frozen=True, slots=True)
class PictureCase:
    """The picture of a test, described.

    `face` is present, none or unknown; `consent` valid, none or expired; `hash` listed or unlisted;
    `match` enrolled or nobody.
    """

    face: str
    at: Location
    consent: str = "none"
    hash: str = "unlisted"
    match: str = "nobody"


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
