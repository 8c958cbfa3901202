"""The answer to "what is known about this file": verdict, facts and one explanation per fact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from provenance.comparison import Comparison, Match
from provenance.credentials import Action, C2paReport, Ingredient, SoftBinding
from provenance.evidence import Evidence
from provenance.registry import Record
from watermark import AudioDetection, Detection, Located, MediaId

Json = dict[str, Any]


class Verdict(StrEnum):
    """Evidence, never a judgement: none of these says that a picture is authentic, or that it is not AI."""

    MADE_HERE = "made_here"
    MADE_HERE_MANIFEST_RECOVERED = "made_here_manifest_recovered"
    SIGNED_BY_OTHER = "signed_by_other"
    CLAIMS_AI_GENERATED = "claims_ai_generated"
    TRANSPLANTED_MARK = "transplanted_mark"
    TAMPERED = "tampered"
    NO_EVIDENCE = "no_evidence"

    @property
    def is_evidence(self) -> bool:
        return self is not Verdict.NO_EVIDENCE


@dataclass(frozen=True, slots=True)
class Explanation:
    """One fact, what it means, and what it does not prove."""

    fact: str
    means: str
    does_not_prove: str

    def to_json(self) -> dict[str, str]:
        return {"fact": self.fact, "means": self.means, "does_not_prove": self.does_not_prove}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the medium that carries a mark: where, the record of its id, and whether it shows the
    recorded picture."""

    located: Located
    record: Record | None
    comparison: Comparison | None

    @property
    def match(self) -> Match:
        return Match.NOT_COMPARABLE if self.comparison is None else self.comparison.match


@dataclass(frozen=True, slots=True)
class Facts:
    """What the verdict rests on.

    `marked` is the record of the id in the mark, `labelled` that of the manifest's label, `record` the first
    of them. `genuine`: the file carries its recorded manifest unchanged, and it fits. `names_ours`: the
    manifest says it is one of ours, by its label or by a registered id. `parts` is None where nobody looked
    for parts.
    """

    evidence: Evidence
    mark_id: MediaId | None
    record: Record | None
    marked: Record | None
    labelled: Record | None
    comparison: Comparison | None
    genuine: bool
    names_ours: bool
    parts: tuple[Part, ...] | None = None

    @property
    def coverage(self) -> Coverage | None:
        """How much of the medium its parts make up; None where nobody looked for parts."""
        return None if self.parts is None else Coverage.of(self.evidence, self.parts)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of a medium's time and of its picture that carry any mark, 0 to 1, to about half a second and a
    sixteenth."""

    time: float
    area: float

    @staticmethod
    def of(evidence: Evidence, parts: tuple[Part, ...]) -> Coverage:
        spans = sorted((part.located.span.start, part.located.span.end) for part in parts)
        covered, at = 0.0, 0.0
        for start, end in spans:
            covered, at = covered + max(0.0, end - max(at, start)), max(at, end)
        whole = max(1, evidence.width * evidence.height)
        area = max((part.located.box.area / whole for part in parts), default=0.0)
        time = covered / evidence.seconds if evidence.seconds > 0 else float(bool(parts))
        return Coverage(min(1.0, time), min(1.0, area))

    @property
    def whole(self) -> bool:
        """Whether the mark is everywhere, as far as it can be told."""
        return self.time >= 0.9 and self.area >= 0.8


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict at `judged_at`, with everything needed to check it."""

    verdict: Verdict
    judged_at: datetime
    facts: Facts
    explain: tuple[Explanation, ...]

    @property
    def manifest(self) -> bytes | None:
        """The recovered manifest store, where this file's own was stripped and the record holds it."""
        recovered = self.verdict is Verdict.MADE_HERE_MANIFEST_RECOVERED and self.facts.marked is not None
        return self.facts.marked.manifest if recovered and self.facts.marked is not None else None

    def to_json(self, viewer: str | None = None) -> Json:
        """Plain values. The record's tenant is named to `viewer` only where it is that tenant."""
        evidence = self.facts.evidence
        return {
            "verdict": str(self.verdict),
            "judged_at": self.judged_at.isoformat(),
            "media": {
                "mime": evidence.mime,
                "bytes": evidence.size,
                "width": evidence.width,
                "height": evidence.height,
                "seconds": evidence.seconds,
                "problem": evidence.problem,
            },
            "watermark": _watermark(evidence.detection),
            "sound": _sound(evidence.sound),
            "c2pa": _c2pa(self.facts),
            "labels": {"source_type": evidence.labels.source_type, "aigc": dict(evidence.labels.aigc)},
            "registry": _registry(self, viewer),
            "fingerprint": _fingerprint(self.facts.comparison),
            "parts": None if self.facts.parts is None else [_part(part) for part in self.facts.parts],
            "coverage": _coverage(self.facts.coverage),
            "explain": [line.to_json() for line in self.explain],
        }


def _sound(detection: AudioDetection | None) -> Json | None:
    if detection is None:
        return None
    return {
        "found": detection.found,
        "band": str(detection.band),
        "id": detection.media_id.hex if detection.media_id is not None else None,
        "key_id": detection.key_id,
        "log10_p": round(detection.log10_p, 2),
        "seconds": round(detection.seconds, 3),
    }


def _watermark(detection: Detection | None) -> Json:
    if detection is None:
        return {"found": False, "band": None, "id": None, "log10_p": 0.0, "frames_read": 0, "geometry": None}
    placed = detection.geometry
    return {
        "found": detection.found,
        "band": str(detection.band),
        "id": detection.media_id.hex if detection.media_id is not None else None,
        "key_id": detection.key_id,
        "log10_p": round(detection.log10_p, 2),
        "frames_read": detection.frames_read,
        "geometry": None
        if placed is None
        else {
            "mirrored": placed.mirrored,
            "pixels_per_unit": round(placed.scale, 3),
            "rotation_degrees": round(placed.rotation, 2),
        },
    }


def _c2pa(facts: Facts) -> Json:
    report = facts.evidence.c2pa
    return {
        "state": str(report.state),
        "label": report.label or None,
        "is_ours": facts.genuine,
        "names_ours": facts.names_ours,
        "own_authority": report.own_authority,
        "signer": _signer(report),
        "generator": report.generator,
        "title": report.title,
        "ai_source_type": report.ai_source_type or None,
        "bindings": [_binding(binding) for binding in report.bindings],
        "actions": [_action(action) for action in report.actions],
        "ingredients": [_ingredient(ingredient) for ingredient in report.ingredients],
        "failures": [failure.to_json() for failure in report.failures],
        "remote_url": report.remote_url or None,
        "note": report.note,
    }


def _signer(report: C2paReport) -> Json | None:
    signer = report.signer
    if signer is None:
        return None
    signed_at = signer.signed_at.isoformat() if signer.signed_at is not None else None
    return {
        "organisation": signer.organisation,
        "common_name": signer.common_name,
        "serial": signer.serial,
        "algorithm": signer.algorithm,
        "signed_at": signed_at,
    }


def _binding(binding: SoftBinding) -> Json:
    media_id = binding.media_id
    return {
        "alg": binding.alg,
        "value": binding.value.hex(),
        "id": media_id.hex if media_id is not None else None,
    }


def _action(action: Action) -> Json:
    return {
        "action": action.name,
        "source_type": action.source_type,
        "agent": action.agent,
        "when": action.when,
    }


def _ingredient(ingredient: Ingredient) -> Json:
    return {
        "title": ingredient.title,
        "relationship": ingredient.relationship,
        "label": ingredient.label or None,
        "generator": ingredient.generator,
        "ai_source_type": ingredient.ai_source_type or None,
        "failures": [failure.to_json() for failure in ingredient.failures],
        "ingredients": [_ingredient(inner) for inner in ingredient.ingredients],
    }


def _registry(report: Report, viewer: str | None) -> Json:
    record = report.facts.record
    if record is None:
        return {"found": False}
    revoked = (
        record.revoked_at if record.revoked_at is not None and record.revoked_at <= report.judged_at else None
    )
    return {
        "found": True,
        "id": record.media_id.hex,
        "created_at": record.created_at.isoformat(),
        "tenant": record.tenant if viewer == record.tenant else None,
        "policy": None
        if record.policy is None
        else {"id": record.policy.id, "version": record.policy.version},
        "model": None
        if record.model is None
        else {"name": record.model.name, "version": record.model.version},
        "manifest_label": record.manifest_label,
        "manifest_recovered": report.manifest is not None,
        "revoked_at": revoked.isoformat() if revoked is not None else None,
    }


def _fingerprint(comparison: Comparison | None) -> Json | None:
    if comparison is None:
        return None
    return {
        "match": str(comparison.match),
        "score": round(comparison.score, 3),
        "share": round(comparison.share, 3),
        "compared": comparison.compared,
        "views": comparison.views,
    }


def _part(part: Part) -> Json:
    located, box = part.located, part.located.box
    return {
        "start": round(located.span.start, 3),
        "end": round(located.span.end, 3),
        "box": {"left": box.left, "top": box.top, "right": box.right, "bottom": box.bottom},
        "id": located.media_id.hex,
        "key_id": located.key_id,
        "log10_p": round(located.log10_p, 2),
        "recorded": part.record is not None,
        "match": str(part.match),
    }


def _coverage(coverage: Coverage | None) -> Json | None:
    return None if coverage is None else {"time": round(coverage.time, 3), "area": round(coverage.area, 3)}
