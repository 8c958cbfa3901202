"""A small policy, a guard with a fixed clock, and the shared prompts where they lie beside the checkout."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guard import Decision, Guard, GuardRequest, Policy, Stage, Text, parse_policy

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
PROMPTS = Path(__file__).parents[2].parent / "shared" / "data" / "prompts"

POLICY = """\
policy: test.small
version: 1.0.0
unchecked_stages: [output]
lists:
  people: {kind: people, items: [Amy Klobuchar, Jack Reed, Todd Young, Robert Wittman]}
  press: {kind: words, items: [press photo, news footage, leak*]}
  art: {kind: words, items: [statue, cartoon]}
rules:
  - id: official
    title: A press picture of an official
    stage: prompt
    severity: high
    mode: enforce
    when:
      all:
        - mentions: people
        - words: press
    unless:
      - {words: art, within: 3 words}
    then: block
    reason: PERSON.PUBLIC_FIGURE
    tell_user: {en: No officials., de: Keine Amtspersonen.}
    exceptions:
      - {id: museum, tenant: city-museum, until: 2026-12-31, why: Licence 114}
    tests:
      - block: press photo of Amy Klobuchar
      - allow: a statue of Amy Klobuchar, press photo
      - attack: press photo of {person}
        person: people
        with: [homoglyphs, leet]
        block_at_least: 100%
  - id: face
    title: A face without consent
    stage: reference
    severity: critical
    mode: enforce
    when: {all: [{face: present}, {consent: missing}]}
    then: block
    reason: PERSON.NO_CONSENT
    tell_user: {en: Consent is needed.}
    tests:
      - block: {face: present}
      - block: {face: unknown}
      - allow: {face: present, consent: valid}
tests:
  - allow: a red balloon over a blue sea at dusk
"""


def guard_of(policy: Policy) -> Guard:
    """A guard without backends at a fixed time."""
    return Guard(policy, faces=None, consents=None, clock=lambda: NOW, handle_key=b"key")


def prompt(text: str, *more: str, tenant: str = "default") -> GuardRequest:
    """A request at the prompt stage."""
    return GuardRequest(Stage.PROMPT, tuple(Text("prompt", t) for t in (text, *more)), tenant=tenant)


@pytest.fixture(scope="session")
def policy() -> Policy:
    return parse_policy(POLICY, "small.yaml")


@pytest.fixture(scope="session")
def guard(policy: Policy) -> Guard:
    return guard_of(policy)


@pytest.fixture(scope="session")
def judge(guard: Guard) -> Callable[[str], Decision]:
    return lambda text: guard.evaluate(prompt(text))


def shared_rows(name: str) -> list[dict[str, object]]:
    """Rows of a shared prompt file; skips the test where it is absent."""
    path = PROMPTS / f"{name}.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is not beside this checkout")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
