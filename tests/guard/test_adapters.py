"""Adapters: sound safetensors files come in, and everything else is refused quickly, whatever its name."""

from __future__ import annotations

import gzip
import json
import pickle
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

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


class Attack:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.target, "executed")


def file_of(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tensor(begin: int, end: int, *, dtype: str = "F32", shape: list[Any] | None = None) -> dict[str, Any]:
    return {
        "dtype": dtype,
        "shape": [(end - begin) // 4] if shape is None else shape,
        "data_offsets": [begin, end],
    }


def zip_of(name: str) -> bytes:
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"x")
    return buffer.getvalue()


GOOD = {"a": tensor(0, 8)}
HOSTILE: dict[str, tuple[bytes, str]] = {
    "pickle": (pickle.dumps(Attack(Path("executed"))), "a pickle"),
    "old pickle": (pickle.dumps(Attack(Path("executed")), protocol=0), "header"),
    "torch zip": (zip_of("archive/data.pkl"), "a zip archive"),
    "gzip": (gzip.compress(b"x" * 99), "a gzip archive"),
    "empty": (b"", "empty"),
    "short": (b"\x01\x00\x00", "too short"),
    "html": (b"<html><script>alert(1)</script>", "a markup file"),
    "program": (b"\x7fELF\x02\x01\x01\x00\x00\x00\x00", "a program"),
    "header bomb": (file_of(GOOD, bytes(8), length=2**62), "the header claims"),
    "header beyond file": (file_of(GOOD, length=10_000), "the header claims"),
    "nested header": (file_of(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "the header is not JSON"),
    "header is a list": (file_of([1]), "not a JSON object"),
    "header is not JSON": (file_of(b"{nope}"), "the header is not JSON"),
    "not a number": (file_of(b'{"a": NaN}'), "the header is not JSON"),
    "name twice": (file_of(b'{"a": 1, "a": 2}'), "the header is not JSON"),
    "no tensors": (file_of({"__metadata__": {}}), "no tensors"),
    "overlap": (file_of({"a": tensor(0, 8), "b": tensor(4, 12)}, bytes(12)), "overlaps another"),
    "gap": (file_of({"a": tensor(0, 8), "b": tensor(12, 16)}, bytes(16)), "leaves a gap"),
    "trailing bytes": (file_of(GOOD, bytes(8) + pickle.dumps(Attack(Path("executed")))), "the tensors fill"),
    "truncated": (file_of(GOOD, bytes(3)), "the tensors fill"),
    "shape lies": (file_of({"a": tensor(0, 8, shape=[2**40, 2**40])}, bytes(8)), "than its shape needs"),
    "negative offsets": (file_of({"a": tensor(-8, 8)}, bytes(8)), "impossible offsets"),
    "backward offsets": (file_of({"a": tensor(8, 0, shape=[2])}, bytes(8)), "impossible offsets"),
    "shape of texts": (file_of({"a": tensor(0, 8, shape=["2"])}, bytes(8)), "impossible shape"),
    "true in the shape": (file_of({"a": tensor(0, 4, shape=[True])}, bytes(4)), "impossible shape"),
    "many dimensions": (file_of({"a": tensor(0, 4, shape=[1] * 99)}, bytes(4)), "impossible shape"),
    "unknown type": (file_of({"a": tensor(0, 8, dtype="OBJECT")}, bytes(8)), "unknown type"),
    "extra key": (file_of({"a": {**tensor(0, 8), "code": "x"}}, bytes(8)), "and nothing else"),
    "metadata not texts": (file_of({"__metadata__": {"a": 1}, **GOOD}, bytes(8)), "not a mapping of texts"),
    "huge rank": (file_of({"x.lora_down": tensor(0, 8192, shape=[2048, 1])}, bytes(8192)), "has rank 2,048"),
    "many tensors": (file_of({f"t{i}": tensor(0, 0) for i in range(60_000)}), "at most 50,000"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", ["style.safetensors", "STYLE.SAFETENSORS"])
def test_hostile_files_are_refused_with_the_reason_and_quickly(kind: str, name: str, tmp_path: Path) -> None:
    content, reason = HOSTILE[kind]
    (tmp_path / name).write_bytes(content)
    began = time.thread_time()
    with pytest.raises(AdapterError, match=reason):
        read_adapter(tmp_path / name)
    assert time.thread_time() - began < 0.1 or kind == "many tensors"
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
