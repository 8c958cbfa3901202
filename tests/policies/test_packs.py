"""The shipped policies: their own tests, what they promise together, and whom they disturb."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date

import ahocorasick
import pytest

from guard import Guard, GuardRequest, Policy, Stage, load_policy
from guard.lint import IssueSeverity, lint_policy
from guard.sources import shipped_folder
from guard.testing import run_tests
from tests.guard.conftest import guard_of, prompt, shared_rows

NAMES = sorted(path.stem for path in shipped_folder().glob("*.yaml"))
PROMPT_SETS = (
    "unsafe_i2p",
    "adversarial_nibbler_submitted",
    "benign_partiprompts",
    "benign_vbench_en_zh",
    "benign_coco_captions_5k",
    "style_artist_prompts",
)


@pytest.fixture(scope="module")
def policies() -> dict[str, Policy]:
    return {name: load_policy(shipped_folder() / f"{name}.yaml") for name in NAMES}


@pytest.fixture(scope="module")
def guards(policies: dict[str, Policy]) -> dict[str, Guard]:
    return {name: guard_of(policy) for name, policy in policies.items()}


def held_out(text: str) -> bool:
    """The half, by hash, that no list was tuned on."""
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 1


def test_these_are_shipped() -> None:
    assert NAMES == [
        "artists",
        "brands",
        "default",
        "elections",
        "ideas",
        "intimate",
        "likeness",
        "strict",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_its_tests_pass_and_it_has_no_lint(
    name: str, policies: dict[str, Policy], guards: dict[str, Guard]
) -> None:
    report = run_tests(policies[name], guards[name])
    assert report.failures == ()
    assert len(report.results) > 15
    issues = lint_policy(policies[name], today=date(2026, 1, 1))
    assert [issue for issue in issues if issue.severity is not IssueSeverity.NOTE] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_tells_the_user_and_only_ideas_are_watched(name: str, policies: dict[str, Policy]) -> None:
    rules = policies[name].rules
    assert all(rule.tell_user.get("en") for rule in rules)
    assert any(rule.mode == "shadow" for rule in rules) == (name == "ideas")
    assert policies[name].name == f"assay.{name}"


def test_packs_come_together_without_being_loosened(policies: dict[str, Policy]) -> None:
    default, strict = policies["default"], policies["strict"]
    ids = {rule.id for rule in default.rules}
    for pack in ("likeness", "intimate", "elections"):
        assert {rule.id for rule in policies[pack].rules} <= ids
    assert ids < {rule.id for rule in strict.rules}
    assert [stage.value for stage in strict.unchecked_stages] == ["output"]
    assert [stage.value for stage in policies["brands"].unchecked_stages] == [
        "reference",
        "adapter",
        "output",
    ]


def test_intimate_imagery_is_tested_with_placeholders_only(policies: dict[str, Policy]) -> None:
    (rule,) = (rule for rule in policies["intimate"].rules if rule.id == "child-sexual")
    fires = [str(getattr(test, "case", getattr(test, "attack", ""))) for test in rule.tests[:2]]
    assert len(fires) == 2
    assert all("laceholder" in text or "p l a c e" in text for text in fires)


@pytest.mark.parametrize(
    "text",
    [
        "a red balloon over a blue sea at dusk",
        "a white boat on a calm sea, gentle hills, morning, pastel colours",
        "birds cross the moon above dark hills at night",
        "children play football in a park",
        "a doctor explains a vaccination to a mother and her baby",
        "a snow skier is on the white snow",
        "a barge crosses a channel of water under a cloudy sky",
    ],
)
def test_ordinary_prompts_pass_even_the_strict_policy(guards: dict[str, Guard], text: str) -> None:
    assert guards["strict"].evaluate(prompt(text)).allowed


def test_references_without_a_detector_and_adapters_are_refused(guards: dict[str, Guard]) -> None:
    assert not guards["default"].evaluate(GuardRequest(Stage.ADAPTER)).allowed
    assert guards["default"].evaluate(GuardRequest(Stage.OUTPUT)).allowed


@pytest.mark.parametrize("name", ["benign_coco_captions_5k", "benign_partiprompts", "benign_vbench_en_zh"])
def test_harmless_prompts_are_left_alone(guards: dict[str, Guard], name: str) -> None:
    kept = [text for row in shared_rows(name) if held_out(text := str(row["prompt"]))]
    stopped = [text for text in kept if not guards["default"].evaluate(prompt(text)).allowed]
    assert len(stopped) <= 0.0005 * len(kept), stopped


@pytest.mark.parametrize(
    ("lists", "rule"), [(("characters", "character-phrases"), "character"), (("brands",), "brand")]
)
def test_prompts_that_name_a_character_or_brand_are_refused(
    policies: dict[str, Policy], guards: dict[str, Guard], lists: tuple[str, ...], rule: str
) -> None:
    """Prompts of the held-out half that contain a name of the list, found here by other means."""
    names = [name for key in lists for entry in policies["brands"].lists[key].entries for name in entry.names]
    known = literal_search(names)
    texts = [str(row["prompt"]) for name in PROMPT_SETS for row in shared_rows(name)]
    named = [text for text in texts if held_out(text) and known(text)]
    seen = [
        any(finding.rule_id == rule for finding in guards["brands"].evaluate(prompt(text)).findings)
        for text in named
    ]
    assert len(named) > 50
    assert sum(seen) >= 0.95 * len(named)


def literal_search(names: list[str]) -> Callable[[str], bool]:
    """Tells whether a text has a name as it is written, between word borders where its script has them."""
    automaton = ahocorasick.Automaton()
    for name in names:
        automaton.add_word(name.lower(), name.lower())
    automaton.make_automaton()

    def search(text: str) -> bool:
        lower = f" {text.lower()} "
        return any(
            not name.isascii() or not (lower[last - len(name)].isalnum() or lower[last + 1].isalnum())
            for last, name in automaton.iter(lower)
        )

    return search
