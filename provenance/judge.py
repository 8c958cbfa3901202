"""From evidence to a verdict: pure, by the table of docs/spec/provenance.md, 4."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from provenance.codes import Failure
from provenance.comparison import Comparison, Match, compare
from provenance.credentials import C2paReport
from provenance.evidence import Evidence
from provenance.explain import explain
from provenance.registry import Record, Registry
from provenance.report import Facts, Part, Report, Verdict
from watermark import Located, MediaId

_ABOUT_THE_SIGNER: Final = ("signingCredential.", "timeStamp.", "claimSignature.outsideValidity", "cawg.")
"""Failures that leave the binding between manifest and file alone: ours expire, and dev roots are no
anchors."""


def judge(evidence: Evidence, registry: Registry, *, now: datetime) -> Report:
    """What the evidence shows at `now`, by what the registry knows. Asks the registry and reads nothing
    else."""
    facts = _gather(evidence, registry)
    verdict = _verdict(facts)
    return Report(verdict, now, facts, explain(facts, now=now))


def _gather(evidence: Evidence, registry: Registry) -> Facts:
    c2pa, detection = evidence.c2pa, evidence.detection
    heard = evidence.sound.media_id if evidence.sound is not None and evidence.sound.found else None
    seen = detection.media_id if detection is not None and detection.found else None
    parts = _parts(evidence, registry)
    strongest = next((part.located.media_id for part in parts or ()), None)
    mark_id = seen or strongest or heard
    marked = registry.by_media_id(mark_id) if mark_id is not None else None
    labelled = registry.by_manifest_label(c2pa.label) if c2pa.label else None
    return Facts(
        evidence=evidence,
        mark_id=mark_id,
        record=marked or labelled,
        marked=marked,
        comparison=_best(_compare(evidence, marked), mark_id, parts or ()),
        genuine=labelled is not None and _is_recorded(evidence, labelled),
        labelled=labelled,
        names_ours=labelled is not None or _names_registered(c2pa, registry),
        parts=parts,
    )


def _parts(evidence: Evidence, registry: Registry) -> tuple[Part, ...] | None:
    if evidence.parts is None:
        return None
    return tuple(_part(located, evidence, registry) for located in evidence.parts)


def _part(located: Located, evidence: Evidence, registry: Registry) -> Part:
    """A part is compared with its own record, by what is shown while it lasts."""
    record = registry.by_media_id(located.media_id)
    views = evidence.views
    if record is None or record.fingerprint is None or views is None:
        return Part(located, record, None)
    if evidence.seconds > 0:
        views = views.between(1000 * located.span.start, 1000 * located.span.end)
    return Part(located, record, compare(record.fingerprint, views, located.geometry))


def _best(whole: Comparison | None, mark_id: MediaId | None, parts: tuple[Part, ...]) -> Comparison | None:
    """Of the whole and of the parts under the same id: a part that is ours is ours, whatever it was cut
    into."""
    if whole is not None and whole.match is Match.MATCH:
        return whole
    own = [part.comparison for part in parts if part.located.media_id == mark_id]
    found = [comparison for comparison in own if comparison is not None]
    matching = [comparison for comparison in found if comparison.match is Match.MATCH]
    return next(iter(matching + ([whole] if whole is not None else []) + found), None)


def _compare(evidence: Evidence, marked: Record | None) -> Comparison | None:
    if marked is None or marked.fingerprint is None or evidence.views is None or evidence.detection is None:
        return None
    return compare(marked.fingerprint, evidence.views, evidence.detection.geometry)


def _is_recorded(evidence: Evidence, record: Record) -> bool:
    """True when the file is the recorded one: its manifest, unchanged, fits, and so does the whole file's
    digest.

    The digest counts as well: C2PA's hash leaves out some bytes, such as the brands of an MP4, and a reader
    forgives some damage to the manifest itself.
    """
    c2pa = evidence.c2pa
    same = record.manifest_sha256 is not None and c2pa.manifest_sha256 == record.manifest_sha256
    fits = all(_about_the_signer(failure) for failure in c2pa.failures)
    return same and fits and record.file_sha256 in (None, evidence.sha256)


def _about_the_signer(failure: Failure) -> bool:
    return failure.code.startswith(_ABOUT_THE_SIGNER)


def _names_registered(c2pa: C2paReport, registry: Registry) -> bool:
    """Other deployments use the same algorithm name: only ids that this registry knows are claims to be
    ours."""
    return any(registry.by_media_id(media_id) is not None for media_id in _stated(c2pa))


def _stated(c2pa: C2paReport) -> tuple[MediaId, ...]:
    return tuple(binding.media_id for binding in c2pa.bindings if binding.media_id is not None)


def _verdict(facts: Facts) -> Verdict:
    comparison = facts.comparison.match if facts.comparison is not None else Match.NOT_COMPARABLE
    if facts.genuine:
        own = facts.labelled.media_id if facts.labelled is not None else None
        return Verdict.MADE_HERE if facts.mark_id in (None, own) else Verdict.TAMPERED
    if comparison is Match.MISMATCH:
        return Verdict.TRANSPLANTED_MARK
    if facts.names_ours:
        return Verdict.TAMPERED
    if comparison is Match.MATCH:
        return Verdict.MADE_HERE_MANIFEST_RECOVERED
    return _verdict_of_others(facts.evidence)


def _verdict_of_others(evidence: Evidence) -> Verdict:
    """For files that neither a mark with its record nor a manifest of ours speaks for."""
    c2pa = evidence.c2pa
    if c2pa.changed_after_signing:
        return Verdict.TAMPERED
    if c2pa.ai_source_type or evidence.labels.claims_ai:
        return Verdict.CLAIMS_AI_GENERATED
    return Verdict.SIGNED_BY_OTHER if c2pa.state.intact else Verdict.NO_EVIDENCE
