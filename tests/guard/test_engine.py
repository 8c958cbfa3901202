"""The guard: outcomes, composition, and what happens when there is nothing to go by."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from guard import (
    BackendError,
    FaceDetection,
    Guard,
    GuardRequest,
    Outcome,
    Picture,
    Policy,
    PolicyViolation,
    Stage,
    Text,
    parse_policy,
)
from guard.engine import MAX_TEXT_CHARACTERS, MAX_TEXTS
from guard.model import Action, Mode, Severity
from tests.guard.conftest import NOW, POLICY, guard_of, prompt

BAD = "press photo of Amy Klobuchar"
PICTURE = Picture("reference", np.zeros((32, 32, 3), np.uint8), "ab" * 32)


class Faces:
    """Sees as many faces as it is told, and counts how often it looks."""

    model_id = "scripted"

    def __init__(self, probability: float | None) -> None:
        self.probability = probability
        self.looks = 0

    def detect(self, pixels: NDArray[np.uint8]) -> list[FaceDetection]:
        self.looks += 1
        return [] if self.probability is None else [FaceDetection((0, 0, 9, 9), self.probability)]


def changed(policy: Policy, rule_id: str, **changes: object) -> Guard:
    rules = tuple(replace(rule, **changes) if rule.id == rule_id else rule for rule in policy.rules)  # type: ignore[arg-type]
    return guard_of(replace(policy, rules=rules))


def test_a_harmless_prompt_is_allowed(guard: Guard) -> None:
    decision = guard.enforce(prompt("a red balloon over a blue sea at dusk"))
    assert decision.allowed
    assert (decision.points, decision.findings, decision.reason, decision.user_text()) == (0, (), "", "")
    assert decision.user_hint() is None


def test_a_finding_says_everything_but_the_prompt(guard: Guard) -> None:
    with pytest.raises(PolicyViolation, match=r"block by test\.small@1\.0\.0 \(official\)") as caught:
        guard.enforce(prompt(BAD))
    decision = caught.value.decision
    (finding,) = decision.findings
    assert [(e.list, e.view, BAD[e.start : e.end]) for e in finding.evidence] == [
        ("people", "plain", "Amy Klobuchar"),
        ("press", "plain", "press photo"),
    ]
    assert (decision.outcome, decision.reason, decision.points) == (Outcome.BLOCK, "PERSON.PUBLIC_FIGURE", 4)
    assert (decision.user_text("de"), decision.user_text("xx")) == ("Keine Amtspersonen.", "No officials.")
    assert decision.user_hint() == ("prompt", 15, 28)
    stored = json.dumps(decision.to_json())
    assert "Klobuchar" not in stored
    assert "press photo" not in stored
    assert json.loads(stored)["at"] == NOW.isoformat()


def test_ids_are_uuid7_of_the_clock_and_the_given_randomness(policy: Policy) -> None:
    guard = Guard(policy, faces=None, consents=None, clock=lambda: NOW, token_bytes=lambda n: b"\xff" * n)
    decision_id = uuid.UUID(guard.evaluate(prompt("x")).decision_id)
    assert (decision_id.version, decision_id.variant) == (7, uuid.RFC_4122)
    assert int.from_bytes(decision_id.bytes[:6], "big") == NOW.timestamp() * 1000


def test_handles_are_keyed_and_equal_for_equal_texts(policy: Policy, guard: Guard) -> None:
    first, second, other = (guard.evaluate(prompt(text)).handle for text in ("x", "x", "y"))
    assert first == second != other
    assert len(guard.evaluate(prompt("\ud800")).handle) == 64
    keyless = Guard(policy, faces=None, consents=None, clock=lambda: NOW)
    assert keyless.evaluate(prompt("x")).handle == ""


def test_conditions_are_met_across_all_texts_of_a_request(guard: Guard) -> None:
    assert not guard.evaluate(prompt("Amy Klobuchar", "press photo, 35mm")).allowed
    assert not guard.evaluate(prompt("a cat", BAD)).allowed


def test_an_exemption_covers_only_what_stands_near(guard: Guard) -> None:
    near = "press photo: a statue of Amy Klobuchar"
    far = "press photo of Jack Reed in front of the town hall and its very old bronze statue of Amy Klobuchar"
    assert guard.evaluate(prompt(near)).allowed
    assert not guard.evaluate(prompt(far)).allowed
    other_text = guard.evaluate(prompt(BAD, "statue"))
    assert not other_text.allowed


def test_near_misses_say_what_was_missing(guard: Guard) -> None:
    (miss,) = guard.evaluate(prompt("Amy Klobuchar at the beach")).near_misses
    assert (miss.rule_id, miss.held, miss.total, miss.missing) == ("official", 1, 2, ("words: press",))
    (exempt,) = guard.evaluate(prompt("press photo: a statue of Amy Klobuchar")).near_misses
    assert exempt.missing == ("an exemption applies",)


def test_shadow_rules_only_watch(policy: Policy) -> None:
    assert changed(policy, "official", mode=Mode.SHADOW).evaluate(prompt(BAD)).reason == "GUARD.NO_RULES"
    on_purpose = replace(policy, unchecked_stages=(Stage.PROMPT,))
    decision = changed(on_purpose, "official", mode=Mode.SHADOW).evaluate(prompt(BAD))
    assert decision.allowed
    assert [finding.rule_id for finding in decision.shadow] == ["official"]


def test_exceptions_hold_for_their_tenant_until_their_day(policy: Policy) -> None:
    for tenant, now, allowed in [
        ("city-museum", NOW, True),
        ("someone", NOW, False),
        ("city-museum", datetime(2026, 12, 31, 23, 59, tzinfo=UTC), True),
        ("city-museum", datetime(2027, 1, 1, tzinfo=UTC), False),
    ]:
        guard = Guard(policy, faces=None, consents=None, clock=lambda now=now: now)  # type: ignore[misc]
        decision = guard.evaluate(prompt(BAD, tenant=tenant))
        assert decision.allowed is allowed
        assert decision.exceptions == (("official/museum",) if allowed else ())


@pytest.mark.parametrize(
    ("action", "severity", "outcome"),
    [
        (Action.BLOCK, Severity.LOW, Outcome.BLOCK),
        (Action.REVIEW, Severity.LOW, Outcome.REVIEW),
        (Action.REVIEW, Severity.CRITICAL, Outcome.BLOCK),
        (Action.FLAG, Severity.LOW, Outcome.ALLOW),
        (Action.FLAG, Severity.MEDIUM, Outcome.REVIEW),
        (Action.FLAG, Severity.HIGH, Outcome.REVIEW),
        (Action.FLAG, Severity.CRITICAL, Outcome.BLOCK),
    ],
)
def test_points_add_to_what_a_rule_asks_for(
    policy: Policy, action: Action, severity: Severity, outcome: Outcome
) -> None:
    assert (
        changed(policy, "official", then=action, severity=severity).evaluate(prompt(BAD)).outcome is outcome
    )


def test_points_of_several_rules_add_up_and_the_gravest_comes_first(policy: Policy) -> None:
    rule = policy.rules[0]
    rules = tuple(
        replace(rule, id=name, then=Action.FLAG, severity=severity)
        for name, severity in [("low", Severity.LOW), ("medium", Severity.MEDIUM)]
    )
    decision = guard_of(replace(policy, rules=rules)).evaluate(prompt(BAD))
    assert (decision.outcome, decision.points) == (Outcome.BLOCK, 5)
    assert [finding.rule_id for finding in decision.findings] == ["medium", "low"]


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (GuardRequest(Stage.PROMPT), "GUARD.NOTHING_TO_CHECK"),
        (GuardRequest(Stage.REFERENCE), "GUARD.NOTHING_TO_CHECK"),
        (GuardRequest(Stage.ADAPTER, (Text("file_name", "x"),)), "GUARD.NO_RULES"),
        (prompt("x" * (MAX_TEXT_CHARACTERS + 1)), "GUARD.TOO_LONG"),
        (prompt("x", *["y"] * MAX_TEXTS), "GUARD.TOO_LONG"),
        (prompt(*["x" * MAX_TEXT_CHARACTERS] * 3), "GUARD.TOO_LONG"),
    ],
)
def test_what_cannot_be_judged_is_refused(guard: Guard, made: GuardRequest, reason: str) -> None:
    decision = guard.evaluate(made)
    assert (decision.outcome, decision.reason) == (Outcome.BLOCK, reason)
    assert decision.user_text()


def test_an_empty_text_is_something_to_check(guard: Guard) -> None:
    assert guard.evaluate(prompt("")).allowed


def test_a_stage_left_unchecked_on_purpose_is_allowed(guard: Guard) -> None:
    assert guard.evaluate(GuardRequest(Stage.OUTPUT)).allowed


def test_a_policy_whose_rules_are_all_off_refuses(policy: Policy) -> None:
    off = changed(policy, "official", mode=Mode.OFF)
    assert off.evaluate(prompt("a cat")).reason == "GUARD.NO_RULES"
    assert len(off.gazetteer) == 0


def test_the_stage_may_be_given_as_a_word() -> None:
    assert GuardRequest("prompt").stage is Stage.PROMPT  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nowhere"):
        GuardRequest("nowhere")  # type: ignore[arg-type]


def reference(*pictures: Picture) -> GuardRequest:
    return GuardRequest(Stage.REFERENCE, pictures=pictures)


def test_a_face_without_consent_is_refused_and_each_picture_is_looked_at_once(guard: Guard) -> None:
    faces = Faces(0.95)
    decision = guard.with_backends(faces, None).evaluate(reference(PICTURE, PICTURE))
    assert [e.index for e in decision.findings[0].evidence] == [0, 0, 1, 1]
    assert decision.reason == "PERSON.NO_CONSENT"
    assert decision.user_hint() is None
    assert faces.looks == 2


def test_pictures_without_faces_pass(guard: Guard) -> None:
    assert guard.with_backends(Faces(None), None).evaluate(reference(PICTURE)).allowed
    assert guard.with_backends(Faces(0.5), None).evaluate(reference(PICTURE)).allowed


def test_without_a_detector_the_rule_decides_and_blocks_by_default(policy: Policy, guard: Guard) -> None:
    decision = guard.evaluate(reference(PICTURE))
    assert (decision.outcome, decision.reason) == (Outcome.BLOCK, "GUARD.CHECK_FAILED")
    assert "no face detector" in decision.findings[0].error
    assert guard.missing_backends() == ("faces",)
    assert guard.with_backends(Faces(1.0), None).missing_backends() == ()
    assert (
        changed(policy, "face", on_error=Outcome.REVIEW).evaluate(reference(PICTURE)).outcome
        is Outcome.REVIEW
    )
    assert changed(policy, "face", on_error=Outcome.ALLOW).evaluate(reference(PICTURE)).allowed


def test_a_failing_detector_is_a_finding_and_not_a_crash(guard: Guard) -> None:
    class Broken(Faces):
        def detect(self, pixels: NDArray[np.uint8]) -> list[FaceDetection]:
            raise BackendError("out of memory")

    decision = guard.with_backends(Broken(None), None).evaluate(reference(PICTURE))
    assert decision.findings[0].error == "out of memory"
    assert not decision.allowed


def test_inline_policy_digest_is_stable() -> None:
    assert (
        parse_policy(POLICY, "a").digest
        == parse_policy(POLICY, "b").digest
        != parse_policy(POLICY + "\n").digest
    )
