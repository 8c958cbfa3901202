"""Signed, tampered, expired and malformed files of others, with the states recorded for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provenance import C2paState, TrustAnchors, read_manifest
from tests.provenance.conftest import SHARED

FOLDER = SHARED / "c2pa"
CASES: list[dict[str, Any]] = json.loads((FOLDER / "index.json").read_text()) if FOLDER.exists() else []

pytestmark = pytest.mark.skipif(not CASES, reason=f"no C2PA corpus at {FOLDER}")

PROFILES = ("c2pa_trust_list", "test_roots")
_BY_EXCEPTION = {
    "C2paManifestNotFound": C2paState.ABSENT,
    "C2paNotSupported": C2paState.UNSUPPORTED,
    "C2paError: Remote": C2paState.ABSENT,
    "C2paOther: Other: asset could not be parsed": C2paState.UNSUPPORTED,
}


@pytest.fixture(scope="module")
def profiles() -> dict[str, TrustAnchors]:
    roots = (FOLDER / "trust" / "c2pa-rs-test-roots.pem").read_bytes()
    return {"c2pa_trust_list": TrustAnchors.bundled(), "test_roots": TrustAnchors().with_claim_root(roots)}


def _recorded_state(verdict: dict[str, Any]) -> C2paState:
    if verdict["exception"] is None:
        return C2paState(verdict["state"].lower())
    known = (state for start, state in _BY_EXCEPTION.items() if verdict["exception"].startswith(start))
    return next(known, C2paState.INVALID)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_state_and_codes_are_the_recorded_ones(
    case: dict[str, Any], profile: str, profiles: dict[str, TrustAnchors]
) -> None:
    verdict = case["verdict"][profile]
    report = read_manifest(FOLDER / case["file"], profiles[profile], identities=True)
    assert report.state is _recorded_state(verdict)
    if verdict["exception"] is None:
        assert sorted(failure.code for failure in report.failures) == sorted(verdict["failure"])
    assert (report.signer is not None) == (report.state is C2paState.TRUSTED)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_every_failure_has_plain_words(case: dict[str, Any], profiles: dict[str, TrustAnchors]) -> None:
    report = read_manifest(FOLDER / case["file"], profiles["c2pa_trust_list"], identities=True)
    for failure in report.failures:
        assert "no words" not in failure.meaning, failure.code
        assert "15." in failure.clause or "CAWG" in failure.clause


def test_without_identities_only_identity_failures_disappear(profiles: dict[str, TrustAnchors]) -> None:
    """Three files read as invalid for an identity that cannot be resolved offline; the content is intact."""
    changed = []
    for case in CASES:
        path = FOLDER / case["file"]
        full, plain = (
            read_manifest(path, profiles["c2pa_trust_list"], identities=identities)
            for identities in (True, False)
        )
        gone = {f.code for f in full.failures} - {f.code for f in plain.failures}
        if full.state is not plain.state:
            changed.append(path.name)
            assert (full.state, plain.state) == (C2paState.INVALID, C2paState.VALID)
        assert all(code.startswith("cawg.") or code == "assertion.required.missing" for code in gone)
    assert sorted(changed) == [
        "contentauth__malformed_cbor.jpg",
        "contentauth__signature_mismatch.jpg",
        "contentauth__unresolvable_did.jpg",
    ]


def test_stated_ai_is_found(profiles: dict[str, TrustAnchors]) -> None:
    stated = {
        name: read_manifest(FOLDER / name, profiles["c2pa_trust_list"]).ai_source_type
        for name in (
            "microsoft__bing_creator_cloud_surfing_puppy.jpg",
            "Yogesh1290__videotest2.mp4",
            "contentauth__C.jpg",
        )
    }
    assert stated == {
        "microsoft__bing_creator_cloud_surfing_puppy.jpg": "AI Generated Image",
        "Yogesh1290__videotest2.mp4": "trainedAlgorithmicMedia",
        "contentauth__C.jpg": "",
    }


def test_remote_manifests_are_named_and_not_fetched(profiles: dict[str, TrustAnchors]) -> None:
    report = read_manifest(Path(FOLDER / "contentauth__cloud.jpg"), profiles["c2pa_trust_list"])
    assert report.state is C2paState.ABSENT
    assert report.remote_url.startswith("https://")
    assert [failure.code for failure in report.failures] == ["manifest.inaccessible"]
