from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import Input, ManifestError, ManifestFacts, Role, SourceType
from provenance.credentials import SoftBinding
from provenance.manifest import (
    MarkedSpan,
    binding_bytes,
    binding_text,
    ingredient_definitions,
    manifest_definition,
)
from watermark import MediaId


def _assertion(facts: ManifestFacts, label: str) -> dict[str, Any]:
    found = [a for a in manifest_definition(facts)["assertions"] if a["label"] == label]
    assert len(found) == 1
    assert found[0]["created"] is True
    data: dict[str, Any] = found[0]["data"]
    return data


def _actions(facts: ManifestFacts) -> list[dict[str, Any]]:
    data = _assertion(facts, "c2pa.actions.v2")
    assert data["allActionsIncluded"] is True
    actions: list[dict[str, Any]] = data["actions"]
    return actions


def test_a_generated_file_is_created_by_a_trained_model(facts: ManifestFacts) -> None:
    created, marked = _actions(facts)
    assert created["action"] == "c2pa.created"
    assert created["digitalSourceType"].endswith("digitalsourcetype/trainedAlgorithmicMedia")
    assert created["softwareAgent"] == {"name": "tiny", "version": "1"}
    assert marked["action"] == "c2pa.watermarked.bound"
    assert "digitalSourceType" not in marked
    assert manifest_definition(facts)["claim_generator_info"][0]["specVersion"] == "2.4.0"


def test_soft_binding_names_the_id(facts: ManifestFacts) -> None:
    binding = _assertion(replace(facts, span_ms=5000), "c2pa.soft-binding")
    assert binding["alg"] == "org.assay.mark.1"
    assert binding["blocks"] == [{"scope": {"timespan": {"start": 0, "end": 5000}}, "value": "ASNFZ4mr"}]
    assert _assertion(facts, "c2pa.soft-binding")["blocks"][0]["scope"] == {}


def test_our_own_assertion_holds_digests_and_no_text(facts: ManifestFacts) -> None:
    record = _assertion(facts, "org.assay.generation")
    assert record["media_id"] == "0123456789ab"
    assert record["policy"] == {"id": "default", "version": "3", "digest": "sha256:" + "a" * 64}
    assert record["decision"] == "d-7"
    assert set(record["digests"]) == {"prompt"}


def test_every_custom_label_has_a_dot(facts: ManifestFacts) -> None:
    assert all("." in entry["label"] for entry in manifest_definition(facts)["assertions"])
    assert _assertion(facts, "c2pa.ai-disclosure")["modelIdentifier"] == "pkg:generic/tiny@1"


def test_training_is_not_allowed_unless_said(facts: ManifestFacts) -> None:
    uses = _assertion(facts, "cawg.training-mining")["entries"].values()
    assert {use["use"] for use in uses} == {"notAllowed"}
    allowed = _assertion(replace(facts, allow_training=True), "cawg.training-mining")["entries"].values()
    assert {use["use"] for use in allowed} == {"allowed"}


def test_references_guide_the_creation(facts: ManifestFacts) -> None:
    inputs = (
        Input(Path("a.png"), "image/png", "face"),
        Input(Path("b.mp4"), "video/mp4", "part", Role.COMPONENT),
    )
    created, placed, _ = _actions(replace(facts, inputs=inputs))
    assert created["parameters"] == {"ingredientIds": ["input0"]}
    assert (placed["action"], placed["parameters"]) == ("c2pa.placed", {"ingredientIds": ["input1"]})
    definitions = [definition for definition, _ in ingredient_definitions(replace(facts, inputs=inputs))]
    assert [d["relationship"] for d in definitions] == ["inputTo", "componentOf"]


def test_media_made_elsewhere_is_opened_and_marked(facts: ManifestFacts) -> None:
    parent = Input(Path("in.png"), "image/png", "original")
    marked_only = replace(facts, parent=parent, source_type=None)
    assert [a["action"] for a in _actions(marked_only)] == ["c2pa.opened", "c2pa.watermarked.bound"]
    assert all("digitalSourceType" not in action for action in _actions(marked_only))
    edited = replace(facts, parent=parent, source_type=SourceType.COMPOSITE_WITH_TRAINED)
    assert [a["action"] for a in _actions(edited)] == ["c2pa.opened", "c2pa.edited", "c2pa.watermarked.bound"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": ""}, "title and mime"),
        ({"source_type": None}, "must say how"),
        ({"span_ms": 0}, "no length"),
        ({"digests": {"prompt": "a red balloon"}}, "never the text itself"),
        ({"created_at": datetime(2026, 1, 1)}, "timezone-aware"),
    ],
)
def test_facts_that_no_manifest_can_state(facts: ManifestFacts, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        replace(facts, **change)


@given(st.integers(0, 2**48 - 1).map(MediaId))
def test_ids_come_back_from_every_form(media_id: MediaId) -> None:
    octets = media_id.value.to_bytes(6, "big")
    for value in (binding_text(media_id), list(octets)):
        assert SoftBinding("x", binding_bytes(value)).media_id == media_id


@pytest.mark.parametrize("value", [None, 7, {"a": 1}, [1, -1], [300], ["x"], "a" * 1000, [0] * 1000])
def test_values_that_are_no_binding(value: object) -> None:
    assert binding_bytes(value) == b""


def test_text_that_is_not_base64_stays_text() -> None:
    assert binding_bytes("2*0101") == b"2*0101"
    assert SoftBinding("x", b"2*0101x").media_id is None


def test_definition_is_json(facts: ManifestFacts) -> None:
    assert json.loads(json.dumps(manifest_definition(facts))) == manifest_definition(facts)


def test_each_marked_span_has_its_own_block(facts: ManifestFacts) -> None:
    spans = (MarkedSpan(facts.media_id, 0, 2000), MarkedSpan(MediaId(7), 2000, 3500))
    blocks = _assertion(replace(facts, spans=spans), "c2pa.soft-binding")["blocks"]
    assert [block["scope"]["timespan"] for block in blocks] == [
        {"start": 0, "end": 2000},
        {"start": 2000, "end": 3500},
    ]
    assert [block["value"] for block in blocks] == [binding_text(facts.media_id), binding_text(MediaId(7))]
    with pytest.raises(ManifestError, match="ends after it starts"):
        replace(facts, spans=(MarkedSpan(facts.media_id, 5, 5),))
