"""The shipped policy: its own tests, and how often it disturbs harmless prompts."""

from __future__ import annotations

import hashlib
from datetime import date

import pytest

from guard import Guard, GuardRequest, Stage, load_policy
from guard.lint import IssueSeverity, lint_policy
from guard.loader import default_policy_path
from guard.testing import run_tests
from tests.guard.conftest import guard_of, prompt, shared_rows


@pytest.fixture(scope="module")
def default() -> Guard:
    return guard_of(load_policy(default_policy_path()))


def test_its_tests_pass_and_it_has_no_lint(default: Guard) -> None:
    report = run_tests(default.policy, default)
    assert report.failures == ()
    assert len(report.results) > 60
    issues = lint_policy(default.policy, today=date(2026, 1, 1))
    assert [issue for issue in issues if issue.severity is not IssueSeverity.NOTE] == []


def test_every_rule_is_enforced_and_tells_the_user(default: Guard) -> None:
    assert all(rule.mode == "enforce" and rule.tell_user.get("en") for rule in default.policy.rules)


@pytest.mark.parametrize(
    "text",
    [
        "a red balloon over a blue sea at dusk",
        "a white boat on a calm sea, gentle hills, morning, pastel colours",
        "birds cross the moon above dark hills at night",
        "children play football in a park",
        "a doctor explains a vaccination to a mother and her baby",
    ],
)
def test_ordinary_prompts_pass(default: Guard, text: str) -> None:
    assert default.evaluate(prompt(text)).allowed


def test_references_without_a_detector_and_adapters_are_refused(default: Guard) -> None:
    assert not default.evaluate(GuardRequest(Stage.ADAPTER)).allowed
    assert default.evaluate(GuardRequest(Stage.OUTPUT)).allowed


@pytest.mark.parametrize("name", ["benign_coco_captions_5k", "benign_partiprompts", "benign_vbench_en_zh"])
def test_harmless_prompts_are_left_alone(default: Guard, name: str) -> None:
    texts = [str(row["prompt"]) for row in shared_rows(name)]
    kept = [text for text in texts if hashlib.sha256(text.encode()).digest()[0] % 2]
    stopped = [text for text in kept if not default.evaluate(prompt(text)).allowed]
    assert len(stopped) <= 0.002 * len(kept), stopped
