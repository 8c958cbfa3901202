"""The tests that stand inside rules."""

from __future__ import annotations

from dataclasses import dataclass

from guard.location import Location


@dataclass(frozen=True, slots=True)
class PictureCase:
    """The picture of a test, described.

    `face` is present, none or unknown; `consent` valid, none or expired; `hash` listed or unlisted;
    `match` enrolled or nobody; `shows` what a `shows` condition may ask for.
    """

    face: str
    at: Location
    consent: str = "none"
    hash: str = "unlisted"
    match: str = "nobody"
    shows: str = ""


@dataclass(frozen=True, slots=True)
class AdapterCase:
    """The adapter of a test, in every other way one to be let in.

    `adapter` is listed, unlisted, signed, unsigned, shows-one-person, shows-nobody or untried; `consent` is
    valid, none or expired.
    """

    adapter: str
    at: Location
    consent: str = "none"


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
