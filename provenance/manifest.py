"""What a manifest says: the facts, and the C2PA manifest definition made from them (docs/spec/provenance.md,
1)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from provenance.errors import ManifestError
from watermark.payload import MediaId

Json = dict[str, Any]

SPEC_VERSION: Final = "2.4.0"
SOFT_BINDING_ALG: Final = "org.assay.mark.1"
"""Name of our mark in `c2pa.soft-binding`; an operator who registers a name in the C2PA list sets that one
instead."""
SOUND_BINDING_ALG: Final = "org.assay.sound.1"
"""Name of our mark in sound (docs/spec/audio.md)."""
RECORD_LABEL: Final = "org.assay.generation"
"""Our own assertion: media id, policy, decision and digests. A custom label needs a dot (C2PA 2.4
conformance)."""

_IPTC: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_DIGEST = re.compile(r"[a-z0-9-]{3,32}:[0-9A-Za-z+/=_-]{16,128}")


class SourceType(StrEnum):
    """IPTC digital source types that say AI made or changed the picture, and the ones that our actions
    state."""

    TRAINED_ALGORITHMIC = _IPTC + "trainedAlgorithmicMedia"
    COMPOSITE_WITH_TRAINED = _IPTC + "compositeWithTrainedAlgorithmicMedia"
    ALGORITHMIC = _IPTC + "algorithmicMedia"


class Role(StrEnum):
    """How a file went into the one that is signed: C2PA ingredient relationships."""

    REFERENCE = "inputTo"
    COMPONENT = "componentOf"


@dataclass(frozen=True, slots=True)
class Agent:
    """A piece of software: name and version, as a manifest's `softwareAgent` states them."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Model:
    """The generative model. `identifier` is a package URL (`pkg:huggingface/...`) where one exists."""

    name: str
    version: str
    identifier: str | None = None
    kind: str = "c2pa.types.model.pytorch"


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """The guard policy that allowed the request: its id, version and content digest."""

    id: str
    version: str
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """A file that went in. Its own manifest, where it has one, is kept and validated as ingredient; `mark` is
    the id of our mark that was read in it."""

    path: Path
    mime: str
    title: str = "reference"
    role: Role = Role.REFERENCE
    mark: MediaId | None = None


@dataclass(frozen=True, slots=True)
class MarkedSpan:
    """Milliseconds of a clip that carry the mark of `media_id`."""

    media_id: MediaId
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFacts:
    """Everything that a manifest of ours states; plain values, no clock, no randomness.

    `created_at` is timezone-aware. `digests` maps a name ("prompt", "parameters") to `algorithm:text`; the
    texts themselves never enter a manifest. `span_ms` is a clip's length, None for a still picture or an
    unknown length. `sound_binding_alg` names the mark in a clip's sound track, where it has one.

    `aigc_producer`, the provider's name or social credit code, has the AIGC label of GB 45438-2025 written as
    well, with the media id as number of the work, where `source_type` says that AI took part.
    `visible_label` are the words that were drawn on the picture. `spans`, where only parts of a clip carry
    marks, or parts carry marks of other releases, replace the one span of the whole.

    Without `parent` the file is stated as created, with `source_type`. With `parent`, the file that it was
    derived from, it is stated as opened, and `source_type` (None: no AI took part) becomes an edit. Raises
    `ManifestError`.
    """

    title: str
    mime: str
    media_id: MediaId
    created_at: datetime
    generator: Agent
    model: Model | None = None
    policy: PolicyRef | None = None
    decision_id: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    span_ms: int | None = None
    inputs: tuple[Input, ...] = ()
    parent: Input | None = None
    source_type: SourceType | None = SourceType.TRAINED_ALGORITHMIC
    marker: Agent = Agent("assay", "1")
    soft_binding_alg: str = SOFT_BINDING_ALG
    sound_binding_alg: str | None = None
    allow_training: bool = False
    aigc_producer: str | None = None
    visible_label: str | None = None
    spans: tuple[MarkedSpan, ...] = ()

    def __post_init__(self) -> None:
        if not self.title or not self.mime:
            raise ManifestError("title and mime must not be empty")
        if self.created_at.tzinfo is None:
            raise ManifestError("created_at: give a timezone-aware time")
        if self.parent is None and self.source_type is None:
            raise ManifestError("source_type: a file with no parent was created, and must say how")
        if self.span_ms is not None and self.span_ms <= 0:
            raise ManifestError(f"span_ms: {self.span_ms} is no length; give None for a still picture")
        if any(not 0 <= span.start_ms < span.end_ms for span in self.spans):
            raise ManifestError("spans: each starts at 0 or later, and ends after it starts")
        for name, digest in self.digests.items():
            if not _DIGEST.fullmatch(digest):
                raise ManifestError(f"digests[{name!r}]: expected 'algorithm:digest', never the text itself")

    @property
    def binding_algs(self) -> tuple[str, ...]:
        """The marks that the file carries, by their names in soft bindings."""
        extra = self.sound_binding_alg
        return (self.soft_binding_alg,) if extra is None else (self.soft_binding_alg, extra)

    @property
    def bound_ids(self) -> tuple[MediaId, ...]:
        """The ids that the soft bindings name, in order."""
        return tuple(span.media_id for span in self.spans) or (self.media_id,)


def manifest_definition(facts: ManifestFacts) -> Json:
    """The manifest definition for the C2PA library. The hard binding and the ingredients' hashes are added by
    it."""
    return {
        "claim_generator_info": [{**_agent(facts.generator), "specVersion": SPEC_VERSION}],
        "title": facts.title,
        "format": facts.mime,
        "assertions": [
            _assertion("c2pa.actions.v2", {"allActionsIncluded": True, "actions": _actions(facts)}),
            *(_assertion("c2pa.soft-binding", _soft_binding(facts, alg)) for alg in facts.binding_algs),
            *(
                [_assertion("c2pa.ai-disclosure", _disclosure(facts.model))]
                if facts.model is not None
                else []
            ),
            _assertion("cawg.training-mining", _training_mining(facts.allow_training)),
            _assertion(RECORD_LABEL, _record(facts)),
        ],
    }


def ingredient_definitions(facts: ManifestFacts) -> list[tuple[Json, Input]]:
    """Each ingredient's definition with the file to read it from: the parent first, then the inputs."""
    parent = (
        [({"title": facts.parent.title, "relationship": "parentOf", "label": "parent"}, facts.parent)]
        if facts.parent
        else []
    )
    return parent + [
        ({"title": item.title, "relationship": str(item.role), "label": f"input{index}"}, item)
        for index, item in enumerate(facts.inputs)
    ]


def binding_text(media_id: MediaId) -> str:
    """A media id as soft binding value: base64 of its six bytes, most significant first."""
    return base64.b64encode(media_id.value.to_bytes(6, "big")).decode("ascii")


def binding_bytes(value: object) -> bytes:
    """A soft binding's value as bytes: the specification says byte string, writers give base64 text or
    numbers.

    Text that is not base64 is taken as it stands; anything else, and more than 512 bytes, gives no bytes.
    """
    if (
        isinstance(value, list)
        and len(value) <= 512
        and all(isinstance(v, int) and 0 <= v < 256 for v in value)
    ):
        return bytes(value)
    if not isinstance(value, str) or len(value) > 512:
        return b""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return value.encode("utf-8", "replace")


def _assertion(label: str, data: Json) -> Json:
    """`created`: the signer vouches for it; without, the library files it as gathered from somebody else."""
    return {"label": label, "created": True, "data": data}


def _actions(facts: ManifestFacts) -> list[Json]:
    when = facts.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    agent = _agent(facts.generator if facts.model is None else Agent(facts.model.name, facts.model.version))
    first = _created(facts, agent) if facts.parent is None else _opened(facts, agent)
    placed = [f"input{i}" for i, item in enumerate(facts.inputs) if item.role is Role.COMPONENT]
    parts = [{"action": "c2pa.placed", "parameters": {"ingredientIds": placed}}] if placed else []
    mark = {"action": "c2pa.watermarked.bound", "softwareAgent": _agent(facts.marker)}
    return [{**action, "when": when} for action in (*first, *parts, mark)]


def _created(facts: ManifestFacts, agent: Json) -> list[Json]:
    created: Json = {
        "action": "c2pa.created",
        "digitalSourceType": str(facts.source_type),
        "softwareAgent": agent,
    }
    references = _references(facts)
    return [{**created, "parameters": {"ingredientIds": references}} if references else created]


def _opened(facts: ManifestFacts, agent: Json) -> list[Json]:
    """C2PA 2.4: no source type on opened; an edit by a model states it (and names the references that guided
    it)."""
    opened: Json = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["parent"]}}
    if facts.source_type is None:
        return [opened]
    edited: Json = {
        "action": "c2pa.edited",
        "digitalSourceType": str(facts.source_type),
        "softwareAgent": agent,
    }
    references = _references(facts)
    return [opened, {**edited, "parameters": {"ingredientIds": references}} if references else edited]


def _references(facts: ManifestFacts) -> list[str]:
    return [f"input{index}" for index, item in enumerate(facts.inputs) if item.role is Role.REFERENCE]


def _agent(agent: Agent) -> Json:
    return {"name": agent.name, "version": agent.version}


def _soft_binding(facts: ManifestFacts, alg: str) -> Json:
    whole = {} if facts.span_ms is None else {"timespan": {"start": 0, "end": facts.span_ms}}
    blocks: list[Json] = [
        {
            "scope": {"timespan": {"start": span.start_ms, "end": span.end_ms}},
            "value": binding_text(span.media_id),
        }
        for span in facts.spans
    ]
    return {
        "alg": alg,
        "blocks": blocks or [{"scope": whole, "value": binding_text(facts.media_id)}],
        "pad": "",
    }


def _disclosure(model: Model) -> Json:
    stated = {"modelType": model.kind, "modelName": model.name}
    identified = {} if model.identifier is None else {"modelIdentifier": model.identifier}
    return {**stated, **identified, "contentProfile": {"humanOversightLevel": "prompt_guided"}}


def _training_mining(allowed: bool) -> Json:
    uses = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.ai_inference", "cawg.data_mining")
    return {"entries": {use: {"use": "allowed" if allowed else "notAllowed"} for use in uses}}


def _record(facts: ManifestFacts) -> Json:
    policy = None if facts.policy is None else {"id": facts.policy.id, "version": facts.policy.version}
    if policy is not None and facts.policy is not None and facts.policy.digest is not None:
        policy["digest"] = facts.policy.digest
    stated = {
        "media_id": facts.media_id.hex,
        "policy": policy,
        "decision": facts.decision_id,
        "visible_label": facts.visible_label,
        "digests": dict(sorted(facts.digests.items())) or None,
        "input_marks": {f"input{i}": item.mark.hex for i, item in enumerate(facts.inputs) if item.mark}
        or None,
    }
    return {key: value for key, value in stated.items() if value is not None}
