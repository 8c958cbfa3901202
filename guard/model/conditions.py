"""The conditions of rules: leaves that look at something, and `all` and `any` of others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from guard.location import Location
from guard.model.terms import Certainty, Role


@dataclass(frozen=True, slots=True)
class Words:
    """Holds where a text contains an entry of a word list, `within` so many words of another match."""

    words: str  # name of the list
    at: Location
    certainty: Certainty = Certainty.LIKELY
    within: int | None = None


@dataclass(frozen=True, slots=True)
class Mentions:
    """Holds where a text names a person of a list, in whatever disguise `certainty` allows.

    `role` (in a policy: `as`) asks for names of one role: who is shown, or whose style is borrowed.
    """

    mentions: str  # name of the list
    at: Location
    certainty: Certainty = Certainty.LIKELY
    within: int | None = None
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """Holds where a regular expression (RE2) of a list of patterns is found in a text."""

    pattern: str  # name of the list
    at: Location
    certainty: Certainty = Certainty.LIKELY
    within: int | None = None


@dataclass(frozen=True, slots=True)
class Idea:
    """Holds where a text is about an idea, as a classifier or a text encoder sees it."""

    idea: str
    at: Location
    certainty: Certainty = Certainty.LIKELY


@dataclass(frozen=True, slots=True)
class KnownPicture:
    """Holds for a picture that is a copy of one in a list of hashes."""

    hash: str  # name of the list
    at: Location


@dataclass(frozen=True, slots=True)
class Face:
    """Holds for a picture in which a face was detected."""

    face: str  # "present"
    at: Location
    certainty: Certainty = Certainty.LIKELY


@dataclass(frozen=True, slots=True)
class ProtectedFace:
    """Holds for a picture that shows somebody of the face gallery.

    `wrong_person_at_most` is the share of pictures of strangers for which it may hold by mistake.
    """

    face_matches: str  # "protected-people"
    at: Location
    wrong_person_at_most: float = 1e-5


@dataclass(frozen=True, slots=True)
class Shows:
    """Holds for a picture that shows what `shows` says, as an image-text model sees it."""

    shows: str
    at: Location
    certainty: Certainty = Certainty.LIKELY


@dataclass(frozen=True, slots=True)
class Consent:
    """Holds for a picture without a valid consent token for the request's tenant and purpose."""

    consent: str  # "missing"
    at: Location


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """Holds where an adapter is in a state: `unlisted` (its digest is not in the list `trusted`), `unsigned`
    (no manifest of a known issuer names it), `shows-one-person` (its trial pictures do)."""

    adapter: str
    at: Location
    trusted: str | None = None  # name of the list, for `unlisted`


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


TextCondition = Words | Mentions | Pattern
PictureCondition = Face | ProtectedFace | Consent | KnownPicture | Shows
Leaf = Words | Mentions | Pattern | Idea | AdapterFile | PictureCondition
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
    match leaf:
        case Words(words=name) | Mentions(mentions=name) | Pattern(pattern=name):
            return name
