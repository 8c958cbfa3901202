"""Damaged copies of the shipped policies: never a crash, and misspelt keys are found where they stand."""

from __future__ import annotations

import re
from random import Random

import pytest

from guard import PolicyError, parse_policy
from guard.errors import Problem
from guard.sources import shipped_folder

FOLDER = shipped_folder()
TEXTS = {path.name: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.yaml"))}
KEYS = re.compile(
    r"\b(policy|version|description|extends|lists|kind|items|file|source|licence|rules|id|title|stage|severity|mode"
    r"|strictness|when|unless|all|any|words|mentions|within|as|then|reason|tell_user|tests|block|allow|review|attack"
    r"|person|word|with|block_at_least|unchecked_stages|face|consent|on_error):(?=[ \n])"
)
LETTERS = "abcdefghijklmnopqrstuvwxyz:{}[]-#&*!|>'\"%@`,\t\n \x00é\u200b?"


def problems_of(text: str, name: str) -> tuple[Problem, ...]:
    """The problems of a policy; any other exception than `PolicyError` is a crash."""
    try:
        parse_policy(text, name, folder=FOLDER)
    except PolicyError as error:
        return error.problems
    return ()


def places() -> list[tuple[str, int, str]]:
    """Every key of every shipped policy, outside comments and quoted text."""
    found = []
    for name, text in TEXTS.items():
        for match in KEYS.finditer(text):
            line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
            if "#" not in line and re.fullmatch(r"[\s\-{]*", line):
                found.append((name, match.start(), match.group(1)))
    return found


def misspell(word: str, rng: Random) -> str:
    """Two letters swapped, or one left out, doubled or replaced."""
    at = rng.randrange(len(word) - 1)
    return rng.choice(
        [
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            f"{word[:at]}x{word[at + 1 :]}",
        ]
    )


def planted(count: int) -> list[tuple[str, int, str, str]]:
    rng = Random(2026)
    found: list[tuple[str, int, str, str]] = []
    everywhere = places()
    known = {key for _, _, key in everywhere}
    while len(found) < count:
        name, at, key = rng.choice(everywhere)
        wrong = misspell(key, rng)
        if len(key) > 2 and wrong not in known:
            found.append((name, at, key, wrong))
    return found


@pytest.mark.parametrize(("name", "at", "key", "wrong"), planted(50))
def test_a_misspelt_key_is_reported_where_it_stands_with_the_right_key(
    name: str, at: int, key: str, wrong: str
) -> None:
    text = TEXTS[name]
    line, column = text[:at].count("\n") + 1, at - text.rfind("\n", 0, at)
    found = problems_of(text[:at] + wrong + text[at + len(key) :], name)
    assert (line, column, key) in [(p.location.line, p.location.column, p.suggestion) for p in found]


@pytest.mark.parametrize("seed", range(200))
def test_no_single_character_edit_crashes_the_loader(seed: int) -> None:
    rng = Random(seed)
    name, text = rng.choice(sorted(TEXTS.items()))
    at = rng.randrange(len(text))
    edited = text[:at] + rng.choice(["", *LETTERS]) + text[at + rng.randrange(2) :]
    lines = edited.count("\n") + 2
    for problem in problems_of(edited, name):
        assert problem.location.line >= 1
        assert problem.location.column >= 1
        assert problem.location.path != name or problem.location.line <= lines
