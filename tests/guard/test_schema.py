"""The JSON Schema that editors use says the same as the loader."""

from __future__ import annotations

import json
from importlib.resources import files
from random import Random
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from guard import PolicyError
from guard.language import POLICY as POLICY_SPEC
from guard.language import policy_json_schema
from guard.schema import FAILED, Report
from guard.source import Mapping, Node, Scalar, Sequence, Source, read_tree
from tests.guard.conftest import POLICY

VALIDATOR = jsonschema.Draft7Validator(policy_json_schema())
CORE = YAML(typ="safe", pure=True)  # YAML 1.2: resolves scalars as an editor does

EDITS = [
    ("severity: high", "severity: hihg"),
    ("severity: high", "severity: [high]"),
    ("id: face", "id: 12"),
    ("id: face", "id: '12'"),
    ("id: face", "id: 1.5"),
    ("id: face", "id: true"),
    ("id: face", "id: Face"),
    ("id: face", "id:"),
    ("version: 1.0.0", "version: 1.0"),
    ("version: 1.0.0", "version: '1.0'"),
    ("title: A face without consent", "title: 3"),
    ("title: A face without consent", "title: ''"),
    ("title: A face without consent", "title: ' '"),
    ("title: A face without consent", "title: false"),
    ("title: A face without consent", f"title: {'x' * 121}"),
    ("[statue, cartoon]", "[]"),
    ("[statue, cartoon]", "[1, 2.5, no, yes, true]"),
    ("[statue, cartoon]", "statue"),
    ("100%", "100"),
    ("100%", "7%"),
    ("within: 3 words", "within: 3"),
    ("within: 3 words", "within: 1 word"),
    ("{face: unknown}", "{face: hidden}"),
    ("{face: unknown}", "{}"),
    ("{all: [{face: present}, {consent: missing}]}", "{face: present, consent: missing}"),
    ("{all: [{face: present}, {consent: missing}]}", "{face: present, all: [{face: present}]}"),
    ("{all: [{face: present}, {consent: missing}]}", "{nothing: here}"),
    ("{all: [{face: present}, {consent: missing}]}", "{any: [{all: [{face: present}]}]}"),
    ("tell_user: {en: Consent is needed.}", "tell_user: {english: x}"),
    ("tell_user: {en: Consent is needed.}", "tell_user: {zh-Hant: x}"),
    ("tell_user: {en: Consent is needed.}", "tell_user: hello"),
    ("policy: test.small", "policy: a.b.c"),
    ("policy: test.small", "policy: A"),
    ("mode: enforce", "mode: on"),
    ("mode: enforce", "mode: off"),
    ("unchecked_stages: [output]", "unchecked_stages: output"),
    ("reason: PERSON.NO_CONSENT", "reason: person"),
    ("reason: PERSON.NO_CONSENT", "extra: 1"),
    ("rules:", "rule:"),
]


def plain(node: Node) -> Any:
    """The value that YAML 1.2's core schema gives a node (dates stay text, as in editors)."""
    if isinstance(node, Mapping):
        return {key.value: plain(value) for key, value in node.entries}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    if not node.plain or node.value[:4].isdigit():
        value = node.value if not node.value.isdigit() or not node.plain else int(node.value)
        return value
    loaded = CORE.load(node.value) if node.value else None
    return loaded if isinstance(loaded, int | float | bool) or loaded is None else node.value


def reads(text: str) -> bool:
    """Whether the grammar (without what JSON Schema has no words for) accepts a policy."""
    report = Report(Source("p.yaml", text))
    return POLICY_SPEC.read(read_tree(report.source), report) is not FAILED


def agrees(text: str) -> bool:
    document = plain(read_tree(Source("p.yaml", text)))
    return bool(VALIDATOR.is_valid(document)) == reads(text)


def test_the_shipped_schema_is_the_exported_one() -> None:
    shipped = json.loads(files("policies").joinpath("schema.json").read_text("utf-8"))
    assert shipped == policy_json_schema()
    jsonschema.Draft7Validator.check_schema(shipped)


def test_shipped_policies_are_valid() -> None:
    for file in files("policies").iterdir():
        if file.name.endswith(".yaml"):
            tree = read_tree(Source(file.name, file.read_text("utf-8")))
            VALIDATOR.validate(plain(tree))


@pytest.mark.parametrize(("good", "bad"), EDITS)
def test_schema_and_loader_agree_on_edits(good: str, bad: str) -> None:
    assert good in POLICY
    if "reason: person" in bad or "'12'" in bad:
        assert isinstance(reads(POLICY.replace(good, bad, 1)), bool)
    assert agrees(POLICY.replace(good, bad, 1))


@pytest.mark.parametrize("seed", range(150))
def test_schema_and_loader_agree_on_lines_left_out_or_moved(seed: int) -> None:
    rng = Random(seed)
    lines = POLICY.splitlines()
    at = rng.randrange(len(lines))
    line = lines.pop(at)
    if rng.random() < 0.5:
        lines.insert(rng.randrange(len(lines)), line)
    text = "\n".join(lines)
    try:
        tree = read_tree(Source("p.yaml", text))
    except PolicyError:
        return
    if has_duplicates(tree):
        return  # a key given twice is an error that JSON cannot show
    assert agrees(text)


def has_duplicates(node: Node) -> bool:
    if isinstance(node, Scalar):
        return False
    if isinstance(node, Sequence):
        return any(map(has_duplicates, node.items))
    keys = [key.value for key, _ in node.entries]
    return len(set(keys)) < len(keys) or any(has_duplicates(value) for _, value in node.entries)
