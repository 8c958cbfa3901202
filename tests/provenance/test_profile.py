"""One flaw per certificate: each is found and named, and the library refuses what is called an error."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from provenance import (
    KeyMaterialError,
    ManifestFacts,
    Severity,
    SigningKey,
    TrustAnchors,
    explain_certificate,
    sign_asset,
)
from tests.provenance.makers import Leaf

GOOD = Leaf(ec.generate_private_key(ec.SECP256R1()))

FLAWS = {
    "eku": replace(GOOD, usages=(ExtendedKeyUsageOID.CODE_SIGNING,)),
    "no eku": replace(GOOD, usages=None),
    "any eku": replace(GOOD, usages=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)),
    "aki": replace(GOOD, aki=False),
    "key-usage": replace(GOOD, digital_signature=False),
    "no key-usage": replace(GOOD, key_usage=False),
    "cert-sign key-usage": replace(GOOD, cert_sign=True),
    "ca-flag": replace(GOOD, ca=True, cert_sign=False),
    "expired": replace(GOOD, start=timedelta(days=-9), end=timedelta(days=-1)),
    "not-yet-valid": replace(GOOD, start=timedelta(days=1)),
    "curve key-type": replace(GOOD, key=ec.generate_private_key(ec.SECP224R1())),
    "key-size": replace(GOOD, key=rsa.generate_private_key(65537, 1024)),
}


def test_a_good_chain_has_no_findings(now: datetime) -> None:
    assert explain_certificate(GOOD.chain(now), now, GOOD.key_pem()) == []


@pytest.mark.parametrize("flaw", FLAWS)
def test_each_flaw_is_named(flaw: str, now: datetime) -> None:
    findings = explain_certificate(FLAWS[flaw].chain(now), now)
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    assert [error.code for error in errors] == [flaw.rpartition(" ")[2]]
    assert errors[0].message
    assert errors[0].remedy


@pytest.mark.parametrize("flaw", sorted(FLAWS))
def test_a_flawed_chain_does_not_sign(
    flaw: str, now: datetime, tmp_path: Path, media: dict[str, Path], facts: ManifestFacts
) -> None:
    leaf = FLAWS[flaw]
    (tmp_path / "chain.pem").write_bytes(leaf.chain(now))
    (tmp_path / "key.pem").write_bytes(leaf.key_pem())
    with pytest.raises(KeyMaterialError, match=r"\w"):
        _sign(tmp_path, media, facts)
    assert not (tmp_path / "out.png").exists()


def _sign(folder: Path, media: dict[str, Path], facts: ManifestFacts) -> None:
    key = SigningKey.from_files(folder / "chain.pem", folder / "key.pem")
    sign_asset(media["image/png"], folder / "out.png", facts, key, trust=TrustAnchors())


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-384", "P-521", "Ed25519", "RSA"],
)
def test_every_allowed_kind_of_key_signs(
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    tmp_path: Path,
    media: dict[str, Path],
    facts: ManifestFacts,
) -> None:
    leaf = replace(GOOD, key=key)
    (tmp_path / "chain.pem").write_bytes(leaf.chain(now))
    (tmp_path / "key.pem").write_bytes(leaf.key_pem())
    _sign(tmp_path, media, facts)


def test_warnings(now: datetime) -> None:
    soon = explain_certificate(replace(GOOD, end=timedelta(days=12, hours=1)).chain(now), now)
    assert [(f.code, f.severity) for f in soon] == [("expires-soon", Severity.WARNING)]
    assert "12 days" in soon[0].message
    nameless = explain_certificate(replace(GOOD, organisation=None).chain(now), now)
    assert [f.code for f in nameless] == ["organisation"]
    alone = explain_certificate(replace(GOOD, self_signed=True).chain(now), now)
    assert [f.code for f in alone] == ["self-signed"]


def test_chain_order(now: datetime) -> None:
    pems = GOOD.chain(now).split(b"-----END CERTIFICATE-----\n")
    leaf, root = (pem + b"-----END CERTIFICATE-----\n" for pem in pems[:2])
    assert next(f.code for f in explain_certificate(root + leaf, now)) == "chain-order"
    stranger = GOOD.chain(now).split(b"-----END CERTIFICATE-----\n")[1] + b"-----END CERTIFICATE-----\n"
    assert [f.code for f in explain_certificate(leaf + stranger, now)] == ["chain-broken"]
    assert explain_certificate(leaf, now) == []


def test_key_that_is_not_the_certificates(now: datetime) -> None:
    other = replace(GOOD, key=ec.generate_private_key(ec.SECP256R1()))
    assert [f.code for f in explain_certificate(GOOD.chain(now), now, other.key_pem())] == ["key-mismatch"]
    assert [f.code for f in explain_certificate(GOOD.chain(now), now, b"hello")] == ["key-unreadable"]


def test_no_certificate_at_all(now: datetime) -> None:
    assert [f.code for f in explain_certificate(b"hello", now)] == ["unreadable"]
    assert [f.code for f in explain_certificate(b"", now)] == ["unreadable"]
