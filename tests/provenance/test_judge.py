"""Every row of the table in docs/spec/provenance.md, 4, and what no verdict may say."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest

from provenance import (
    C2paReport,
    C2paState,
    Evidence,
    Fingerprint,
    InMemoryRegistry,
    Labels,
    Match,
    Model,
    PolicyRef,
    Record,
    Report,
    Verdict,
    Views,
    fingerprint_frames,
    judge,
)
from provenance.codes import Failure, explain_code
from provenance.credentials import Signer, SoftBinding
from provenance.fingerprint import MAX_VIEWS, VIEW_LINES, Sampler
from provenance.manifest import SOFT_BINDING_ALG
from tests.provenance.makers import Frame, found, not_found, utc
from watermark import Band, Detection, MediaId

OURS, OTHER = MediaId(0xA11CE), MediaId(0xB0B)
LABEL = "urn:c2pa:ours"
NOW = utc(20)
HASH = "assertion.dataHash.mismatch"


def _texture(seed: int) -> Frame:
    """uint8 [144, 256, 3]: soft noise, different for every seed."""
    rough = np.random.default_rng(seed).integers(0, 256, (18, 32, 3), dtype=np.uint8)
    return np.ascontiguousarray(rough.repeat(8, 0).repeat(8, 1))


def _views(frame: Frame) -> Views:
    sampler = Sampler(fps=0, lines=VIEW_LINES, limit=MAX_VIEWS)
    sampler.look(frame)
    return sampler.views()


def _fingerprint(frame: Frame) -> Fingerprint:
    return fingerprint_frames([frame], fps=0)


def _record(media_id: MediaId = OURS, label: str = LABEL, seed: int = 1) -> Record:
    return Record(
        media_id=media_id,
        key_id="0.3",
        manifest_label=label,
        manifest=label.encode(),
        fingerprint=_fingerprint(_texture(seed)),
        created_at=utc(1),
        tenant="studio",
        policy=PolicyRef("default", "3"),
        model=Model("tiny", "1"),
    )


RECORD = _record()
ABSENT = C2paReport(C2paState.ABSENT)
NO_LABELS = Labels()


def _manifest(
    state: C2paState,
    *codes: str,
    label: str = "urn:c2pa:other",
    sha256: str = "f" * 64,
    bound: MediaId | None = None,
    ai: str = "",
) -> C2paReport:
    bindings = () if bound is None else (SoftBinding(SOFT_BINDING_ALG, bound.value.to_bytes(6, "big")),)
    signer = Signer("Example", "Example signer", "1", "Es256", None) if state is C2paState.TRUSTED else None
    failures = tuple(explain_code(code) for code in codes)
    return C2paReport(
        state, label, sha256, signer=signer, ai_source_type=ai, bindings=bindings, failures=failures
    )


def _ours(state: C2paState, *codes: str) -> C2paReport:
    return _manifest(state, *codes, label=LABEL, sha256=RECORD.manifest_sha256 or "", bound=OURS)


SAME, DIFFERENT, FLAT = _texture(1), _texture(2), np.full((144, 256, 3), 90, np.uint8)


@dataclass(frozen=True)
class Case:
    expected: Verdict
    mark: MediaId | Band = Band.NONE
    picture: Frame | None = None
    c2pa: C2paReport = ABSENT
    labels: Labels = NO_LABELS
    records: tuple[Record, ...] = (RECORD,)


V = Verdict
MANIFESTS = {
    "ours": _ours(C2paState.TRUSTED),
    "ours, root unknown": _ours(C2paState.VALID, "signingCredential.untrusted"),
    "ours, expired": _ours(C2paState.INVALID, "signingCredential.expired", "signingCredential.untrusted"),
    "ours, bytes changed": _ours(C2paState.INVALID, HASH),
    "our label, other bytes": _manifest(C2paState.VALID, label=LABEL, bound=OURS),
    "our id, other label": _manifest(C2paState.VALID, bound=OURS),
    "other, trusted": _manifest(C2paState.TRUSTED),
    "other, valid": _manifest(C2paState.VALID),
    "other, AI": _manifest(C2paState.TRUSTED, ai="trainedAlgorithmicMedia"),
    "other, changed": _manifest(C2paState.INVALID, HASH),
    "other, unreadable": _manifest(C2paState.INVALID, "general.error"),
    "other, invalid, AI": _manifest(
        C2paState.INVALID, "signingCredential.expired", ai="trainedAlgorithmicMedia"
    ),
    "absent": ABSENT,
    "unsupported": C2paReport(C2paState.UNSUPPORTED, note="C2PA credentials are not read from WebM"),
    "remote": C2paReport(C2paState.ABSENT, remote_url="https://example.org/m"),
}
GENUINE = ("ours", "ours, root unknown", "ours, expired")
CLAIMS_OURS = ("ours, bytes changed", "our label, other bytes", "our id, other label")
WITHOUT_US = {
    "other, trusted": V.SIGNED_BY_OTHER,
    "other, valid": V.SIGNED_BY_OTHER,
    "other, AI": V.CLAIMS_AI_GENERATED,
    "other, changed": V.TAMPERED,
    "other, unreadable": V.NO_EVIDENCE,
    "other, invalid, AI": V.CLAIMS_AI_GENERATED,
    "absent": V.NO_EVIDENCE,
    "unsupported": V.NO_EVIDENCE,
    "remote": V.NO_EVIDENCE,
}
SPEAKS_FOR_ITSELF = dict.fromkeys(GENUINE, V.MADE_HERE) | dict.fromkeys(CLAIMS_OURS, V.TAMPERED) | WITHOUT_US

TABLE: dict[str, tuple[dict[str, object], dict[str, Verdict]]] = {
    "mark, picture agrees": (
        {"mark": OURS, "picture": SAME},
        dict.fromkeys(MANIFESTS, V.MADE_HERE_MANIFEST_RECOVERED)
        | dict.fromkeys(GENUINE, V.MADE_HERE)
        | dict.fromkeys(CLAIMS_OURS, V.TAMPERED),
    ),
    "mark, picture differs": (
        {"mark": OURS, "picture": DIFFERENT},
        dict.fromkeys(MANIFESTS, V.TRANSPLANTED_MARK) | dict.fromkeys(GENUINE, V.MADE_HERE),
    ),
    "mark, picture cannot be compared": (
        {"mark": OURS, "picture": SAME, "records": (replace(RECORD, fingerprint=None),)},
        SPEAKS_FOR_ITSELF,
    ),
    "mark of a flat picture": (
        {"mark": OURS, "picture": FLAT, "records": (replace(RECORD, fingerprint=_fingerprint(FLAT)),)},
        SPEAKS_FOR_ITSELF,
    ),
    "mark without a record": (
        {"mark": OTHER, "picture": SAME},
        SPEAKS_FOR_ITSELF | dict.fromkeys(GENUINE, V.TAMPERED),
    ),
    "mark of another record, its picture": (
        {"mark": OTHER, "picture": DIFFERENT, "records": (RECORD, _record(OTHER, "urn:c2pa:second", 2))},
        dict.fromkeys(MANIFESTS, V.MADE_HERE_MANIFEST_RECOVERED)
        | dict.fromkeys((*GENUINE, *CLAIMS_OURS), V.TAMPERED),
    ),
    "mark too weak to read": ({"mark": Band.INCONCLUSIVE, "picture": SAME}, SPEAKS_FOR_ITSELF),
    "no mark": ({"picture": SAME}, SPEAKS_FOR_ITSELF),
    "no picture": ({}, SPEAKS_FOR_ITSELF),
    "no registry": (
        {"mark": OURS, "picture": SAME, "records": ()},
        dict.fromkeys((*GENUINE, *CLAIMS_OURS), V.SIGNED_BY_OTHER)
        | {"ours, bytes changed": V.TAMPERED, "ours, expired": V.NO_EVIDENCE}
        | WITHOUT_US,
    ),
}
ROWS = {
    f"{mark}; {manifest}": Case(expected=verdicts[manifest], c2pa=MANIFESTS[manifest], **given)  # type: ignore[arg-type]
    for mark, (given, verdicts) in TABLE.items()
    for manifest in MANIFESTS
}
LABELLED = {
    "IPTC": Case(V.CLAIMS_AI_GENERATED, labels=Labels("trainedAlgorithmicMedia")),
    "IPTC, not AI": Case(V.NO_EVIDENCE, labels=Labels("digitalCapture")),
    "AIGC": Case(V.CLAIMS_AI_GENERATED, labels=Labels(aigc=(("Label", "1"),))),
    "IPTC beside our mark": Case(
        V.MADE_HERE_MANIFEST_RECOVERED, OURS, SAME, labels=Labels("trainedAlgorithmicMedia")
    ),
}
REVOKED = replace(RECORD, revoked_at=utc(10))


def _detection(case: Case) -> Detection | None:
    if case.picture is None:
        return None
    if isinstance(case.mark, MediaId):
        return found(case.mark, *case.picture.shape[:2])
    return not_found(case.mark)


def _evidence(case: Case) -> Evidence:
    views = None if case.picture is None else _views(case.picture)
    return Evidence(9, "image/png", 256, 144, 0.0, _detection(case), views, case.c2pa, case.labels)


def _judge(case: Case) -> Report:
    return judge(_evidence(case), InMemoryRegistry(case.records), now=NOW)


@pytest.mark.parametrize("row", [*ROWS, *LABELLED])
def test_table(row: str) -> None:
    case = (ROWS | LABELLED)[row]
    assert _judge(case).verdict is case.expected


def test_the_table_leaves_nothing_out() -> None:
    assert len(ROWS) == len(TABLE) * len(MANIFESTS)
    assert {case.expected for case in (ROWS | LABELLED).values()} == set(Verdict)


@pytest.mark.parametrize(("mark", "manifest"), list(product(("mark, picture agrees", "no mark"), GENUINE)))
def test_a_revoked_record_still_tells_and_says_so(mark: str, manifest: str) -> None:
    case = replace(ROWS[f"{mark}; {manifest}"], records=(REVOKED,))
    report = _judge(case)
    assert report.verdict is Verdict.MADE_HERE
    assert report.to_json()["registry"]["revoked_at"] == "2026-01-10T00:00:00+00:00"
    assert any("revoked on 2026-01-10" in line.fact for line in report.explain)


def test_a_revocation_to_come_is_not_one() -> None:
    later = replace(RECORD, revoked_at=utc(25))
    assert (
        _judge(Case(V.NO_EVIDENCE, OURS, SAME, records=(later,))).to_json()["registry"]["revoked_at"] is None
    )


@pytest.mark.parametrize("row", [*ROWS, *LABELLED])
def test_reports_are_plain_complete_and_modest(row: str) -> None:
    report = _judge((ROWS | LABELLED)[row]).to_json()
    text = json.dumps(report)
    assert {"verdict", "watermark", "c2pa", "registry", "fingerprint", "explain"} <= set(report)
    assert not re.search(r"\bauthentic|\bgenuine|\breal photo|\bis not AI", text)
    assert report["explain"]
    assert all(line["fact"] and line["means"] and line["does_not_prove"] for line in report["explain"])


def test_a_recovered_manifest_is_handed_out() -> None:
    report = _judge(ROWS["mark, picture agrees; absent"])
    assert report.manifest == RECORD.manifest
    assert report.to_json()["registry"]["manifest_recovered"] is True
    assert _judge(ROWS["mark, picture agrees; ours"]).manifest is None
    assert _judge(ROWS["mark, picture differs; absent"]).manifest is None


def test_the_tenant_is_named_to_itself_alone() -> None:
    report = _judge(ROWS["mark, picture agrees; absent"])
    assert report.to_json(viewer="studio")["registry"]["tenant"] == "studio"
    for stranger in (None, "", "rival"):
        assert "studio" not in json.dumps(report.to_json(viewer=stranger))


def test_a_signer_is_named_only_when_trusted() -> None:
    assert _judge(ROWS["no mark; other, trusted"]).to_json()["c2pa"]["signer"]["organisation"] == "Example"
    assert _judge(ROWS["no mark; other, valid"]).to_json()["c2pa"]["signer"] is None


def test_contradicting_ids_are_explained() -> None:
    report = _judge(ROWS["mark of another record, its picture; our id, other label"])
    assert any("different ids" in line.fact for line in report.explain)


def test_comparison_is_reported() -> None:
    agrees = _judge(ROWS["mark, picture agrees; absent"]).facts.comparison
    differs = _judge(ROWS["mark, picture differs; absent"]).facts.comparison
    assert agrees is not None
    assert differs is not None
    assert (agrees.match, differs.match) == (Match.MATCH, Match.MISMATCH)
    assert agrees.score > 0.95
    assert differs.score < 0.2


def test_failures_keep_their_clause() -> None:
    failures = _judge(ROWS["no mark; other, changed"]).to_json()["c2pa"]["failures"]
    assert failures == [Failure.to_json(explain_code(HASH))]
    assert "15.12" in failures[0]["clause"]
