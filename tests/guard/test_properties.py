"""Laws of the loader over many damaged policies."""

from __future__ import annotations

import re
from random import Random

import pytest

from guard import PolicyError, parse_policy
from guard.errors import Problem
from guard.language import policy_json_schema
from guard.schema import suggest
from tests.guard.conftest import POLICY

KEYS = [
    m
    for m in re.finditer(r"\b([a-z_]+):(?= )", POLICY)
    if m.group(1) not in {"people", "press", "art", "en", "de"}
]
LETTERS = "abcdefghijklmnopqrstuvwxyz:{}[]-#&*!|>'\"%@`,\t\n \x00é\u200b?"


@pytest.mark.parametrize("seed", range(400))
def test_no_single_character_edit_crashes_the_loader(seed: int) -> None:
    rng = Random(seed)
    at = rng.randrange(len(POLICY))
    kept = POLICY[at + rng.randrange(2) :]  # the character is replaced, or one is put before it
    text = POLICY[:at] + rng.choice(["", *LETTERS]) + kept
    lines = text.count("\n") + 2
    for problem in problems_of(text):
        assert 1 <= problem.location.line <= lines
        assert problem.location.column >= 1


def problems_of(text: str) -> tuple[Problem, ...]:
    """The problems of a policy; any other exception than `PolicyError` is a crash."""
    try:
        parse_policy(text, "p.yaml")
    except PolicyError as error:
        return error.problems
    return ()


def misspell(word: str, rng: Random) -> str:
    """Two letters swapped, or one left out, doubled or replaced."""
    at = rng.randrange(len(word) - 1)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return rng.choice(
        [
            swapped,
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            f"{word[:at]}x{word[at + 1 :]}",
        ]
    )


def planted(count: int) -> list[tuple[int, str, str]]:
    rng = Random(7)
    found: list[tuple[int, str, str]] = []
    while len(found) < count:
        key = rng.choice(KEYS)
        wrong = misspell(key.group(1), rng)
        if wrong != key.group(1) and f"{wrong}:" not in POLICY:
            found.append((key.start(), key.group(1), wrong))
    return found


@pytest.mark.parametrize(("at", "key", "wrong"), planted(60))
def test_a_misspelt_key_is_reported_where_it_stands_with_the_right_key(at: int, key: str, wrong: str) -> None:
    text = POLICY[:at] + wrong + POLICY[at + len(key) :]
    line, column = POLICY[:at].count("\n") + 1, at - POLICY.rfind("\n", 0, at)
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, "p.yaml")
    found = [(p.location.line, p.location.column, p.suggestion) for p in caught.value.problems]
    assert (line, column, key) in found


def test_suggestions_are_close_or_absent() -> None:
    assert suggest("severty", ["severity", "stage"]) == "severity"
    assert suggest("banana", ["severity", "stage"]) is None


def test_the_schema_describes_every_key() -> None:
    def keys(schema: object) -> list[dict[str, object]]:
        if isinstance(schema, list):
            return [found for item in schema for found in keys(item)]
        if not isinstance(schema, dict):
            return []
        own = list(schema.get("properties", {}).values())
        return own + [found for value in schema.values() for found in keys(value)]

    found = keys(policy_json_schema())
    assert len(found) > 50
    assert all(str(key.get("description", "")).endswith(".") for key in found)
