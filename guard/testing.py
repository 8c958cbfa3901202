"""Runs the tests that stand inside a policy, through the loader and the engine of production."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from guard.adapters import Adapter
from guard.attacks import disguise
from guard.consent import Consent
from guard.engine import Guard
from guard.errors import BackendError, ConsentError
from guard.faces import FaceDetection
from guard.location import Location
from guard.model import (
    AdapterCase,
    AttackTest,
    Case,
    CaseTest,
    Certainty,
    Entry,
    Mode,
    PictureCase,
    Policy,
    Rule,
    RuleTest,
    Stage,
)
from guard.request import GuardRequest, Picture, Text

ATTACK_SAMPLE = 40  # entries per attack and test in a quick run; the same ones every time
_BLANK = np.zeros((16, 16, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class TestResult:
    """How one test went. For attacks, `seen` of `tried` disguises were caught, `missed` names some others."""

    __test__ = False  # not a test case of pytest

    rule_id: str  # "" for tests of the whole policy
    test: str
    passed: bool
    message: str
    at: Location
    attack: str = ""
    seen: int = 0
    tried: int = 0
    missed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TestReport:
    """All results. `passed` is false where there are none: a policy without tests has proved nothing."""

    __test__ = False  # not a test case of pytest

    results: tuple[TestResult, ...]

    @property
    def passed(self) -> bool:
        """True where there is a test and none failed."""
        return bool(self.results) and all(result.passed for result in self.results)

    @property
    def failures(self) -> tuple[TestResult, ...]:
        """The tests that failed."""
        return tuple(result for result in self.results if not result.passed)


def run_tests(policy: Policy, guard: Guard, *, sample: int | None = ATTACK_SAMPLE) -> TestReport:
    """Runs the tests of every rule that is not off, and those of the whole policy.

    `guard` must have been made of `policy`. `sample` bounds the entries that each attack is tried on; None
    tries all.
    """
    results: list[TestResult] = []
    for rule in policy.rules:
        if rule.mode is not Mode.OFF:
            for test in rule.tests:
                results += _run(test, rule, policy, guard, sample)
    results += [_run_policy_test(test, guard) for test in policy.tests]
    return TestReport(tuple(results))


def _run(
    test: RuleTest, rule: Rule, policy: Policy, guard: Guard, sample: int | None
) -> Iterator[TestResult]:
    if isinstance(test, AttackTest):
        entries = policy.lists[test.person or test.word or ""].entries
        for attack in test.attacks:
            yield _run_attack(test, attack, _sampled(entries, sample), rule, guard)
    else:
        yield _run_case(test, rule, guard)


def _run_case(test: CaseTest, rule: Rule, guard: Guard) -> TestResult:
    seen = _action(rule, test.case, guard)
    message = "" if seen == test.expect else f"expected {test.expect}, the rule says {seen}"
    return TestResult(rule.id, _name(test), not message, message, test.at)


def _action(rule: Rule, case: Case, guard: Guard) -> str:
    """Returns the action that a rule takes on a case, or "allow"."""
    request, guard = request_of(case, rule, guard)
    finding = guard.finding(rule, request, guard.facts(request))
    return finding.action.value if finding else "allow"


def request_of(case: Case, rule: Rule, guard: Guard) -> tuple[GuardRequest, Guard]:
    """Returns the request that a case stands for, and a guard with backends that see what it says."""
    match case:
        case PictureCase():
            return _request(case, rule, guard), _scripted(guard, case)
        case AdapterCase():
            consents = _ScriptedConsents(case.consent)
            scripted = guard.with_backends(None, consents).with_adapters(_ScriptedAdapters(case.adapter))
            return _request(case, rule, guard), scripted
        case _:
            return _request(case, rule, guard), guard


def _scripted(guard: Guard, case: PictureCase) -> Guard:
    """Returns a guard that sees in pictures what a test says."""
    seen = _ScriptedPictures(case.hash == "listed")
    other = guard.with_backends(_ScriptedFaces(case.face), _ScriptedConsents(case.consent))
    other = other.with_classes(_ScriptedClasses(case.shows))
    other = other.with_people(_ScriptedPeople(frozenset({"subject"} if case.match == "enrolled" else ())))
    return other.with_hashes(dict.fromkeys(guard.hash_lists, seen))


def _request(case: Case, rule: Rule, guard: Guard) -> GuardRequest:
    if isinstance(case, AdapterCase):
        return GuardRequest(rule.stage, adapters=_adapters(case, rule, guard.policy))
    return _plain_request(case, rule.stage)


def _adapters(case: AdapterCase, rule: Rule, policy: Policy) -> tuple[Adapter, ...]:
    """Returns an adapter that is in the lists that a rule trusts, or in none."""
    lists = [policy.lists[name].entries for name in rule.trusted_lists]
    digest = lists[0][0].names[0] if lists and case.adapter != "unlisted" else ""
    return (Adapter(digest, 1, 0, {}, consents=("token",)),)


def _plain_request(case: str | PictureCase, stage: Stage) -> GuardRequest:
    if isinstance(case, str):
        return GuardRequest(stage, texts=(Text("prompt", case),))
    return GuardRequest(stage, pictures=(Picture("reference", _BLANK, "0" * 64, ("token",)),))


def _run_attack(
    test: AttackTest, attack: str, entries: Sequence[Entry], rule: Rule, guard: Guard
) -> TestResult:
    placeholder = "{person}" if test.person else "{word}"
    missed: list[str] = []
    for entry in entries:
        name = disguise(attack, entry.names[0].removesuffix("*"))
        if _action(rule, test.attack.replace(placeholder, name), guard) == "allow":
            missed.append(name)
    seen, tried = len(entries) - len(missed), len(entries)
    passed = tried > 0 and seen >= test.block_at_least * tried
    message = "" if passed else f"saw {seen} of {tried}, needs {test.block_at_least:.0%}"
    return TestResult(rule.id, test.attack, passed, message, test.at, attack, seen, tried, tuple(missed[:5]))


def _sampled(entries: Sequence[Entry], sample: int | None) -> Sequence[Entry]:
    if sample is None or len(entries) <= sample:
        return entries
    return sorted(entries, key=lambda entry: hashlib.sha256(entry.id.encode()).digest())[:sample]


def _run_policy_test(test: CaseTest, guard: Guard) -> TestResult:
    case = test.case
    if isinstance(case, AdapterCase):
        return TestResult("", _name(test), False, "adapters are tested in rules", test.at)
    stage = Stage.PROMPT if isinstance(case, str) else Stage.REFERENCE
    if isinstance(case, PictureCase):
        guard = _scripted(guard, case)
    decision = guard.evaluate(_plain_request(case, stage))
    rules = ", ".join(finding.rule_id for finding in decision.findings)
    passed = decision.outcome.value == test.expect
    message = (
        "" if passed else f"expected {test.expect}, the policy says {decision.outcome} ({rules or 'no rule'})"
    )
    return TestResult("", _name(test), passed, message, test.at)


def _name(test: CaseTest) -> str:
    case = test.case
    match case:
        case PictureCase(match="enrolled", consent=consent):
            return f"{test.expect}: face_matches: enrolled, consent: {consent}"
        case PictureCase(shows=what) if what:
            return f"{test.expect}: shows: {what}"
        case PictureCase(hash="listed"):
            return f"{test.expect}: hash: listed"
        case PictureCase(face=face, consent=consent):
            return f"{test.expect}: face: {face}, consent: {consent}"
        case AdapterCase(adapter=adapter, consent=consent):
            return f"{test.expect}: adapter: {adapter}" + f", consent: {consent}" * (consent != "none")
        case _:
            return f"{test.expect}: {case}"


@dataclass(frozen=True)
class _ScriptedFaces:
    """Sees what a test says."""

    state: str
    model_id: str = "scripted"

    def detect(self, pixels: NDArray[np.uint8]) -> list[FaceDetection]:
        if self.state == "unknown":
            raise BackendError("the detector could not run")
        return [FaceDetection((0.0, 0.0, 16.0, 16.0), 1.0)] if self.state == "present" else []


@dataclass(frozen=True)
class _ScriptedPeople:
    """Matches whom a test says."""

    people: frozenset[str]

    def shown(
        self, pixels: NDArray[np.uint8], *, wrong_person_at_most: float, among: frozenset[str] | None = None
    ) -> tuple[frozenset[str], ...]:
        return (self.people,)


@dataclass(frozen=True)
class _ScriptedClasses:
    """Shows what a test says."""

    what: str
    model_id: str = "scripted"

    def shows(self, pixels: NDArray[np.uint8], what: str, certainty: Certainty) -> bool:
        return what == self.what


@dataclass(frozen=True)
class _ScriptedAdapters:
    """Knows of an adapter what a test says, and otherwise what lets it in."""

    state: str

    def signed(self, sha256: str, now: datetime) -> bool:
        return self.state != "unsigned"

    def shows_one_person(self, sha256: str) -> bool:
        if self.state == "untried":
            raise BackendError("the adapter was not tried")
        return self.state == "shows-one-person"


@dataclass(frozen=True)
class _ScriptedPictures:
    """Knows a picture when a test says so."""

    known: bool

    def matches(self, pixels: NDArray[np.uint8]) -> bool:
        return self.known


@dataclass(frozen=True)
class _ScriptedConsents:
    """Answers what a test says."""

    state: str

    def verify(self, token: str, *, tenant: str, purpose: str, sha256: str, now: datetime) -> Consent:
        if self.state != "valid":
            raise ConsentError(self.state, f"the consent is {self.state}")
        return Consent("scripted", "subject", sha256, tenant, (purpose,), now, now)
