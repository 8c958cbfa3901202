"""A certificate authority for development: one root, one leaf, good enough to sign and never to be trusted by
others."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from provenance.errors import AuthorityError

ROOT_LIFE: Final = timedelta(days=3650)
LEAF_LIFE: Final = timedelta(days=90)
"""Short, so that a forgotten dev key stops signing; C2PA's certificate policy allows 366 days at most."""
CLOCK_SKEW: Final = timedelta(minutes=5)
"""Certificates start this much before `now`, for machines whose clocks run behind."""

CLAIM_SIGNING: Final = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
"""c2pa-kp-claimSigning."""

_ORGANISATION = "Assay DEV ONLY - NOT TRUSTED"


@dataclass(frozen=True, slots=True)
class DevAuthority:
    """Where a dev authority keeps its four files."""

    folder: Path

    @property
    def root(self) -> Path:
        """The root certificate, PEM: what a test adds to its trust anchors."""
        return self.folder / "dev-root.pem"

    @property
    def root_key(self) -> Path:
        return self.folder / "dev-root.key"

    @property
    def chain(self) -> Path:
        """The signing chain, PEM, leaf first."""
        return self.folder / "dev-chain.pem"

    @property
    def key(self) -> Path:
        """The leaf's private key, PEM, PKCS #8, not encrypted: the file mode is its only protection."""
        return self.folder / "dev-signing.key"


def create_dev_authority(folder: Path, *, now: datetime) -> DevAuthority:
    """Write a fresh root and a 90-day leaf into `folder` (mode 0700; files 0600).

    The leaf follows the C2PA certificate profile (claim signing and e-mail protection, digital signature,
    authority key identifier, an organisation). Raises `AuthorityError` when any of the files exists: keys are
    never overwritten.
    """
    authority = DevAuthority(folder)
    _make_private(folder)
    _refuse_existing(authority.root, authority.root_key, authority.chain, authority.key)
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _root_certificate(root_key, now)
    leaf = _leaf_certificate(leaf_key.public_key(), root, root_key, now)
    _write_private(authority.root_key, _key_pem(root_key))
    _write_private(authority.key, _key_pem(leaf_key))
    _write_private(authority.root, _cert_pem(root))
    _write_private(authority.chain, _cert_pem(leaf) + _cert_pem(root))
    return authority


def renew_dev_leaf(folder: Path, *, now: datetime) -> DevAuthority:
    """Issue a new 90-day leaf and key from the root in `folder`; each file is replaced in one step.

    Raises `AuthorityError` when the root is not there.
    """
    authority = DevAuthority(folder)
    try:
        root = x509.load_pem_x509_certificate(authority.root.read_bytes())
        root_key = serialization.load_pem_private_key(authority.root_key.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise AuthorityError(f"{folder}: no dev authority to renew ({error}); create one first") from error
    if not isinstance(root_key, ec.EllipticCurvePrivateKey):
        raise AuthorityError(f"{authority.root_key}: not the key of a dev authority")
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    leaf = _leaf_certificate(leaf_key.public_key(), root, root_key, now)
    # Chain and key cannot be swapped together: a signer that reads between the two finds a mismatch and
    # retries.
    for path, content in (
        (authority.key, _key_pem(leaf_key)),
        (authority.chain, _cert_pem(leaf) + _cert_pem(root)),
    ):
        fresh = path.with_suffix(path.suffix + ".new")
        fresh.unlink(missing_ok=True)
        _write_private(fresh, content)
        fresh.replace(path)
    return authority


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except OSError as error:
        raise AuthorityError(f"{folder}: cannot hold keys: {error}") from error


def _refuse_existing(*paths: Path) -> None:
    found = [path.name for path in paths if path.exists()]
    if found:
        raise AuthorityError(
            f"{paths[0].parent}: {', '.join(found)} exists; keys are not overwritten, move them first"
        )


def _write_private(path: Path, content: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        raise AuthorityError(f"{path}: cannot be written: {error}") from error


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "FOR DEVELOPMENT ONLY"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + life)
    )


def _root_certificate(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = _name("Assay DEV root - NOT TRUSTED")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _builder(name, name, now, ROOT_LIFE)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf_certificate(
    public_key: ec.EllipticCurvePublicKey,
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    root_id = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    usages = x509.ExtendedKeyUsage([CLAIM_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION])
    authority_id = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id)
    return (
        _builder(_name("Assay DEV signer - NOT TRUSTED"), root.subject, now, LEAF_LIFE)
        .public_key(public_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(usages, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(authority_id, critical=False)
        .sign(root_key, hashes.SHA256())
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=not authority,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _cert_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
