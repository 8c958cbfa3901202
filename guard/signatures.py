"""Whether one of several issuers signed: Ed25519 (RFC 8032), for bundles, consents and adapter manifests."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def signed_by_any(issuers: Iterable[Ed25519PublicKey], signature: bytes, message: bytes) -> bool:
    """True where `signature` over `message` is that of one of `issuers`; of none, False."""
    return any(_signed(issuer, signature, message) for issuer in issuers)


def _signed(issuer: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        issuer.verify(signature, message)
    except InvalidSignature:
        return False
    return True
