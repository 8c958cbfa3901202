"""Why a certificate chain will, or will not, sign C2PA claims: in plain words, each with what to do.

The library refuses a bad chain with one sentence for all causes. These are the causes (C2PA 2.2, 14.5.1,
"Certificate Profiles", and RFC 5280).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

CLAIM_SIGNING: Final = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
"""c2pa-kp-claimSigning."""
DOCUMENT_SIGNING: Final = ObjectIdentifier("1.3.6.1.5.5.7.3.36")
ACCEPTED_USAGES: Final = (CLAIM_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION, DOCUMENT_SIGNING)
MIN_RSA_BITS: Final = 2048
EXPIRY_ALARM: Final = timedelta(days=30)
"""A renewal through an authority takes days; a month leaves room for one that goes wrong."""

_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong: a stable `code`, what it is, and what to do. An error stops signing; a warning does
    not."""

    code: str
    severity: Severity
    message: str
    remedy: str


def explain_certificate(chain_pem: bytes, now: datetime, key_pem: bytes | None = None) -> list[Finding]:
    """Everything wrong with a PEM chain (leaf first) for signing at `now`; with `key_pem`, also whether the
    key fits.

    An empty list means that it will sign. Whether others trust its authority is another question
    (`TrustAnchors`).
    """
    try:
        chain = x509.load_pem_x509_certificates(chain_pem)
    except ValueError as error:
        return [
            _error("unreadable", f"no PEM certificate in it ({error})", "export the chain as PEM, leaf first")
        ]
    findings = [*_order(chain), *_leaf(chain[0]), *_validity(chain[0], now)]
    return findings if key_pem is None else [*findings, *_key(chain[0], key_pem)]


def _error(code: str, message: str, remedy: str) -> Finding:
    return Finding(code, Severity.ERROR, message, remedy)


def _order(chain: list[x509.Certificate]) -> Iterator[Finding]:
    if len(chain) > 1 and _is_authority(chain[0]) and not _is_authority(chain[-1]):
        yield _error(
            "chain-order",
            "the chain starts with an authority",
            "put the signing certificate first, its issuers after it",
        )
        return
    for child, issuer in pairwise(chain):
        if not _issued(child, issuer):
            name = _common_name(child)
            yield _error(
                "chain-broken",
                f"the certificate after {name!r} did not issue it",
                "list each certificate's issuer directly after it",
            )


def _issued(child: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        child.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _leaf(leaf: x509.Certificate) -> Iterator[Finding]:
    if leaf.version is not x509.Version.v3:
        yield _error("version", "not an X.509 version 3 certificate", "ask for a version 3 certificate")
    if _is_authority(leaf):
        yield _error(
            "ca-flag", "the signing certificate is an authority (CA: TRUE)", "sign with a leaf that it issues"
        )
    yield from _self_signed(leaf)
    yield from _key_usage(leaf)
    yield from _extended_key_usage(leaf)
    yield from _public_key(leaf)
    if not leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME):
        yield Finding(
            "organisation",
            Severity.WARNING,
            "the subject has no organisation (O=)",
            "add one: older readers report a signature mismatch without it",
        )


def _self_signed(leaf: x509.Certificate) -> Iterator[Finding]:
    if leaf.issuer == leaf.subject:
        yield Finding(
            "self-signed",
            Severity.WARNING,
            "the signing certificate is its own issuer",
            "nobody else will trust it; have an authority issue it (for tests: assay keys init)",
        )
    if _extension(leaf, x509.AuthorityKeyIdentifier) is None:
        yield _error(
            "aki",
            "no authority key identifier (AKI)",
            "issue it again with the AKI extension; openssl: authorityKeyIdentifier=keyid",
        )


def _key_usage(leaf: x509.Certificate) -> Iterator[Finding]:
    usage = _extension(leaf, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        yield _error(
            "key-usage",
            "key usage does not allow digital signatures",
            "issue it again with keyUsage = critical, digitalSignature",
        )
    if usage is not None and usage.key_cert_sign:
        yield _error(
            "key-usage", "key usage allows signing certificates", "leave keyCertSign out of a signing leaf"
        )


def _extended_key_usage(leaf: x509.Certificate) -> Iterator[Finding]:
    usages = _extension(leaf, x509.ExtendedKeyUsage)
    listed = list(usages) if usages is not None else []
    remedy = "issue it again with C2PA claim signing (1.3.6.1.4.1.62558.2.1) and emailProtection"
    if not listed:
        yield _error("eku", "no extended key usage (EKU)", remedy)
    elif ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in listed:
        yield _error("eku", "extended key usage allows anything (anyExtendedKeyUsage)", remedy)
    elif not any(usage in ACCEPTED_USAGES for usage in listed):
        names = ", ".join(
            usage._name if usage._name != "Unknown OID" else usage.dotted_string for usage in listed
        )
        yield _error("eku", f"extended key usage is {names}: none that may sign claims", remedy)


def _public_key(leaf: x509.Certificate) -> Iterator[Finding]:
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        yield _error(
            "key-size", f"RSA key of {key.key_size} bits", f"use at least {MIN_RSA_BITS} bits, or EC P-256"
        )
    elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES:
        yield _error("key-type", f"elliptic curve {key.curve.name}", "use P-256, P-384 or P-521")
    elif not isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)):
        yield _error("key-type", f"key of type {type(key).__name__}", "use EC P-256, Ed25519 or RSA")


def _validity(leaf: x509.Certificate, now: datetime) -> Iterator[Finding]:
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now < start:
        yield _error(
            "not-yet-valid",
            f"valid only from {start:%Y-%m-%d %H:%M} UTC",
            "check this machine's clock, or wait",
        )
    elif now > end:
        yield _error("expired", f"expired on {end:%Y-%m-%d %H:%M} UTC", "renew it: assay keys renew")
    elif now > end - EXPIRY_ALARM:
        days = (end - now).days
        yield Finding(
            "expires-soon",
            Severity.WARNING,
            f"expires in {days} days",
            "renew it now, keep the old one until then",
        )


def _key(leaf: x509.Certificate, key_pem: bytes) -> Iterator[Finding]:
    remedy = "use the key that the certificate was requested with"
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError) as error:
        yield _error(
            "key-unreadable", f"not an unencrypted PEM private key ({error})", "export it as PKCS #8 PEM"
        )
        return
    if _public_bytes(key.public_key()) != _public_bytes(leaf.public_key()):
        yield _error("key-mismatch", "the private key does not belong to the certificate", remedy)


def _public_bytes(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded


_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _is_authority(certificate: x509.Certificate) -> bool:
    constraints = _extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _common_name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()
