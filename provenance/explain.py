"""Plain words for every fact of a report: what it means, and what it does not prove."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from provenance.comparison import Comparison, Match
from provenance.credentials import C2paReport, C2paState
from provenance.labels import Labels
from provenance.registry import Record
from provenance.report import Coverage, Explanation, Facts, Part
from watermark import AudioDetection, Band, Detection

_OWN_AUTHORITY: Final = Explanation(
    "signed under the development authority of this installation",
    "the key that signed is one of this installation's; it reads valid and not trusted, here and elsewhere, "
    "because no trust list holds an authority that was made on this machine (to count it as trusted on a "
    "test machine: ASSAY_TRUST_ROOTS=dev-root.pem)",
    "anything to others: they need a certificate of an authority on the C2PA list (assay keys csr)",
)


def explain(facts: Facts, *, now: datetime) -> tuple[Explanation, ...]:
    """One line per fact, in the order in which a reader needs them: mark, record, picture, credentials,
    labels."""
    return tuple(_lines(facts, now))


def _lines(facts: Facts, now: datetime) -> Iterator[Explanation]:
    yield _mark(facts)
    if facts.evidence.sound is not None:
        yield _sound(facts.evidence.sound, facts.evidence.detection)
    if facts.mark_id is not None or facts.record is not None:
        yield _record(facts.record, now)
    if facts.marked is not None:
        yield _picture(facts.comparison)
    if facts.coverage is not None and facts.parts and not facts.coverage.whole:
        yield _only_parts(facts, facts.parts, facts.coverage)
    yield _credentials(facts)
    if facts.evidence.c2pa.own_authority and facts.names_ours:
        yield _OWN_AUTHORITY
    if facts.mark_id is not None and _contradicts(facts):
        yield Explanation(
            "mark and manifest name different ids",
            "the manifest, or the mark, was taken from another file",
            "which of the two was there first",
        )
    if facts.evidence.c2pa.ai_source_type:
        yield _ai_statement(facts.evidence.c2pa)
    if facts.evidence.labels.source_type or facts.evidence.labels.aigc:
        yield _labels(facts.evidence.labels)


def _contradicts(facts: Facts) -> bool:
    stated = {binding.media_id for binding in facts.evidence.c2pa.bindings if binding.media_id is not None}
    return facts.names_ours and bool(stated) and facts.mark_id not in stated


def _mark(facts: Facts) -> Explanation:
    detection, problem = facts.evidence.detection, facts.evidence.problem
    if detection is None:
        why = f" ({problem})" if problem else ""
        return Explanation(
            f"no picture to look for a mark in{why}",
            "the file's pixels could not be read",
            "that there is no mark",
        )
    if detection.found and detection.media_id is not None:
        return Explanation(
            f"mark {detection.media_id.hex} found, chance of an accident at most 10^{detection.log10_p:.0f}",
            "this picture, or one that its mark was copied from, was marked with a key of this service",
            "that this picture was made here: a mark can be carried over, so record and picture are compared",
        )
    if facts.parts:
        part = facts.parts[0].located
        return Explanation(
            f"mark {part.media_id.hex} found in a part, chance of an accident at most 10^{part.log10_p:.0f}",
            "that part, or one that its mark was copied from, was marked with a key of this service",
            "that it was made here: a mark can be carried over, so record and picture are compared",
        )
    if detection.band is Band.INCONCLUSIVE:
        return Explanation(
            f"traces of a mark, chance of an accident at most 10^{detection.log10_p:.0f}",
            "too weak to read an id from; a larger or earlier copy may tell more",
            "that the picture was marked here",
        )
    return Explanation(
        "no mark found",
        "the picture was not marked with a key of this service, or the mark was destroyed",
        "that the picture was not made here, or not made by AI",
    )


def _sound(heard: AudioDetection, seen: Detection | None) -> Explanation:
    if not heard.found or heard.media_id is None:
        return Explanation(
            "no mark heard in the sound",
            "the sound was not marked with a key of this service, or the mark was destroyed",
            "that the sound was not made here, or not made by AI",
        )
    seen_id = seen.media_id if seen is not None else None
    other = f", another than the picture's {seen_id.hex}" if seen_id not in (None, heard.media_id) else ""
    return Explanation(
        f"mark {heard.media_id.hex} heard{other}, chance of an accident at most 10^{heard.log10_p:.0f}",
        "this sound, or one that its mark was copied from, was marked with a key of this service",
        "what is said or played: no fingerprint of the sound is kept, so it is compared with nothing",
    )


def _record(record: Record | None, now: datetime) -> Explanation:
    if record is None:
        return Explanation(
            "no record of this id",
            "the record was deleted, or belongs to another installation with the same keys",
            "anything about the picture: without a record there is nothing to compare with",
        )
    made = f"{record.created_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if record.revoked_at is not None and record.revoked_at <= now:
        return Explanation(
            f"record {record.media_id.hex} of {made}, revoked on {record.revoked_at:%Y-%m-%d}",
            "it was released here, and the operator has withdrawn it since",
            "why it was withdrawn",
        )
    return Explanation(
        f"record {record.media_id.hex} of {made}",
        "a file was released here under this id",
        "that the uploaded file is that one: the next lines say how far it agrees",
    )


def _picture(comparison: Comparison | None) -> Explanation:
    if comparison is None or comparison.match is Match.NOT_COMPARABLE:
        return Explanation(
            "the picture could not be compared with the record",
            "too little of it is left, it is too flat, or the record keeps no fingerprint",
            "that the picture is, or is not, the recorded one; the mark alone is not taken as proof",
        )
    matching = round(comparison.share * comparison.compared)
    best = f"the best in {comparison.score:.0%} of its parts"
    seen = f"{matching} of {comparison.compared} views agree with the record, {best}"
    if comparison.match is Match.MISMATCH:
        return Explanation(
            seen,
            "the mark sits on a picture other than the recorded one: mark or picture was swapped",
            "where the picture comes from, or who carried the mark over",
        )
    return Explanation(
        seen,
        "the picture shows what was released under this id, possibly cropped, recoloured or re-encoded",
        "that nothing was changed in it: small edits leave the picture alike",
    )


def _only_parts(facts: Facts, parts: tuple[Part, ...], coverage: Coverage) -> Explanation:
    """Compositions: our clip in a longer one, our picture in a larger one, several of ours side by side."""
    ids = dict.fromkeys(part.located.media_id.hex for part in parts)
    when = f"{coverage.time:.0%} of its time" if facts.evidence.seconds > 0 else ""
    where = f"{coverage.area:.0%} of its picture"
    shown = ", ".join(_where(part, facts) for part in parts)
    return Explanation(
        f"the mark is in {' and '.join(filter(None, (when, where)))} only: {shown}",
        "this part was made here and is put together with something else"
        if len(ids) == 1
        else f"parts of {len(ids)} releases of this service are put together here",
        "where the rest comes from; nothing said of the marked part holds for it",
    )


def _where(part: Part, facts: Facts) -> str:
    located, box = part.located, part.located.box
    seconds = f"{located.span.start:.1f} to {located.span.end:.1f} s, " if facts.evidence.seconds > 0 else ""
    return (
        f"{seconds}columns {box.left} to {box.right}, rows {box.top} to {box.bottom} ({located.media_id.hex})"
    )


def _credentials(facts: Facts) -> Explanation:
    report = facts.evidence.c2pa
    if facts.genuine:
        return Explanation(
            "carries the recorded manifest, unchanged, and the file's bytes fit it",
            "this is, byte for byte, the file that was released here",
            "that what the picture shows is true",
        )
    if report.state in (C2paState.ABSENT, C2paState.UNSUPPORTED):
        return _no_credentials(report)
    if facts.names_ours:
        return Explanation(
            f"names itself one of ours, but {_why_not(facts)}",
            "the file was changed after it was released, or the manifest was copied or forged",
            "who changed it, or what was changed",
        )
    return _credentials_of_others(report)


def _why_not(facts: Facts) -> str:
    report, record = facts.evidence.c2pa, facts.labelled
    if report.changed_after_signing and report.failures:
        return report.failures[0].meaning
    if record is not None and record.manifest_sha256 == report.manifest_sha256:
        return "bytes that its manifest does not cover were changed"
    return "is not the manifest that was registered"


def _no_credentials(report: C2paReport) -> Explanation:
    if report.remote_url:
        return Explanation(
            f"credentials are stored elsewhere: {report.remote_url}",
            "they were not fetched: a file from a stranger does not make this service call addresses",
            "what they say",
        )
    if report.state is C2paState.UNSUPPORTED:
        return Explanation(
            report.note,
            "only mark, record and fingerprint can speak for this file",
            "anything about its origin",
        )
    return Explanation(
        "no C2PA credentials in the file",
        "none were written, or they were removed; most platforms remove them",
        "that the file is, or is not, made by AI",
    )


def _credentials_of_others(report: C2paReport) -> Explanation:
    if report.state is C2paState.TRUSTED and report.signer is not None:
        return Explanation(
            f"credentials of {report.signer.organisation or report.signer.common_name}, intact",
            "a signer in the trust list vouches for what the manifest says; the file was not changed since",
            "that the statements are true; only that this signer made them",
        )
    if report.own_authority:
        return Explanation(
            "credentials intact, of this installation's development authority, in no record of it",
            "the file was not changed since it was signed with a key of this installation",
            "that it was released by the service: a release has a record, unless that was deleted",
        )
    if report.state is C2paState.VALID:
        return Explanation(
            "credentials intact, of a signer that is in no trust list in use",
            "the file was not changed since somebody signed it",
            "who signed: any name in them may be invented, so none is shown",
        )
    reasons = "; ".join(dict.fromkeys(failure.meaning for failure in report.failures)) or report.note
    return Explanation(
        f"credentials do not hold: {reasons}",
        "what they say cannot be relied upon",
        "that the file was changed with intent: many tools break credentials",
    )


def _ai_statement(report: C2paReport) -> Explanation:
    return Explanation(
        f"the credentials state {report.ai_source_type}",
        "whoever wrote them says that AI made or changed the content",
        "that it is so, where the credentials are not of a trusted signer",
    )


def _labels(labels: Labels) -> Explanation:
    stated = labels.source_type or f"AIGC label {dict(labels.aigc).get('Label', '?')}"
    return Explanation(
        f"metadata state {stated}",
        "a label that any tool can write or remove",
        "that it is true; labels are not signed",
    )
