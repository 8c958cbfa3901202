from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import c2pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from provenance import (
    C2paState,
    DevAuthority,
    ManifestFacts,
    SettingsError,
    SigningKey,
    TrustAnchors,
    TrustError,
    create_dev_authority,
    read_manifest,
    sdk,
    sign_asset,
)
from provenance.chain import chains_of, ends_in
from provenance.codes import by_gravity, explain_code
from provenance.read import read_with_store
from provenance.trust import BUNDLED_ON


@pytest.fixture(scope="module")
def signed(
    tmp_path_factory: pytest.TempPathFactory,
    media: dict[str, Path],
    facts: ManifestFacts,
    key: SigningKey,
    trust: TrustAnchors,
) -> Path:
    target = tmp_path_factory.mktemp("signed") / "out.png"
    return sign_asset(media["image/png"], target, facts, key, trust=trust).path


def test_the_bundled_lists(now: datetime) -> None:
    trust = TrustAnchors.bundled()
    assert (len(trust.claim), len(trust.tsa)) == (30, 22)
    assert now.date() >= BUNDLED_ON
    names = [anchor.subject for anchor in trust.describe()]
    assert any("Google" in name for name in names)
    assert not any("DEV" in name for name in names)


def test_only_a_given_root_is_trusted(signed: Path, authority: DevAuthority) -> None:
    root = authority.root.read_bytes()
    states = {
        "nothing": read_manifest(signed, TrustAnchors()).state,
        "bundled": read_manifest(signed, TrustAnchors.bundled()).state,
        "given": read_manifest(signed, TrustAnchors.bundled().with_claim_root(root)).state,
    }
    assert states == {"nothing": C2paState.VALID, "bundled": C2paState.VALID, "given": C2paState.TRUSTED}


def test_a_time_stamp_authority_cannot_vouch_for_claims(signed: Path, authority: DevAuthority) -> None:
    """The library itself answers Trusted here."""
    root = authority.root.read_bytes()
    report = read_manifest(signed, TrustAnchors().with_tsa_root(root))
    assert report.state is C2paState.VALID
    assert report.signer is None
    assert [failure.code for failure in report.failures] == ["signingCredential.untrusted"]


def test_an_identity_authority_cannot_vouch_for_claims(signed: Path, authority: DevAuthority) -> None:
    """The library itself answers Trusted here too."""
    root = authority.root.read_bytes()
    report = read_manifest(signed, TrustAnchors.bundled().with_cawg_root(root))
    assert (report.state, report.signer) == (C2paState.VALID, None)


def test_the_library_alone_takes_any_list(signed: Path, authority: DevAuthority) -> None:
    """Without this the two tests above could not fail."""
    root = authority.root.read_bytes()
    for trust in (TrustAnchors().with_tsa_root(root), TrustAnchors().with_cawg_root(root)):
        context = sdk.context(sdk.reader_settings(trust))
        with signed.open("rb") as file, c2pa.Reader(None, file, context=context) as reader:
            assert json.loads(reader.json())["validation_state"] == "Trusted"


def test_the_chain_inside_the_manifest_is_checked_link_by_link(signed: Path, authority: DevAuthority) -> None:
    back = read_with_store(signed, TrustAnchors())
    chains = chains_of(back.manifest, back.report.label)
    root = x509.load_pem_x509_certificate(authority.root.read_bytes()).public_bytes(Encoding.DER)
    other = create_dev_authority(signed.parent / "other", now=datetime.now(UTC))
    same_name = x509.load_pem_x509_certificate(other.root.read_bytes()).public_bytes(Encoding.DER)
    assert len(chains.signer) == 2
    assert ends_in(chains.signer, [root])
    assert ends_in(chains.signer[:1], [root])  # the root may be left out
    assert not ends_in(chains.signer, [same_name])  # the same subject, another key
    assert not ends_in((), [root])
    assert not ends_in(chains.signer, [])
    leaf_as_issuer = (chains.signer[0], chains.signer[0], chains.signer[1])
    assert not ends_in(leaf_as_issuer, [root][:0])


def test_a_manifest_store_that_cannot_be_parsed_has_no_chain(signed: Path) -> None:
    back = read_with_store(signed, TrustAnchors())
    for store in (b"", b"\0" * 64, back.manifest[:200], back.manifest * 2):
        assert chains_of(store, "none").signer == ()


def test_an_authority_in_both_lists_vouches_for_claims(signed: Path, authority: DevAuthority) -> None:
    root = authority.root.read_bytes()
    both = TrustAnchors().with_tsa_root(root).with_claim_root(root)
    assert read_manifest(signed, both).state is C2paState.TRUSTED
    assert [anchor.use for anchor in both.describe()] == ["claim", "tsa"]


def test_lists_from_files(tmp_path: Path, authority: DevAuthority) -> None:
    root = authority.root
    trust = TrustAnchors.from_files(claim=root, tsa=root)
    assert trust.claim == trust.tsa
    (tmp_path / "empty.pem").write_text("nothing here")
    (tmp_path / "huge.pem").write_bytes(bytes(5 << 20))
    for name, message in (
        ("empty", "no readable PEM"),
        ("huge", "not a trust list"),
        ("none", "cannot be read"),
    ):
        with pytest.raises(TrustError, match=message):
            TrustAnchors.from_files(claim=tmp_path / f"{name}.pem", tsa=root)


def test_the_same_root_twice_is_one(trust: TrustAnchors, authority: DevAuthority) -> None:
    assert trust.with_claim_root(authority.root.read_bytes() * 2) == trust


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"verify": {"remote_manifest_fetchh": False}}, r"verify\.remote_manifest_fetchh: not a setting"),
        ({"trust_anchors": ""}, "trust_anchors: not a setting"),
        ({"verify": False}, "verify: must be a map"),
        ({"verify": {"ocsp_fetch": 0}}, r"verify\.ocsp_fetch: must be bool, not int"),
    ],
)
def test_settings_that_the_library_would_ignore(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        sdk.context(settings)


def test_nothing_is_ever_fetched_for_a_reader(trust: TrustAnchors) -> None:
    settings = sdk.reader_settings(replace(trust))
    assert settings["verify"]["remote_manifest_fetch"] is False
    assert settings["verify"]["ocsp_fetch"] is False
    assert settings["core"]["allowed_network_hosts"] == []
    assert settings["trust"]["trust_config"]


def test_the_own_development_authority_is_recognised_and_trusts_nobody(
    authority: DevAuthority, key: SigningKey, facts: ManifestFacts, media: dict[str, Path], tmp_path: Path
) -> None:
    knowing = TrustAnchors.bundled().with_own_root(authority.root.read_bytes())
    signed = sign_asset(media["image/png"], tmp_path / "out.png", facts, key, trust=knowing)
    assert signed.report.own_authority
    assert signed.state is C2paState.VALID
    assert signed.report.signer is None
    assert knowing.as_settings() == TrustAnchors.bundled().as_settings()
    assert not read_manifest(signed.path, TrustAnchors.bundled()).own_authority


def test_a_changed_file_is_told_before_an_unknown_signer() -> None:
    codes = (
        "signingCredential.untrusted",
        "ingredient.manifest.missing",
        "assertion.dataHash.mismatch",
        "odd.one",
    )
    ordered = [failure.code for failure in by_gravity(explain_code(code) for code in codes)]
    assert ordered == [codes[2], codes[1], codes[0], codes[3]]
