"""What authors use: tests inside rules, lint, explanations, and the commands that show them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guard import Guard, GuardRequest, Policy, Stage, parse_policy
from guard.explain import ConditionTrace, explain
from guard.lint import IssueSeverity, lint_policy
from guard.model import Mode
from guard.testing import run_tests
from service.cli.policy import app
from tests.guard.conftest import POLICY, guard_of, prompt
from tests.guard.test_engine import PICTURE, Faces


def failures_of(text: str, **options: int | None) -> list[str]:
    policy = parse_policy(text, "p.yaml")
    report = run_tests(policy, guard_of(policy), **options)
    assert report.passed == (not report.failures and bool(report.results))
    return [failure.message for failure in report.failures]


def test_the_tests_of_a_good_policy_pass(policy: Policy, guard: Guard) -> None:
    report = run_tests(policy, guard)
    assert report.passed
    assert len(report.results) == 2 + 2 + 3 + 1
    assert {(r.attack, r.seen, r.tried) for r in report.results if r.attack} == {
        ("homoglyphs", 4, 4),
        ("leet", 4, 4),
    }


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("block: press photo of Amy Klobuchar", "block: a cat", "expected block, the rule says allow"),
        (
            "allow: a statue of Amy Klobuchar, press photo",
            "allow: press photo of Jack Reed",
            "expected allow, the rule says block",
        ),
        (
            "allow: {face: present, consent: valid}",
            "allow: {face: present, consent: expired}",
            "expected allow, the rule says block",
        ),
        (
            "allow: a red balloon over",
            "block: a red balloon over",
            "expected block, the policy says allow (no rule)",
        ),
        ("press photo of {person}", "painting of {person}", "saw 0 of 4, needs 100%"),
    ],
)
def test_a_test_that_fails_says_how(good: str, bad: str, message: str) -> None:
    assert good in POLICY
    assert message in failures_of(POLICY.replace(good, bad))


def test_attacks_try_a_sample_or_everyone(policy: Policy, guard: Guard) -> None:
    def tried(sample: int | None) -> int:
        return sum(result.tried for result in run_tests(policy, guard, sample=sample).results)

    assert (tried(1), tried(3), tried(None)) == (2, 6, 8)


def test_a_policy_without_tests_has_proved_nothing(policy: Policy) -> None:
    bare = replace(policy, rules=tuple(replace(rule, tests=()) for rule in policy.rules), tests=())
    assert not run_tests(bare, guard_of(bare)).passed


def test_rules_that_are_off_are_not_tested(policy: Policy) -> None:
    off = replace(policy, rules=tuple(replace(rule, mode=Mode.OFF) for rule in policy.rules), tests=())
    assert run_tests(off, guard_of(off)).results == ()


def test_policy_tests_may_be_pictures() -> None:
    text = (
        POLICY
        + "  - block: {face: present}\n  - allow: {face: none}\n  - allow: {face: present, consent: valid}\n"
    )
    assert failures_of(text) == []


def codes(text: str, today: date | None = None) -> set[str]:
    return {issue.code for issue in lint_policy(parse_policy(text, "p.yaml"), today=today)}


def test_lint_of_a_good_policy_has_only_notes(policy: Policy) -> None:
    issues = lint_policy(policy, today=date(2026, 6, 1))
    assert {issue.code for issue in issues} == {"stage-refused"}
    assert all(issue.severity is IssueSeverity.NOTE for issue in issues)


@pytest.mark.parametrize(
    ("good", "bad", "code"),
    [
        ("  art: {", "  spare: {kind: words, items: [x-ray machine]}\n  art: {", "unused-list"),
        ("[statue, cartoon]", "[statue, Statue]", "duplicate-entry"),
        ("[statue, cartoon]", "[statue, '!!']", "dead-entry"),
        ("[statue, cartoon]", "[statue, art]", "short-entry"),
        ("Todd Young", "Green Hill", "everyday-name"),
        ("    tell_user: {en: Consent is needed.}\n", "", "no-user-text"),
        ("tell_user: {en: Consent is needed.}", "tell_user: {fr: Non.}", "no-english-text"),
        (
            "    then: block\n    reason: PERSON.NO",
            "    then: block\n    on_error: allow\n    reason: PERSON.NO",
            "fails-open",
        ),
        (
            "    then: block\n    reason: PERSON.PUB",
            "    then: block\n    on_error: allow\n    reason: PERSON.PUB",
            "fails-open",
        ),
        (
            "mode: enforce\n    when:\n      all:\n        - mentions: people",
            "mode: shadow\n    when:\n      all:\n        - mentions: people",
            "stage-refused",
        ),
        ("      - {words: art, within: 3 words}", "      - words: press", "never-fires"),
        (
            "      - {words: art, within: 3 words}",
            "      - {words: art, certainty: possible}",
            "loose-exemption",
        ),
        (
            "        - mentions: people\n        - words: press",
            "        - {mentions: people, within: 3 words}",
            "never-fires",
        ),
        ("tests:\n  - allow: a red balloon over a blue sea at dusk\n", "", "no-policy-tests"),
    ],
)
def test_lint_finds(good: str, bad: str, code: str) -> None:
    assert good in POLICY
    assert (
        code not in codes(POLICY.replace("stage: reference", "stage: reference")) or code == "stage-refused"
    )
    assert code in codes(POLICY.replace(good, bad))


def test_lint_finds_rules_without_tests_and_rules_that_say_the_same() -> None:
    lines = POLICY.replace("mode: enforce", "mode: shadow").split("    tests:")[0]
    again = lines.split("rules:\n")[1].replace("id: official", "id: official-again")
    assert {"no-tests", "no-allow-test", "no-attack-test", "duplicate-rule"} <= codes(lines + again)


def test_lint_looks_at_the_ends_of_exceptions() -> None:
    assert "expired-exception" in codes(POLICY, date(2027, 1, 1))
    assert "long-exception" in codes(POLICY, date(2025, 1, 1))
    assert not {"expired-exception", "long-exception"} & codes(POLICY, date(2026, 12, 31))


def trace(guard: Guard, text: str) -> ConditionTrace:
    (rule,) = explain(guard, prompt(text))
    return rule.when


def test_an_explanation_shows_what_was_seen_and_what_was_close(guard: Guard) -> None:
    text = "leaked pic of Amy Klobuchar"
    when = trace(guard, text)
    assert when.holds
    people, press = when.parts
    assert [(text[s.start : s.end], s.entry, s.view) for s in people.seen] == [
        ("Amy Klobuchar", "Amy Klobuchar", "plain")
    ]
    assert [s.entry for s in press.seen] == ["leak*"]
    near = trace(guard, "press photos of Amy Klobar").parts
    assert [s.entry for s in near[0].near] == ["Amy Klobuchar"]
    assert [s.entry for s in near[1].near][:1] == ["press photo"]


@pytest.mark.parametrize(
    ("condition", "text", "note"),
    [
        (
            "{words: press, within: 2 words}",
            "Amy Klobuchar a b c d e f press photo",
            "seen, but 6 words away",
        ),
        (
            "{words: press, certainty: sure}",
            "Amy Klobuchar p r e s s photo",
            "seen, but only likely; the condition asks for sure",
        ),
        ("words: press", "statue Amy Klobuchar", ""),
        ("{words: press, within: 2 words}", "press photo", "seen, but not near another match"),
    ],
)
def test_an_explanation_says_why_something_does_not_count(condition: str, text: str, note: str) -> None:
    policy = parse_policy(POLICY.replace("- words: press", f"- {condition}"), "p.yaml")
    assert trace(guard_of(policy), text).parts[1].note == note


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("press photo of Amy Klobuchar", ""),
        (
            "Amy Klobuchar in a press pic",
            "1 of 2 conditions held; missing: words: press (closest: 'press pic')",
        ),
        ("press photo, statue of Amy Klobuchar", "an exemption applies: words: art within 3 words"),
        ("a cat", "0 of 2 conditions held; missing: mentions: people, words: press"),
    ],
)
def test_a_rule_says_in_one_sentence_why_it_does_not_fire(guard: Guard, text: str, why: str) -> None:
    (rule,) = explain(guard, prompt(text))
    assert rule.why_not(text) == why


def test_an_explanation_shows_exemptions(guard: Guard) -> None:
    (rule,) = explain(guard, prompt("press photo, statue of Amy Klobuchar"))
    assert not rule.fires
    assert rule.unless[0].holds


def test_pictures_are_explained_too(guard: Guard) -> None:
    request = GuardRequest(Stage.REFERENCE, pictures=(PICTURE,))
    (rule,) = explain(guard, request)
    assert rule.fires  # by its on_error
    assert "no face detector" in rule.when.parts[0].note
    (rule,) = explain(guard.with_backends(Faces(1.0), None), request)
    assert [part.holds for part in rule.when.parts] == [True, True]


RUNNER = CliRunner(env={"COLUMNS": "110", "NO_COLOR": "1"})


def run(*arguments: str) -> tuple[int, str]:
    wide = {"COLUMNS": "200"}  # or a narrow terminal would wrap what is looked for
    result = RUNNER.invoke(app, arguments, standalone_mode=False, env=wide)
    assert result.exception is None, result.exception
    return result.return_value, result.output


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "p.yaml").write_text(POLICY, "utf-8")
    return tmp_path / "p.yaml"


def test_commands_on_a_good_policy(file: Path) -> None:
    code, out = run("lint", str(file))
    assert code == 0
    assert "test.small@1.0.0: 2 rules, 9 list entries; 1 note" in out
    code, out = run("test", str(file), "--attack")
    assert code == 0
    assert "8 of 8 tests passed" in out
    code, out = run("try", "press photo of Amy Klobuchar", "--policy", str(file))
    assert code == 1
    assert "official blocks" in out
    assert "saw Amy Klobuchar at 15-28 as Amy Klobuchar (plain)" in out
    code, out = run("try", "a cat", "-p", str(file), "--all")
    assert code == 0
    assert "official does not fire" in out
    code, out = run("try", "Amy Klobuchar", "-p", str(file))
    assert (code, "close" in out or "saw" in out) == (0, True)
    assert run("try", "a cat", "-p", str(file))[1].count("\n") == 4


def test_commands_on_a_broken_policy_show_carets(file: Path) -> None:
    file.write_text(POLICY.replace("severity: high", "severty: high"), "utf-8")
    for command in (["lint", str(file)], ["test", str(file)], ["try", "x", "-p", str(file)]):
        code, out = run(*command)
        assert code == 2
        assert f"{file}:12:5: unknown key 'severty' in a rule - did you mean severity?" in out
        assert "\n   12 |     severty: high\n" in out
        assert "1 error; the policy was not loaded" in out
    code, out = run("lint", str(file), "--json")
    assert (code, json.loads(out)["suggestion"]) == (2, "severity")


def test_commands_show_findings(file: Path) -> None:
    file.write_text(POLICY.replace("block: press photo of Amy", "block: oil painting of Amy"), "utf-8")
    code, out = run("test", str(file))
    assert code == 1
    assert "failed" in out
    assert "expected block, the rule says allow" in out
    file.write_text(POLICY.replace("press photo of {person}", "painting of {person}"), "utf-8")
    assert "missed" in run("test", str(file))[1]
    file.write_text(POLICY.replace("  art: {", "  spare: {kind: words, items: [x-ray]}\n  art: {"), "utf-8")
    code, out = run("lint", str(file))
    assert code == 1
    assert "warning no rule uses list 'spare'; remove it [unused-list]" in out


def test_commands_speak_json(file: Path) -> None:
    code, out = run("test", str(file), "--json")
    assert (code, len(out.splitlines())) == (0, 8)
    code, out = run("try", "press photo of Jack Reed", "-p", str(file), "--json")
    assert (code, json.loads(out)["outcome"]) == (1, "block")
    code, out = run("lint", str(file), "--json")
    assert (code, json.loads(out)["code"]) == (0, "stage-refused")
    code, out = run("schema")
    assert (code, json.loads(out)["$schema"]) == (0, "http://json-schema.org/draft-07/schema#")
