"""Conditions over facts: whether a rule fires, and on what evidence. Pure; no text is read here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from guard.decision import Evidence
from guard.model import (
    AdapterFile,
    AllOf,
    AnyOf,
    Condition,
    Consent,
    Face,
    Idea,
    KnownPicture,
    Leaf,
    Mentions,
    ProtectedFace,
    Role,
    Rule,
    Shows,
    TextCondition,
    leaves,
    list_of,
)

Places = frozenset[tuple[int, int]]  # number of the text, number of the word


class PictureFacts(Protocol):
    """What is known of the pictures of a request; both raise `BackendError` where a check cannot run."""

    def face(self, index: int, condition: Face) -> bool:
        """True where picture `index` has a face, with the certainty that `condition` asks for."""
        ...

    def people(self, index: int, wrong_person_at_most: float) -> frozenset[str]:
        """Returns who of the face gallery is in picture `index`."""
        ...

    def known(self, index: int, hashes: str) -> bool:
        """True where picture `index` is a copy of one in the list `hashes`."""
        ...

    def consented(self, index: int) -> bool:
        """True where a valid consent came with picture `index`."""
        ...


class ShownThings(Protocol):
    """What the pictures of a request show."""

    def shows(self, index: int, condition: Shows) -> bool:
        """True where picture `index` shows what is asked for; raises `BackendError` where unknown."""
        ...


class AdapterAnswers(Protocol):
    """What is known of the adapters of a request, by number."""

    def unsigned(self, index: int) -> bool:
        """True where nobody vouches for the adapter."""
        ...

    def shows_one_person(self, index: int) -> bool:
        """True where its trial pictures show one person; raises `BackendError` where it was not tried."""
        ...

    def consented(self, index: int) -> bool:
        """True where a valid consent came with the adapter."""
        ...


class TextIdeas(Protocol):
    """What the texts of a request are about."""

    def about(self, condition: Idea) -> tuple[int, ...]:
        """Returns the numbers of the texts that are about an idea; raises `BackendError` where unknown."""
        ...

    def role(self, index: int) -> str:
        """Returns the role of a text."""
        ...


@dataclass(frozen=True, slots=True)
class Sighting:
    """A match of a list entry in a text: evidence, and the words of the text that it covers."""

    evidence: Evidence
    first_word: int
    last_word: int
    role: Role | None = None  # of a name, where a rule asks for it

    def words_to(self, other: Sighting) -> int | None:
        """Returns how many words lie between the two, or None where they are in different texts."""
        if self.evidence.index != other.evidence.index:
            return None
        return max(self.first_word - other.last_word, other.first_word - self.last_word, 1) - 1

    def is_near(self, places: Places, words: int) -> bool:
        """True where at most `words` words lie between this and one of `places`."""
        reach = range(self.first_word - words - 1, self.last_word + words + 2)
        return any((self.evidence.index, word) in places for word in reach)


def places_of(sightings: Iterable[Sighting]) -> Places:
    """Returns the words that sightings cover, so that distances take no time that grows with their number."""
    return frozenset((s.evidence.index, w) for s in sightings for w in range(s.first_word, s.last_word + 1))


@dataclass(frozen=True, slots=True)
class Facts:
    """All sightings of a request by list, and its pictures."""

    sightings: Mapping[str, list[Sighting]]
    pictures: PictureFacts
    picture_roles: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()  # their digests
    digests: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by list
    ideas: TextIdeas | None = None
    shown: ShownThings | None = None
    files: AdapterAnswers | None = None


@dataclass(frozen=True, slots=True)
class View:
    """The facts as one rule sees them: for one picture, for one adapter (None: all), or for the texts alone;
    minus exempted sightings."""

    facts: Facts
    picture: int | None = None
    anchors: tuple[Sighting, ...] = ()
    places: Places = frozenset()
    exempted: frozenset[Sighting] = field(default_factory=frozenset)
    adapter: int | None = None

    def sightings(self, leaf: TextCondition) -> list[Sighting]:
        """Returns what a text condition sees."""
        found = self.facts.sightings.get(list_of(leaf))
        if not found:
            return []
        role = leaf.role if isinstance(leaf, Mentions) else None
        certain = [
            s
            for s in found
            if s.evidence.certainty.rank >= leaf.certainty.rank
            and role in (None, s.role)
            and s not in self.exempted
        ]
        if leaf.within is None:
            return certain
        return [s for s in certain if s.is_near(self.places, leaf.within)]

    def adapters(self, leaf: AdapterFile | Consent) -> list[int]:
        """Returns the numbers of the adapters for which a condition holds."""
        asked = range(len(self.facts.adapters)) if self.adapter is None else (self.adapter,)
        return [index for index in asked if self._adapter_is(leaf, index)]

    def _adapter_is(self, leaf: AdapterFile | Consent, index: int) -> bool:
        files = self.facts.files
        match leaf:
            case AdapterFile(adapter="unlisted", trusted=name):
                return self.facts.adapters[index] not in self.facts.digests.get(name or "", frozenset())
            case AdapterFile(adapter="unsigned"):
                return files is None or files.unsigned(index)
            case AdapterFile():
                return files is not None and files.shows_one_person(index)
            case _:
                return files is None or not files.consented(index)

    def about(self, leaf: Idea) -> tuple[int, ...]:
        """Returns the numbers of the texts that are about an idea; raises `BackendError` where unknown."""
        return self.facts.ideas.about(leaf) if self.facts.ideas else ()

    def holds(self, condition: Condition) -> bool:
        """Returns whether `condition` holds. Raises `BackendError` where a picture check cannot run."""
        match condition:
            case AllOf(all=parts):
                return all(self.holds(part) for part in parts)
            case AnyOf(any=parts):
                return any(self.holds(part) for part in parts)
            case Face():
                return self.picture is not None and self.facts.pictures.face(self.picture, condition)
            case ProtectedFace(wrong_person_at_most=rate):
                return self.picture is not None and bool(self.facts.pictures.people(self.picture, rate))
            case KnownPicture(hash=name):
                return self.picture is not None and self.facts.pictures.known(self.picture, name)
            case Shows():
                shown = self.facts.shown
                return self.picture is not None and shown is not None and shown.shows(self.picture, condition)
            case Idea():
                return bool(self.about(condition))
            case AdapterFile():
                return bool(self.adapters(condition))
            case Consent() if self.facts.adapters:
                return bool(self.adapters(condition))
            case Consent():
                return self.picture is not None and not self.facts.pictures.consented(self.picture)
            case _:
                return bool(self.sightings(condition))

    def evidence(self, condition: Condition) -> list[Evidence]:
        """Returns what the conditions that hold have seen."""
        found: list[Evidence] = []
        for leaf in leaves(condition):
            if isinstance(leaf, TextCondition):
                found += [sighting.evidence for sighting in self.sightings(leaf)]
            elif isinstance(leaf, AdapterFile):
                found += [Evidence(kind_of(leaf), "adapter", index) for index in self.adapters(leaf)]
            elif isinstance(leaf, Idea):
                ideas = self.facts.ideas
                found += [
                    Evidence("idea", ideas.role(i) if ideas else "", i, leaf.certainty, entry=leaf.idea)
                    for i in self.about(leaf)
                ]
            elif self.picture is not None and self.holds(leaf):
                role = self.facts.picture_roles[self.picture]
                what = leaf.shows if isinstance(leaf, Shows) else ""
                found.append(Evidence(kind_of(leaf), role, self.picture, entry=what))
        return found


def view_for(rule: Rule, facts: Facts, picture: int | None = None, adapter: int | None = None) -> View:
    """Returns the facts as `rule` sees them: distances count from its conditions without `within`."""
    plain = View(facts, picture)
    fixed = (leaf for leaf in leaves(rule.when) if isinstance(leaf, TextCondition) and leaf.within is None)
    anchors = tuple(s for leaf in fixed for s in plain.sightings(leaf))
    return View(facts, picture, anchors, places_of(anchors), adapter=adapter)


def fires(rule: Rule, view: View) -> View | None:
    """Returns the view in which `rule` fires (without what its exemptions cover), or None where it does not.

    An exemption with `within` covers only the sightings near it, so a statue in one corner does not excuse a
    photograph in another; the rule still fires when the rest is enough.
    """
    if not view.holds(rule.when):
        return None
    for exemption in rule.unless:
        if isinstance(exemption, TextCondition) and exemption.within is not None:
            view = _exempt(view, exemption, exemption.within)
        elif view.holds(exemption):
            return None
    return view if view.holds(rule.when) else None


def _exempt(view: View, exemption: TextCondition, words: int) -> View:
    excuses = places_of(view.sightings(exemption))
    covered = {anchor for anchor in view.anchors if anchor.is_near(excuses, words)}
    return replace(view, exempted=view.exempted | covered)


def kind_of(leaf: Leaf) -> str:
    """Returns the key by which a policy names the condition."""
    if isinstance(leaf, KnownPicture | ProtectedFace):
        return "hash" if isinstance(leaf, KnownPicture) else "face_matches"
    return type(leaf).__name__.lower().removesuffix("file")


def describe(condition: Condition) -> str:
    """Returns a condition in the words of the policy, on one line."""
    match condition:
        case AllOf(all=parts):
            return f"all of {len(parts)}"
        case AnyOf(any=parts):
            return "any of " + ", ".join(describe(part) for part in parts)
        case Face(face=value) | Consent(consent=value):
            return f"{kind_of(condition)}: {value}"
        case ProtectedFace(face_matches=name, wrong_person_at_most=rate):
            return f"face_matches: {name}, wrong person at most 1 in {1 / rate:.0f} uploads"
        case KnownPicture(hash=name):
            return f"hash: {name}"
        case Shows(shows=what, certainty=certainty):
            return f"shows: {what} ({certainty})"
        case Idea(idea=idea, certainty=certainty):
            return f"idea: {idea} ({certainty})"
        case AdapterFile(adapter=state, trusted=name):
            return f"adapter: {state}" + (f" in {name}" if name else "")
        case _:
            within = f" within {condition.within} words" if condition.within else ""
            role = f" as {condition.role}" if isinstance(condition, Mentions) and condition.role else ""
            return f"{kind_of(condition)}: {list_of(condition)}{role}{within}"


def parts_of(condition: Condition) -> tuple[Condition, ...]:
    """Returns the parts of an `all`, or the condition alone."""
    return condition.all if isinstance(condition, AllOf) else (condition,)


def union(views: Iterable[View], condition: Condition) -> tuple[Evidence, ...]:
    """Returns the evidence of several views without repetition, in order."""
    return tuple(dict.fromkeys(evidence for view in views for evidence in view.evidence(condition)))
