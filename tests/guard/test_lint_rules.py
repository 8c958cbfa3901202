"""Lint of what several rules, patterns and names do together; coverage of tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard import parse_policy
from guard.ambiguity import ambiguous_entries, everyday_texts
from guard.coverage import cover
from guard.lint import lint_policy
from guard.overlap import shadowed_rules
from tests.guard.conftest import POLICY, guard_of
from tests.guard.test_author_tools import run

SECOND = """\
  - id: second
    title: Another one
    stage: prompt
    severity: {severity}
    mode: shadow
    when: {when}
    then: {then}
    reason: PERSON.PUBLIC_FIGURE
    tell_user: {{en: No.}}
    tests: [{{{then}: leaked photo of Jack Reed}}, {{allow: a cat}}]
"""
OPEN = POLICY.replace("    unless:\n      - {words: art, within: 3 words}\n", "").replace(
    "    exceptions:\n      - {id: museum, tenant: city-museum, until: 2026-12-31, why: Licence 114}\n", ""
)


def with_second(when: str, *, text: str = OPEN, severity: str = "medium", then: str = "block") -> str:
    second = SECOND.format(when=when, severity=severity, then=then)
    return text.replace("tests:\n  - allow: a red", second + "tests:\n  - allow: a red")


MORE = "{all: [{mentions: people}, {words: press}, {words: art}]}"
SURE = "{all: [{mentions: people, certainty: sure}, {words: press}]}"
STYLE = "{all: [{mentions: people, as: style}, {words: press}]}"
SHADOWED = [("second", "official", False)]
BOTH = "{all: [{mentions: people}, {words: press}]}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (with_second(BOTH), [("second", "official", True)]),
        (with_second("{all: [{words: press}, {mentions: people}]}"), [("second", "official", True)]),
        (
            with_second("{all: [{mentions: people}, {words: press}, {words: art}]}"),
            [("second", "official", False)],
        ),
        (
            with_second("{all: [{mentions: people, certainty: sure}, {words: press}]}"),
            [("second", "official", False)],
        ),
        (
            with_second("{all: [{mentions: people, as: style}, {words: press}]}"),
            [("second", "official", False)],
        ),
        (with_second("{all: [{mentions: people, certainty: possible}, {words: press}]}"), []),
        (with_second("{mentions: people}"), []),
        (with_second("{any: [{mentions: people}, {words: press}]}"), []),
        (with_second(BOTH, severity="critical"), [("second", "official", True)]),
        (with_second(MORE, severity="critical"), []),
        (with_second(MORE, text=POLICY), []),
    ],
)
def test_rules_that_never_matter_are_found(text: str, found: list[tuple[str, str, bool]]) -> None:
    policy = parse_policy(text, "p.yaml")
    assert [(rule.id, other.id, same) for rule, other, same in shadowed_rules(policy)] == found


def codes(text: str) -> dict[str, str | None]:
    return {issue.code: issue.suggestion for issue in lint_policy(parse_policy(text, "p.yaml"))}


def test_lint_names_them_with_a_suggestion() -> None:
    assert codes(with_second(BOTH))["duplicate-rule"] == "remove one of them"
    assert codes(with_second(MORE))["shadowed-rule"] == "raise its severity"
    nested = POLICY.replace("lists:\n", "lists:\n  bad: {kind: patterns, items: ['(a+)+$']}\n").replace(
        "- words: press", "- pattern: bad"
    )
    assert codes(nested)["redos-prone"] == "repeat once"


def test_names_in_everyday_texts_are_found_before_they_disturb_anybody() -> None:
    alone = OPEN.replace(
        "      all:\n        - mentions: people\n        - words: press\n", "      mentions: people\n"
    )
    alone = alone.replace("[Amy Klobuchar,", "[Gwen Stacy, Amy Klobuchar,")
    policy = parse_policy(alone, "p.yaml")
    (found,) = ambiguous_entries(policy)
    assert (found.list.name, found.texts) == ("people", len(everyday_texts()))
    assert found.seen > 1
    assert "Gwen Stacy" in found.example
    assert [a.seen for a in ambiguous_entries(policy, ["Jack Reed", "Jack Reed swims", "a lake"])] == [2]
    together = parse_policy(POLICY.replace("[Amy Klobuchar,", "[Gwen Stacy, Amy Klobuchar,"), "p.yaml")
    assert list(ambiguous_entries(together)) == []


def test_coverage_shows_conditions_of_which_tests_saw_one_side_only() -> None:
    policy = parse_policy(POLICY, "p.yaml")
    found = {(c.rule_id, c.condition): (c.held, c.missed) for c in cover(policy, guard_of(policy))}
    assert found == {
        ("official", "mentions: people"): (True, False),
        ("official", "words: press"): (True, False),
        ("official", "words: art within 3 words"): (True, True),
        ("face", "face: present"): (True, True),
        ("face", "consent: missing"): (True, True),
    }


def test_commands_take_several_policies_and_a_corpus(tmp_path: Path) -> None:
    folder = tmp_path
    for name in ("a", "b"):
        (folder / f"{name}.yaml").write_text(POLICY.replace("test.small", f"test.{name}"), "utf-8")
    paths = [str(folder / "a.yaml"), str(folder / "b.yaml")]
    code, out = run("test", *paths, "--coverage")
    assert code == 0
    assert "tests show both sides of 3 of 5 conditions" in out
    assert "official, line 16: mentions: people: held in every test" in out
    assert {"test.a@1.0.0", "test.b@1.0.0"} <= set(out.replace(":", " ").split())
    (folder / "own.txt").write_text("Jack Reed\n", "utf-8")
    assert run("lint", *paths, "--corpus", str(folder / "own.txt"))[0] == 0
