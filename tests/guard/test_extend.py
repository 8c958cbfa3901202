"""Policies on top of others: what is taken over, what may be changed, and what is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard import Policy, PolicyError, load_policy, parse_policy
from guard.errors import Problem
from guard.loader import read_policy
from guard.model import Mode, Severity
from guard.testing import run_tests
from tests.guard.conftest import POLICY, guard_of, prompt

HEAD = "policy: acme.live\nversion: 1.0.0\nextends: [base.yaml]\n"
OVERRIDES = (
    HEAD
    + """\
overrides:
  - rule: official
    why: Only counted here.
    then: review
    severity: medium
    tell_user: {fr: Pas de politiciens.}
    exceptions:
      - {id: archive, tenant: archive, until: 2026-12-31, why: Licence 115}
    tests:
      - review: leaked, Todd Young
  - list: people
    why: Retired.
    remove: [Jack Reed]
    add: [Amalia Hoogeveen]
rules:
  - id: council
    title: The council
    stage: prompt
    severity: low
    when: {mentions: people}
    then: flag
    reason: PERSON.PUBLIC_FIGURE
    tests: [{flag: Amalia Hoogeveen}, {allow: a cat}]
"""
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(POLICY, "utf-8")
    return tmp_path


def load(folder: Path, text: str) -> Policy:
    (folder / "acme.yaml").write_text(text, "utf-8")
    return load_policy(folder / "acme.yaml")


def problems(folder: Path, text: str) -> tuple[Problem, ...]:
    with pytest.raises(PolicyError) as caught:
        load(folder, text)
    return caught.value.problems


def test_rules_and_lists_are_taken_over_and_single_fields_changed(folder: Path) -> None:
    policy = load(folder, OVERRIDES)
    official, face, council = policy.rules
    assert (official.then, official.severity, official.mode) == ("review", Severity.MEDIUM, Mode.ENFORCE)
    assert official.tell_user == {
        "en": "No officials.",
        "de": "Keine Amtspersonen.",
        "fr": "Pas de politiciens.",
    }
    assert [exception.id for exception in official.exceptions] == ["museum", "archive"]
    assert (face.id, council.id) == ("face", "council")
    assert {entry.names[0] for entry in policy.lists["people"].entries} == {
        "Amy Klobuchar",
        "Todd Young",
        "Robert Wittman",
        "Amalia Hoogeveen",
    }
    assert policy.bases == ("test.small@1.0.0",)
    assert [stage.value for stage in policy.unchecked_stages] == ["output"]
    guard = guard_of(policy)
    assert guard.evaluate(prompt("press photo of Amy Klobuchar")).outcome == "review"
    assert guard.evaluate(prompt("press photo of Jack Reed")).allowed


def test_tests_of_overridden_rules_follow_the_new_action_and_are_run(folder: Path) -> None:
    policy = load(folder, OVERRIDES)
    report = run_tests(policy, guard_of(policy))
    assert report.failures == ()
    assert {result.rule_id for result in report.results} == {"official", "face", "council"}


def test_what_it_extends_is_part_of_the_digest(folder: Path) -> None:
    before = load(folder, HEAD).digest
    (folder / "base.yaml").write_text(POLICY.replace("cartoon", "comic"), "utf-8")
    assert load(folder, HEAD).digest != before
    assert set(read_policy(folder / "acme.yaml")[1]) == {"acme.yaml", "base.yaml"}


@pytest.mark.parametrize(
    ("good", "bad", "message", "suggestion"),
    [
        ("rule: official", "rule: oficial", "there is no rule 'oficial' in the policies", "official"),
        ("list: people", "list: peple", "there is no list 'peple' in the policies", "people"),
        ("remove: [Jack Reed]", "remove: [Jack Red]", "'Jack Red' is not in list 'people'", "Jack Reed"),
        ("    why: Only counted here.\n", "", "an override of a rule needs the key 'why'", None),
        ("then: review", "when: {words: art}", "unknown key 'when' in an override of a rule", "then"),
        ("id: council", "id: face", "rule id 'face' is taken by test.small@1.0.0; change that rule", None),
        ("severity: medium", "severty: medium", "unknown key 'severty'", "severity"),
        ("mentions: people", "mentions: pepole", "there is no list 'pepole'", "people"),
        ("[base.yaml]", "[bass.yaml]", "policy 'bass.yaml' cannot be read: No such file", None),
        ("[base.yaml]", "[assay.nothing]", "policy 'assay.nothing' cannot be read: No such file", None),
        ("[base.yaml]", "[acme.yaml]", "'acme.yaml' extends itself", None),
        ("[base.yaml]", "[../base.yaml]", "expected a shipped policy such as assay.default", None),
    ],
)
def test_mistakes_in_overrides_are_errors(
    folder: Path, good: str, bad: str, message: str, suggestion: str | None
) -> None:
    assert good in OVERRIDES
    found = [p for p in problems(folder, OVERRIDES.replace(good, bad, 1)) if p.message.startswith(message)]
    assert [problem.suggestion for problem in found] == [suggestion]


def test_an_override_that_changes_nothing_is_an_error(folder: Path) -> None:
    (problem,) = problems(folder, HEAD + "overrides: [{rule: face, why: Because}]\n")
    assert "needs one of the keys: mode, severity" in problem.message


def test_a_policy_without_rules_extends_or_is_refused(folder: Path) -> None:
    assert len(load(folder, HEAD).rules) == 2
    (problem,) = problems(folder, "policy: a\nversion: 1.0.0\n")
    assert problem.message == "a policy needs one of the keys: rules, extends"


def test_problems_of_the_extended_policy_keep_their_place(folder: Path) -> None:
    (folder / "base.yaml").write_text(POLICY.replace("severity: high", "severity: hihg"), "utf-8")
    found = [(Path(p.location.path).name, p.location.line, p.suggestion) for p in problems(folder, HEAD)]
    assert found == [("acme.yaml", 3, None), ("base.yaml", 12, "high")]


def test_an_enforcing_override_needs_tests_like_any_rule(folder: Path) -> None:
    text = POLICY.replace("mode: enforce", "mode: shadow").split("    tests:\n      - block: {face")[0]
    (folder / "base.yaml").write_text(text + "tests: [{allow: a cat}]\n", "utf-8")
    (problem,) = problems(folder, HEAD + "overrides: [{rule: face, why: Ready, mode: enforce}]\n")
    assert "needs a `block` test and an `allow` test before it may enforce" in problem.message


def test_policies_stack_only_so_high(folder: Path) -> None:
    for n in range(6):
        below = "base.yaml" if n == 0 else f"level-{n - 1}.yaml"
        (folder / f"level-{n}.yaml").write_text(
            f"policy: l{n}\nversion: 1.0.0\nextends: [{below}]\n", "utf-8"
        )
    assert len(load_policy(folder / "level-4.yaml").rules) == 2
    with pytest.raises(PolicyError, match="at most 6 on top of each other"):
        load_policy(folder / "level-5.yaml")


def test_two_policies_may_share_a_base_but_not_differ_in_it(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.yaml").write_text(HEAD.replace("acme.live", name), "utf-8")
    both = HEAD.replace("[base.yaml]", "[a.yaml, b.yaml]")
    assert len(load(folder, both).rules) == 2
    (folder / "b.yaml").write_text(POLICY.replace("test.small", "b"), "utf-8")
    assert any("comes from two of the policies" in problem.message for problem in problems(folder, both))


def test_strictness_leaves_out_stricter_rules_which_are_tested_all_the_same(folder: Path) -> None:
    strict = POLICY.replace("severity: high", "severity: high\n    strictness: 3")
    low, high = (
        parse_policy(strict),
        parse_policy(strict.replace("version: 1.0.0", "version: 1.0.0\nstrictness: 3")),
    )
    text = prompt("press photo of Amy Klobuchar")
    assert guard_of(low).evaluate(text).reason == "GUARD.NO_RULES"
    assert guard_of(high).evaluate(text).reason == "PERSON.PUBLIC_FIGURE"
    assert len(run_tests(low, guard_of(low)).results) == len(run_tests(high, guard_of(high)).results)
    with pytest.raises(PolicyError, match="expected a strictness from 1 to 4, found '5'"):
        parse_policy(strict.replace("strictness: 3", "strictness: 5"))
