"""`Guard`: one policy, compiled, that answers requests.

Fail closed, and say so: a stage without an enforcing rule is refused unless the policy leaves it unchecked
on purpose; a request with nothing to check is refused; a check that cannot run has its rule's `on_error`
outcome.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from guard.adapter_facts import AdapterFacts, AdapterRecords
from guard.asked import asked, digest_lists, guessed_lists, hash_lists, lists_by_role, only_lists, used_lists
from guard.consent import ConsentVerifier
from guard.decision import Decision, Evidence, Finding, NearMiss
from guard.errors import BackendError, PolicyViolation
from guard.faces import FaceBackend
from guard.guesses import FamilyNames, Guess
from guard.hashes import KnownPictures
from guard.ideas import IdeaBackend, LazyIdeas, embedded_ideas
from guard.model import (
    POINTS,
    Certainty,
    Face,
    Idea,
    Mode,
    Policy,
    ProtectedFace,
    Role,
    Rule,
    Shows,
    Stage,
)
from guard.names import Gazetteer, Match
from guard.output import longest_run
from guard.patterns import PatternSet
from guard.pictures import LazyPictures, PeopleMatcher
from guard.request import GuardRequest, Text
from guard.rules import Facts, Sighting, View, describe, fires, parts_of, union, view_for
from guard.shown import LazyShown, PictureClasses
from guard.style import is_style
from guard.verdict import Verdicts, compose, error_finding, gravity, guard_finding, uuid7

MAX_TEXT_CHARACTERS = 20_000  # one text; the longest prompt that a text encoder reads is about 2,000
MAX_ALL_CHARACTERS = 40_000  # all texts of one request; bounds the time of one evaluation
MAX_EVIDENCE = 32  # of one finding; a prompt of nothing but names would fill a decision with thousands
MAX_TEXTS = 64  # texts of one request; prompts, presets and metadata are a dozen


class Guard:
    """Evaluates requests against one policy. Safe to share between threads."""

    def __init__(
        self,
        policy: Policy,
        *,
        faces: FaceBackend | None,
        consents: ConsentVerifier | None,
        clock: Callable[[], datetime],
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
        handle_key: bytes = b"",
        record: Callable[[GuardRequest, Decision], None] | None = None,
        ideas: IdeaBackend | None = None,
        people: PeopleMatcher | None = None,
        adapters: AdapterRecords | None = None,
        classes: PictureClasses | None = None,
    ) -> None:
        """Compiles `policy`.

        `faces` None: rules that look for faces have their `on_error` outcome. `consents` None: no consent
        is valid. `clock` returns the time with its zone. `handle_key` keys the HMAC under which decisions
        refer to texts; empty, decisions have no handle. `record` is called with every decision; where it
        raises, `evaluate` does, too: what cannot be written down is not decided. `ideas` None: the embedded
        classifier, where its weights are; without any, rules about ideas have their `on_error` outcome.
        `adapters` None: none is signed, and rules about their trials have their `on_error` outcome.
        `people` None: rules about protected faces have their `on_error` outcome; `classes` None: those about
        what pictures show.
        """
        self.policy = policy
        self._faces = faces
        self._consents = consents
        self._clock = clock
        self._token_bytes = token_bytes
        self._handle_key = handle_key
        self._record = record
        self._ideas = ideas or (embedded_ideas() if Idea in asked(policy) else None)
        self._hashes = hash_lists(policy)
        self._people = people
        self._adapters = adapters
        self._classes = classes
        self._gazetteer = Gazetteer(used_lists(policy, "people", "words"))
        self._patterns = PatternSet(used_lists(policy, "patterns"))
        self._guesses = FamilyNames(guessed_lists(policy))
        self._digests = digest_lists(policy)
        self._by_role = lists_by_role(policy)
        self._rules = {stage: policy.for_stage(stage) for stage in Stage}
        self._lists_of = {rule.id: only_lists(rule) for rule in policy.rules}

    def with_backends(self, faces: FaceBackend | None, consents: ConsentVerifier | None) -> Guard:
        """Returns a guard with the same compiled policy and other backends."""
        other = object.__new__(Guard)
        other.__dict__.update(self.__dict__)
        other._faces, other._consents = faces, consents
        return other

    def with_hashes(self, hashes: Mapping[str, KnownPictures]) -> Guard:
        """Returns a guard with the same compiled policy and other lists of pictures."""
        other = self.with_backends(self._faces, self._consents)
        other._hashes = dict(hashes)
        return other

    def with_people(self, people: PeopleMatcher) -> Guard:
        """Returns a guard with the same compiled policy and another gallery of protected people."""
        other = self.with_backends(self._faces, self._consents)
        other._people = people
        return other

    def with_adapters(self, adapters: AdapterRecords) -> Guard:
        """Returns a guard with the same compiled policy and other knowledge of adapters."""
        other = self.with_backends(self._faces, self._consents)
        other._adapters = adapters
        return other

    def with_classes(self, classes: PictureClasses) -> Guard:
        """Returns a guard with the same compiled policy and another image-text model."""
        other = self.with_backends(self._faces, self._consents)
        other._classes = classes
        return other

    @property
    def hash_lists(self) -> tuple[str, ...]:
        """The names of the lists of pictures."""
        return tuple(self._hashes)

    def silent(self) -> Guard:
        """Returns a guard with the same compiled policy that records nothing: for tests of the policy."""
        other = self.with_backends(self._faces, self._consents)
        other._record = None
        return other

    @property
    def gazetteer(self) -> Gazetteer:
        """The compiled lists, for explanations."""
        return self._gazetteer

    def missing_backends(self) -> tuple[str, ...]:
        """Returns which checks of the policy cannot run: "faces", "ideas", "people", "pictures"."""
        return tuple(name for name, backend in self._needed_backends() if backend is None)

    def live_backends(self) -> Mapping[str, str]:
        """Returns the models behind the checks of the policy that can run, by check."""
        return {
            name: str(getattr(backend, "model_id", type(backend).__name__))
            for name, backend in self._needed_backends()
            if backend is not None
        }

    def _needed_backends(self) -> list[tuple[str, object]]:
        kinds = asked(self.policy)
        backends = {
            Face: ("faces", self._faces),
            Idea: ("ideas", self._ideas),
            ProtectedFace: ("people", self._people),
            Shows: ("pictures", self._classes),
        }
        return [pair for kind, pair in backends.items() if kind in kinds]

    def enforce(self, request: GuardRequest) -> Decision:
        """Returns the decision of `evaluate` where it allows; raises `PolicyViolation` otherwise."""
        decision = self.evaluate(request)
        if not decision.allowed:
            raise PolicyViolation(decision)
        return decision

    def evaluate(self, request: GuardRequest) -> Decision:
        """Returns what the policy says about `request`. Never raises for what a request holds."""
        now = self._clock()
        refusal = self._refusal(request)
        if refusal:
            return self._decide(request, now, Verdicts(enforced=[refusal]))
        facts = self.facts(request)
        verdicts = Verdicts()
        for rule in self._rules[request.stage]:
            self._judge(rule, request, facts, now, verdicts)
        return self._decide(request, now, verdicts)

    def facts(self, request: GuardRequest) -> Facts:
        """Reads the texts of `request` once for all rules; pictures are looked at when a rule asks."""
        sightings: dict[str, list[Sighting]] = {}
        for index, text in enumerate(request.all_texts()):
            for sighting in self._read(index, text):
                sightings.setdefault(sighting.evidence.list, []).append(sighting)
        pictures = LazyPictures(request, self._faces, self._consents, self._clock, self._hashes, self._people)
        roles = tuple(picture.role for picture in request.pictures)
        adapters = tuple(adapter.sha256 for adapter in request.adapters)
        ideas = LazyIdeas(request.all_texts(), self._ideas)
        shown = LazyShown(request.pictures, self._classes)
        files = AdapterFacts(request, self._adapters, self._consents, self._clock)
        return Facts(sightings, pictures, roles, adapters, self._digests, ideas, shown, files)

    def _read(self, index: int, text: Text) -> Iterator[Sighting]:
        """Yields what the lists and patterns of the policy see in one text."""
        for match in self._gazetteer.scan(text.value):
            evidence = Evidence(
                match.kind, text.role, index, match.certainty, match.view, match.start, match.end,
                match.list, match.entry,
            )  # fmt: skip
            yield Sighting(evidence, match.first_word, match.last_word, self._role(text, match))
        for guess in self._guesses.scan(text.value):
            evidence = Evidence(
                "mentions", text.role, index, Certainty.POSSIBLE, guess.view, guess.start, guess.end,
                guess.list, guess.entry,
            )  # fmt: skip
            yield Sighting(evidence, guess.first_word, guess.last_word, self._role(text, guess))
        for hit in self._patterns.scan(text.value):
            evidence = Evidence(
                "pattern", text.role, index, hit.certainty, hit.view, hit.start, hit.end, hit.list, hit.entry
            )
            yield Sighting(evidence, hit.first_word, hit.last_word)

    def _role(self, text: Text, found: Match | Guess) -> Role | None:
        """Returns what a name is there for, where a rule asks for it."""
        if found.list not in self._by_role:
            return None
        return Role.STYLE if is_style(text.value, found.start, found.end) else Role.SUBJECT

    def _refusal(self, request: GuardRequest) -> Finding | None:
        """Returns why the request cannot even be judged, or None."""
        rules = self._rules[request.stage]
        if not any(rule.mode is Mode.ENFORCE for rule in rules):
            if request.stage in self.policy.unchecked_stages:
                return None
            return guard_finding("GUARD.NO_RULES")
        needed = {Stage.PROMPT: request.texts, Stage.ADAPTER: request.adapters}
        if not needed.get(request.stage, request.pictures):
            return guard_finding("GUARD.NOTHING_TO_CHECK")
        lengths = [len(text.value) for text in request.texts]  # of adapters, their limits bound the metadata
        too_long = max(lengths, default=0) > MAX_TEXT_CHARACTERS or sum(lengths) > MAX_ALL_CHARACTERS
        if too_long or len(lengths) > MAX_TEXTS:
            return guard_finding("GUARD.TOO_LONG")
        return None

    def finding(self, rule: Rule, request: GuardRequest, facts: Facts) -> Finding | None:
        """Returns what `rule` alone finds in a request, whatever its mode and exceptions."""
        try:
            views = list(firing(rule, request, facts))
        except BackendError as error:
            return error_finding(rule, error)
        if not views:
            return None
        evidence = union(views, rule.when)[:MAX_EVIDENCE]
        return Finding(rule.id, rule.title, rule.severity, rule.then, rule.reason, evidence, rule.tell_user)

    def _judge(
        self, rule: Rule, request: GuardRequest, facts: Facts, now: datetime, verdicts: Verdicts
    ) -> None:
        lists = self._lists_of[rule.id]
        if lists is not None and lists.isdisjoint(facts.sightings):
            return  # nothing that the rule looks for is there; most rules, for most requests
        finding = self.finding(rule, request, facts)
        if finding is None:
            if facts.sightings and (miss := _near_miss(rule, facts)):
                verdicts.near_misses.append(miss)
            return
        for exception in rule.exceptions:
            if exception.tenant == request.tenant and now.astimezone(UTC).date() <= exception.until:
                verdicts.exceptions.append(f"{rule.id}/{exception.id}")
                return
        verdicts.add(rule, finding)

    def _decide(self, request: GuardRequest, now: datetime, verdicts: Verdicts) -> Decision:
        findings = sorted(verdicts.enforced, key=gravity)
        points = sum(POINTS[finding.severity] for finding in findings)
        decision = Decision(
            decision_id=uuid7(now, self._token_bytes(10)),
            at=now,
            stage=request.stage,
            tenant=request.tenant,
            purpose=request.purpose,
            policy=self.policy.label,
            policy_digest=self.policy.digest,
            outcome=compose(findings, points),
            points=points,
            findings=tuple(findings),
            shadow=tuple(verdicts.shadow),
            near_misses=tuple(verdicts.near_misses),
            exceptions=tuple(verdicts.exceptions),
            handle=self._handle(request.texts),
        )
        if self._record is not None:
            self._record(request, decision)
        return decision

    def _handle(self, texts: tuple[Text, ...]) -> str:
        if not self._handle_key:
            return ""
        message = b"\0".join(f"{text.role}\0{text.value}".encode("utf-8", "surrogatepass") for text in texts)
        return hmac.new(self._handle_key, message, hashlib.sha256).hexdigest()


def firing(rule: Rule, request: GuardRequest, facts: Facts) -> Iterator[View]:
    """Yields the views in which a rule fires: one per picture, or one for all texts."""
    asked: list[tuple[int | None, int | None]] = [(None, None)]  # number of the picture, of the adapter
    if rule.looks_at_pictures:
        asked = [(number, None) for number in range(len(request.pictures))]
    elif rule.looks_at_adapters:
        asked = [(None, number) for number in range(len(request.adapters))]
    found = [view for numbers in asked if (view := fires(rule, view_for(rule, facts, *numbers)))]
    if rule.stage is Stage.OUTPUT and rule.looks_at_pictures:
        row = longest_run([view.picture for view in found if view.picture is not None])
        if row < min(rule.frames_in_a_row, len(request.pictures)):
            return
    yield from found


def _near_miss(rule: Rule, facts: Facts) -> NearMiss | None:
    """Returns how far a text rule came, where at least one of several conditions held."""
    parts = parts_of(rule.when)
    if rule.looks_at_pictures or len(parts) < 2:
        return None
    view = view_for(rule, facts)
    held = [view.holds(part) for part in parts]
    if not any(held):
        return None
    missing = tuple(describe(part) for part, holds in zip(parts, held, strict=True) if not holds)
    return NearMiss(rule.id, sum(held), len(parts), missing or ("an exemption applies",))
