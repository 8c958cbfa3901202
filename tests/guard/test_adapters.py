"""Adapters: sound safetensors files come in, and everything else is refused quickly, whatever its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from bench.guard.hostile import GOOD, HOSTILE, file_of
from guard import (
    Adapter,
    AdapterError,
    AdapterLimits,
    GuardRequest,
    PolicyError,
    Stage,
    parse_policy,
    read_adapter,
)
from guard.explain import explain
from guard.lint import lint_policy
from guard.testing import run_tests
from tests.guard.conftest import guard_of


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", ["style.safetensors", "STYLE.SAFETENSORS"])
def test_hostile_files_are_refused_with_the_reason(kind: str, name: str, tmp_path: Path) -> None:
    content, reason = HOSTILE[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AdapterError, match=reason):
        read_adapter(tmp_path / name)
    assert not Path("executed").exists()


def test_large_files_are_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.write(file_of(GOOD))
        file.truncate(2**31)  # sparse
    with pytest.raises(AdapterError, match="at most 1,000 are let in"):
        read_adapter(tmp_path / "big", AdapterLimits(max_bytes=1000))
    with pytest.raises(AdapterError, match="the tensors fill"):
        read_adapter(tmp_path / "big")
    with pytest.raises(AdapterError, match="cannot be read"):
        read_adapter(tmp_path / "none")


def test_long_metadata_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(file_of({"__metadata__": {"tags": "x" * 100}, **GOOD}, bytes(8)))
    with pytest.raises(AdapterError, match="longer than 50 characters"):
        read_adapter(tmp_path / "a", AdapterLimits(max_metadata_characters=50))


def test_files_that_safetensors_writes_are_let_in(tmp_path: Path) -> None:
    tensors = {
        "x.lora_down.weight": np.zeros((16, 4), np.float16),
        "x.lora_up.weight": np.zeros((4, 16), np.float16),
    }
    (tmp_path / "a.bin").write_bytes(save(tensors, {"ss_output_name": "Amy Klobuchar"}))
    adapter = read_adapter(tmp_path / "a.bin")
    assert (adapter.tensors, adapter.rank, len(adapter.sha256)) == (2, 16, 64)
    assert adapter.texts() == ("ss_output_name: Amy Klobuchar",)


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 200), change=st.integers(1, 255))
def test_a_changed_header_is_refused_or_still_sound(
    at: int, change: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(save({"a": np.zeros((2, 3), np.float32), "b": np.zeros(4, np.int8)}, {"k": "v"}))
    data[at % len(data)] ^= change
    path = tmp_path_factory.getbasetemp() / "changed"
    path.write_bytes(bytes(data))
    try:
        assert read_adapter(path).tensors in (1, 2)
    except AdapterError as error:
        assert str(error)  # noqa: PT017 - either outcome is right, another exception is not


TRUSTED, UNKNOWN = "a" * 64, "b" * 64
POLICY = f"""\
policy: test.adapters
version: 1.0.0
lists:
  reviewed: {{kind: digests, items: [{TRUSTED}]}}
  people: {{kind: people, items: [Amy Klobuchar]}}
rules:
  - id: unlisted
    title: An adapter that nobody has reviewed
    stage: adapter
    severity: critical
    mode: enforce
    when: {{adapter: unlisted, trusted: reviewed}}
    then: block
    reason: ADAPTER.UNTRUSTED
    tests:
      - block: {{adapter: unlisted}}
      - allow: {{adapter: listed}}
  - id: named
    title: An adapter that names a person
    stage: adapter
    severity: high
    mode: enforce
    when: {{mentions: people}}
    then: block
    reason: PERSON.PROTECTED
    tests:
      - block: "ss_output_name: amyklobuchar"
      - allow: "ss_output_name: watercolour"
"""


def test_rules_judge_adapters_by_digest_and_by_metadata() -> None:
    policy = parse_policy(POLICY, "adapters.yaml")
    guard = guard_of(policy)
    assert run_tests(policy, guard).passed
    assert not [issue for issue in lint_policy(policy) if issue.code == "unused-list"]

    def rules(*adapters: Adapter) -> list[str]:
        decision = guard.evaluate(GuardRequest(Stage.ADAPTER, adapters=adapters))
        return [finding.rule_id for finding in decision.findings]

    assert rules(Adapter(TRUSTED, 1, 4, {})) == []
    assert rules(Adapter(TRUSTED, 1, 4, {}), Adapter(UNKNOWN, 1, 4, {})) == ["unlisted"]
    assert rules(Adapter(TRUSTED, 1, 4, {"ss_output_name": "Кlоbuсhаr_Аmу_v2"})) == ["named"]
    assert rules() == ["guard"]
    (trace, _) = explain(guard, GuardRequest(Stage.ADAPTER, adapters=(Adapter(UNKNOWN, 1, 4, {}),)))
    assert (trace.when.label, trace.when.holds) == ("adapter: unlisted in reviewed", True)


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        (TRUSTED, "xyz", "digests are 64 characters"),
        ("trusted: reviewed", "trusted: people", "is a list of people, and digests are needed"),
        ("stage: adapter", "stage: prompt", "adapters are not seen at stage 'prompt'"),
        ("- block: {adapter: unlisted}", "- block: {face: none}", "looks at an adapter such as"),
    ],
)
def test_what_is_wrong_with_adapter_rules_is_said(good: str, bad: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        parse_policy(POLICY.replace(good, bad, 1))


def test_adapters_are_tested_in_rules_only() -> None:
    policy = parse_policy(POLICY + "tests:\n  - allow: {adapter: listed}\n", "adapters.yaml")
    (failure,) = run_tests(policy, guard_of(policy)).failures
    assert failure.message == "adapters are tested in rules"
