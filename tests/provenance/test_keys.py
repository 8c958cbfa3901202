from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from provenance import (
    Algorithm,
    C2paState,
    DevAuthority,
    KeyMaterialError,
    ManifestFacts,
    SigningError,
    SigningKey,
    TrustAnchors,
    create_dev_authority,
    sign_asset,
)
from provenance.keys import Sign
from tests.provenance.makers import Leaf

KEY = ec.generate_private_key(ec.SECP256R1())


def _der(data: bytes) -> bytes:
    return KEY.sign(data, ec.ECDSA(hashes.SHA256()))


def _raw(data: bytes) -> bytes:
    r, s = decode_dss_signature(_der(data))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_printing_a_key_shows_no_secret(authority: DevAuthority, key: SigningKey) -> None:
    secret = authority.key.read_text().splitlines()[1]
    assert secret not in repr(key) + str(key)
    assert "PRIVATE" not in repr(key)
    assert "DEV signer" in repr(key)


@pytest.mark.parametrize("sign", [_der, _raw], ids=["DER", "r || s"])
def test_a_key_store_signs_through_the_callback(
    sign: Sign, now: datetime, tmp_path: Path, media: dict[str, Path], facts: ManifestFacts
) -> None:
    chain = Leaf(KEY).chain(now)
    key = SigningKey.from_callback(sign, Algorithm.ES256, chain)
    trust = TrustAnchors().with_claim_root(chain)
    signed = sign_asset(media["image/png"], tmp_path / "out.png", facts, key, trust=trust)
    assert signed.state is C2paState.TRUSTED


def test_a_key_store_that_fails_leaves_nothing(
    now: datetime, tmp_path: Path, media: dict[str, Path], facts: ManifestFacts
) -> None:
    def broken(data: bytes) -> bytes:
        raise ConnectionError("the key store does not answer")

    key = SigningKey.from_callback(broken, Algorithm.ES256, Leaf(KEY).chain(now))
    with pytest.raises(SigningError, match="signing failed"):
        sign_asset(media["image/png"], tmp_path / "out.png", facts, key, trust=TrustAnchors())
    assert list(tmp_path.iterdir()) == []


def test_a_key_store_that_gives_rubbish(
    now: datetime, tmp_path: Path, media: dict[str, Path], facts: ManifestFacts
) -> None:
    key = SigningKey.from_callback(lambda data: b"rubbish", Algorithm.ES256, Leaf(KEY).chain(now))
    with pytest.raises(SigningError):
        sign_asset(media["image/png"], tmp_path / "out.png", facts, key, trust=TrustAnchors())
    assert list(tmp_path.iterdir()) == []


def test_algorithm_of_another_key(now: datetime) -> None:
    with pytest.raises(KeyMaterialError, match="signs es256, not ed25519"):
        SigningKey.from_callback(_der, Algorithm.ED25519, Leaf(KEY).chain(now))


def test_missing_files_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(KeyMaterialError, match="assay keys init"):
        SigningKey.from_files(tmp_path / "chain.pem", tmp_path / "key.pem")


def test_files_that_are_no_keys(tmp_path: Path, authority: DevAuthority) -> None:
    (tmp_path / "rubbish").write_bytes(b"hello")
    (tmp_path / "huge").write_bytes(bytes(2 << 20))
    with pytest.raises(KeyMaterialError, match="no PEM certificate"):
        SigningKey.from_files(tmp_path / "rubbish", authority.key)
    with pytest.raises(KeyMaterialError, match="not an unencrypted PEM private key"):
        SigningKey.from_files(authority.chain, tmp_path / "rubbish")
    with pytest.raises(KeyMaterialError, match="not a PEM file"):
        SigningKey.from_files(tmp_path / "huge", authority.key)


def test_mismatched_files(tmp_path: Path, authority: DevAuthority, now: datetime) -> None:
    other = create_dev_authority(tmp_path / "other", now=now)
    with pytest.raises(KeyMaterialError, match="does not belong to the certificate"):
        SigningKey.from_files(authority.chain, other.key)


@pytest.mark.parametrize(("age", "reason"), [(100, "expired"), (-1, "valid only from")])
def test_a_key_out_of_its_time_is_refused(
    age: int,
    reason: str,
    tmp_path: Path,
    now: datetime,
    media: dict[str, Path],
    facts: ManifestFacts,
) -> None:
    authority = create_dev_authority(tmp_path / "dev", now=now - timedelta(days=age))
    key = SigningKey.from_files(authority.chain, authority.key)
    with pytest.raises(KeyMaterialError, match=reason):
        sign_asset(media["image/png"], tmp_path / "out.png", facts, key, trust=TrustAnchors())
    assert not (tmp_path / "out.png").exists()
