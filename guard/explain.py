"""Why a rule fired or did not: each condition with what it saw, and with what it nearly saw.

For authors, who own the lists: unlike decisions, explanations show list entries and pieces of the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import OSA

from guard.engine import Guard, firing
from guard.errors import BackendError
from guard.model import AllOf, AnyOf, Condition, Rule, TextCondition, list_of
from guard.names import words_of
from guard.request import GuardRequest
from guard.rules import Facts, Sighting, View, describe, view_for
from guard.views import read

NEAR_SIMILARITY = 0.6  # share of letters that agree from which a piece of text is called close
_MAX_NEAR_NAMES = 20_000  # names compared with a text; larger lists are explained by matches alone
_NEAR_SHOWN = 2
ALL_OF = "all of these"


@dataclass(frozen=True, slots=True)
class Seen:
    """A piece of a text: its role and half-open span, how it was read, and the entry it is or resembles."""

    source: str
    start: int
    end: int
    view: str
    entry: str


@dataclass(frozen=True, slots=True)
class ConditionTrace:
    """One condition. `note` says in words why something that is there does not count."""

    label: str
    holds: bool
    seen: tuple[Seen, ...] = ()
    near: tuple[Seen, ...] = ()
    note: str = ""
    parts: tuple[ConditionTrace, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule with its conditions and exemptions, for one request."""

    rule: Rule
    fires: bool
    when: ConditionTrace
    unless: tuple[ConditionTrace, ...]

    def why_not(self, text: str) -> str:
        """Returns in one sentence why the rule does not fire on `text`, or "" where it does."""
        if self.fires:
            return ""
        if self.when.holds:
            return "an exemption applies: " + ", ".join(trace.label for trace in self.unless if trace.holds)
        parts = self.when.parts if self.when.label == ALL_OF else (self.when,)
        held = sum(part.holds for part in parts)
        missing = ", ".join(_missing(part, text) for part in parts if not part.holds)
        return f"{held} of {len(parts)} conditions held; missing: {missing}"


def _missing(trace: ConditionTrace, text: str) -> str:
    """Returns what a condition would have needed, and the nearest thing in the text."""
    if trace.note:
        return f"{trace.label} ({trace.note})"
    near = next(iter(trace.near), None)
    return f"{trace.label} (closest: {text[near.start : near.end]!r})" if near else trace.label


def explain(guard: Guard, request: GuardRequest) -> tuple[RuleTrace, ...]:
    """Returns how every rule of the stage judged the request; of pictures, the first that a rule fires on."""
    facts = guard.facts(request)
    return tuple(_trace_rule(guard, rule, request, facts) for rule in guard.policy.for_stage(request.stage))


def _trace_rule(guard: Guard, rule: Rule, request: GuardRequest, facts: Facts) -> RuleTrace:
    try:
        fired = list(firing(rule, request, facts))
    except BackendError:
        fired = []
    picture = 0 if rule.looks_at_pictures and request.pictures else None
    view = fired[0] if fired else view_for(rule, facts, picture)
    tracer = _Tracer(guard, request, view)
    finding = guard.finding(rule, request, facts)
    exemptions = tuple(tracer.trace(exemption) for exemption in rule.unless)
    return RuleTrace(rule, finding is not None, tracer.trace(rule.when), exemptions)


@dataclass(frozen=True)
class _Tracer:
    guard: Guard
    request: GuardRequest
    view: View

    def trace(self, condition: Condition) -> ConditionTrace:
        if isinstance(condition, AllOf | AnyOf):
            parts = condition.all if isinstance(condition, AllOf) else condition.any
            label = ALL_OF if isinstance(condition, AllOf) else "any of these"
            return ConditionTrace(label, self._holds(condition), parts=tuple(map(self.trace, parts)))
        if isinstance(condition, TextCondition):
            return self._trace_text(condition)
        try:
            return ConditionTrace(describe(condition), self.view.holds(condition))
        except BackendError as error:
            return ConditionTrace(describe(condition), False, note=str(error))

    def _holds(self, condition: Condition) -> bool:
        try:
            return self.view.holds(condition)
        except BackendError:
            return False

    def _trace_text(self, leaf: TextCondition) -> ConditionTrace:
        sightings = self.view.sightings(leaf)
        if sightings:
            return ConditionTrace(describe(leaf), True, tuple(map(self._seen, sightings)))
        others = self.view.facts.sightings.get(list_of(leaf), [])
        if others:
            return ConditionTrace(
                describe(leaf), False, near=tuple(map(self._seen, others)), note=self._why(leaf)
            )
        return ConditionTrace(describe(leaf), False, near=self._near(leaf))

    def _why(self, leaf: TextCondition) -> str:
        """Returns why sightings of a list do not count."""
        others = self.view.facts.sightings[list_of(leaf)]
        certain = [s for s in others if s.evidence.certainty.rank >= leaf.certainty.rank]
        if not certain:
            return f"seen, but only {others[0].evidence.certainty}; the condition asks for {leaf.certainty}"
        if all(s in self.view.exempted for s in certain):
            return "seen, but an exemption stands beside it"
        distances = [d for s in certain for a in self.view.anchors if (d := s.words_to(a)) is not None]
        return f"seen, but {min(distances)} words away" if distances else "seen, but not near another match"

    def _seen(self, sighting: Sighting) -> Seen:
        e = sighting.evidence
        return Seen(e.source, e.start or 0, e.end or 0, e.view, self._entry_name(e.list, e.entry))

    def _entry_name(self, name: str, entry_id: str) -> str:
        entries = self.guard.policy.lists[name].entries
        return next((entry.names[0] for entry in entries if entry.id == entry_id), entry_id)

    def _near(self, leaf: TextCondition) -> tuple[Seen, ...]:
        names = [name for entry in self.guard.policy.lists[list_of(leaf)].entries for name in entry.names]
        spelt = [" ".join(words_of(name)) for name in names]
        if not spelt or len(spelt) > _MAX_NEAR_NAMES:
            return ()
        found = [
            (score, Seen(text.role, start, end, f"{score:.0%} alike", names[row]))
            for text in self.request.texts
            for score, start, end, row in _closest(text.value, spelt)
        ]
        return tuple(seen for _, seen in sorted(found, key=lambda pair: -pair[0])[:_NEAR_SHOWN])


def _closest(text: str, names: Sequence[str]) -> list[tuple[float, int, int, int]]:
    """Returns the pieces of one to three words most like a name: similarity, start, end, name's number."""
    reading = read(text)
    tokens = [reading.token(i) for i in range(len(reading.tokens))]
    pieces = [(i, i + n) for n in (1, 2, 3) for i in range(len(tokens) - n + 1)]
    words = [" ".join(tokens[a:b]) for a, b in pieces]
    if not words:
        return []
    scores = process.cdist(words, names, scorer=OSA.normalized_similarity, score_cutoff=NEAR_SIMILARITY)
    best = np.argsort(-scores.max(axis=1), kind="stable")[:_NEAR_SHOWN]
    result = []
    for piece in best.tolist():
        row = int(scores[piece].argmax())
        if scores[piece, row] > 0 and len(words[piece]) > 3:
            first, last = pieces[piece]
            start, end = reading.span(reading.tokens[first][0], reading.tokens[last - 1][1] - 1)
            result.append((float(scores[piece, row]), start, end, row))
    return result
