"""Conditions on patterns, and on what a name is there for."""

from __future__ import annotations

import time

import pytest

from guard import Guard, PolicyError, parse_policy
from guard.patterns import pattern_fault, repeats_a_repetition
from guard.style import is_style
from tests.guard.conftest import POLICY, guard_of, prompt, shared_rows

PATTERNS = POLICY.replace(
    "lists:\n",
    "lists:\n  numbers: {kind: patterns, items: ['\\b\\d{3}-\\d{2}-\\d{4}\\b', 'id\\s*:\\s*[a-z]{2}\\d+']}\n",
).replace("- words: press", "- pattern: numbers")
STYLES = POLICY.replace("- mentions: people", "- {mentions: people, as: style}")


@pytest.fixture(scope="module")
def patterns() -> Guard:
    return guard_of(parse_policy(PATTERNS))


@pytest.mark.parametrize(
    ("text", "span", "view", "certainty"),
    [
        ("Amy Klobuchar, 078-05-1120", (15, 26), "plain", "sure"),
        ("Amy Klobuchar ID: XY12", (14, 22), "plain", "sure"),
        ("Amy Klobuchar ０７８-０５-１１２０", (14, 25), "cleaned", "likely"),
        ("Amy Klobuchar ０７８－０５－１１２０", (14, 25), "cleaned", "likely"),
        ("Amy Klobuchar 0\u200b78-05-1120", (14, 26), "cleaned", "likely"),
        ("Amy Klobuchar іd: xy12", (14, 22), "cleaned", "likely"),
        ("Amy Klobuchar \ud800 078-05-1120", (16, 27), "plain", "sure"),
    ],
)
def test_patterns_are_seen_with_their_place(
    patterns: Guard, text: str, span: tuple[int, int], view: str, certainty: str
) -> None:
    (finding,) = patterns.evaluate(prompt(text)).findings
    found = [e for e in finding.evidence if e.condition == "pattern"]
    assert [(e.start, e.end, e.view, e.certainty) for e in found] == [(*span, view, certainty)]


def test_patterns_that_fit_nothing_do_not_fire(patterns: Guard) -> None:
    assert patterns.evaluate(prompt("Amy Klobuchar 5078-05-11203")).allowed


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        (r"(a)\\1", "is not a pattern of RE2"),
        ("(?=a)b", "is not a pattern of RE2"),
        ("a**)", "is not a pattern of RE2"),
        ("x*", "fits the empty text"),
        (r"(\pL{1,500}){1,400}", "is not a pattern of RE2"),
    ],
)
def test_patterns_that_cannot_be_used_are_errors(pattern: str, fault: str) -> None:
    wanted = pattern.replace("\\\\", "\\")
    assert fault in pattern_fault(wanted)
    with pytest.raises(PolicyError, match=fault):
        parse_policy(PATTERNS.replace("'id\\s*:\\s*[a-z]{2}\\d+'", f"'{wanted}'"))


def test_nested_repetition_is_linear_and_is_noticed() -> None:
    assert [repeats_a_repetition(p) for p in ("(a+)+$", r"(\d+,?)*x", "([ab]*c){2,}")] == [True] * 3
    assert not any(repeats_a_repetition(p) for p in ("(ab)+", r"\(a+\)+", "[(a+)]+", "a+b+", "(a{2}b)+"))
    guard = guard_of(parse_policy(PATTERNS.replace("'id\\s*:\\s*[a-z]{2}\\d+'", "'(a+)+$'")))
    started = time.process_time()
    guard.evaluate(prompt("a" * 19_000 + "!"))
    assert time.process_time() - started < 2  # a backtracking engine would need longer than the universe has


@pytest.mark.parametrize(
    ("before", "after", "style"),
    [
        ("castle in the style of ", "", True),
        ("art by John Doe, Jane Roe and ", "", True),
        ("a still life inspired by ", "'s Rose Period", True),
        ("", "'s signature style", True),
        ("a ", "-inspired mural", True),
        ("enchanting garden scene by ", "", True),
        ("portrait of ", " in the studio", False),
        ("a speech by ", "", False),
        ("a baby held by ", "", False),
        ("a dog sitting by ", "", False),
        ("photo of Jane Roe and ", " hugging", False),
        ("", " painting in the garden", False),
        ("\ud800 by ", "", True),
    ],
)
def test_style_is_told_from_depiction(before: str, after: str, style: bool) -> None:
    assert is_style(f"{before}Amy Klobuchar{after}", len(before), len(before) + 13) is style


def test_a_condition_may_ask_for_one_role() -> None:
    guard = guard_of(parse_policy(STYLES.replace("block: press photo of Amy", "block: press photo by Amy")))
    assert not guard.evaluate(prompt("press photo by Amy Klobuchar")).allowed
    assert guard.evaluate(prompt("press photo of Amy Klobuchar")).allowed
    assert not guard.evaluate(prompt("press photo of Amy Klobuchar by Amy Klobuchar")).allowed


def test_a_list_of_names_takes_no_long_time() -> None:
    text = "art by " + "gregory crewdson and artgerm, wlop & " * 400 + "X"
    started = time.process_time()
    for _ in range(100):
        is_style(text, len(text) - 1, len(text))
    assert time.process_time() - started < 1


def test_prompts_that_name_artists_are_mostly_read_as_style() -> None:
    """The half of the set that the words were not chosen on; by hash of the prompt, as everywhere."""
    known = {"Pablo Picasso": "Picasso", "Andy Warhol": "Warhol"}
    seen = []
    for row in shared_rows("style_artist_prompts"):
        text, artist = str(row["prompt"]), str(row["artist"])
        name = artist if artist in text else known.get(artist, artist)
        if name and name in text and ":" not in name and held_out(text):
            seen.append(is_style(text, text.index(name), text.index(name) + len(name)))
    assert len(seen) > 40
    assert sum(seen) >= 0.8 * len(seen)


def held_out(text: str) -> bool:
    from hashlib import sha256

    return sha256(text.encode()).digest()[0] % 2 == 1


GUESSES = POLICY.replace("- mentions: people", "- {mentions: people, certainty: possible}")


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("press photo of Klobuchar", "family name alone"),
        ("press photo of senator Klobuchr", "family name alone + 1 typing error"),
        ("press photo of KI0buchar", "family name alone"),
    ],
)
def test_possible_finds_more_than_likely(guard: Guard, text: str, view: str) -> None:
    assert guard.evaluate(prompt(text)).allowed
    (finding,) = guard_of(parse_policy(GUESSES)).evaluate(prompt(text)).findings
    assert view in {evidence.view for evidence in finding.evidence}
    assert "possible" in {evidence.certainty for evidence in finding.evidence}


@pytest.mark.parametrize(
    "text", ["press photo of a young man", "press photo of reed by a lake", "press photo of a club in charge"]
)
def test_possible_does_not_guess_at_everyday_words_and_short_names(text: str) -> None:
    assert guard_of(parse_policy(GUESSES)).evaluate(prompt(text)).allowed
