"""Signing keys: a file for development, a callback for key stores that never hand the key out (KMS, HSM,
Vault)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from provenance.errors import KeyMaterialError
from provenance.profile import Severity, explain_certificate

Sign = Callable[[bytes], bytes]

MAX_PEM_BYTES: Final = 1 << 20
"""A chain of four certificates has 8 kB; a megabyte is not one."""


class Algorithm(StrEnum):
    """COSE signature algorithms that C2PA allows."""

    ES256 = "es256"
    ES384 = "es384"
    ES512 = "es512"
    PS256 = "ps256"
    PS384 = "ps384"
    PS512 = "ps512"
    ED25519 = "ed25519"


_OF_CURVE: Final = {"secp256r1": Algorithm.ES256, "secp384r1": Algorithm.ES384, "secp521r1": Algorithm.ES512}
_COORDINATE_BYTES: Final = {Algorithm.ES256: 32, Algorithm.ES384: 48, Algorithm.ES512: 66}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A certificate chain and the way to sign with its key. Printing it shows the subject and nothing
    secret."""

    algorithm: Algorithm
    chain_pem: bytes = field(repr=False)
    subject: str
    not_after: datetime
    timestamp_url: str | None = None
    _key_pem: bytes | None = field(default=None, repr=False)
    _sign: Sign | None = field(default=None, repr=False)

    @staticmethod
    def from_files(chain: Path, key: Path, *, timestamp_url: str | None = None) -> SigningKey:
        """PEM chain, leaf first, and unencrypted PEM key. `timestamp_url` is an RFC 3161 server.

        Raises `KeyMaterialError` when a file is missing or unreadable, or key and certificate do not belong
        together.
        """
        chain_pem, key_pem = _read(chain), _read(key)
        leaf = _leaf(chain_pem, str(chain))
        for finding in explain_certificate(chain_pem, leaf.not_valid_before_utc, key_pem):
            if finding.code.startswith("key-") and finding.severity is Severity.ERROR:
                raise KeyMaterialError(f"{key}: {finding.message}; {finding.remedy}")
        return _make(leaf, chain_pem, _algorithm_of(leaf), timestamp_url, key_pem=key_pem)

    @staticmethod
    def from_callback(
        sign: Sign, alg: Algorithm, chain_pem: bytes, *, timestamp_url: str | None = None
    ) -> SigningKey:
        """`sign(data)` gives the signature of `data` (hashing included), ECDSA as DER or as r || s.

        Raises `KeyMaterialError` when the chain is unreadable or its key is not for `alg`.
        """
        leaf = _leaf(chain_pem, "chain")
        expected = _algorithm_of(leaf)
        if alg is not expected and not (alg.startswith("ps") and expected.startswith("ps")):
            raise KeyMaterialError(
                f"the certificate's key signs {expected}, not {alg}; give the algorithm of the key"
            )
        return _make(leaf, chain_pem, alg, timestamp_url, sign=sign)

    def require_usable(self, now: datetime) -> None:
        """Raise `KeyMaterialError`, naming every reason, when this chain cannot sign at `now`."""
        found = [f for f in explain_certificate(self.chain_pem, now) if f.severity is Severity.ERROR]
        if found:
            reasons = "; ".join(f"{finding.message} ({finding.remedy})" for finding in found)
            raise KeyMaterialError(f"{self.subject} cannot sign: {reasons}")

    def signer(self) -> c2pa.Signer:
        """A signer of the C2PA library; made for each file, so that a rotated key is never held on to."""
        algorithm = c2pa.C2paSigningAlg[self.algorithm.name]
        if self._key_pem is not None:
            info = c2pa.C2paSignerInfo(algorithm, self.chain_pem, self._key_pem, self.timestamp_url)
            return c2pa.Signer.from_info(info)
        return c2pa.Signer.from_callback(
            self._raw_signature, algorithm, self.chain_pem.decode(), self.timestamp_url
        )

    def _raw_signature(self, data: bytes) -> bytes:
        if self._sign is None:
            raise KeyMaterialError(f"{self.subject}: no way to sign")
        signature = self._sign(data)
        size = _COORDINATE_BYTES.get(self.algorithm)
        return signature if size is None or len(signature) == 2 * size else _der_to_raw(signature, size)


def _make(
    leaf: x509.Certificate,
    chain_pem: bytes,
    algorithm: Algorithm,
    timestamp_url: str | None,
    *,
    key_pem: bytes | None = None,
    sign: Sign | None = None,
) -> SigningKey:
    subject = leaf.subject.rfc4514_string()
    return SigningKey(algorithm, chain_pem, subject, leaf.not_valid_after_utc, timestamp_url, key_pem, sign)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PEM_BYTES + 1)
    except OSError as error:
        raise KeyMaterialError(
            f"{path}: cannot be read: {error.strerror}; make keys with `assay keys init`"
        ) from error
    if len(content) > MAX_PEM_BYTES:
        raise KeyMaterialError(
            f"{path}: more than {MAX_PEM_BYTES} bytes, not a PEM file of keys or certificates"
        )
    return content


def _leaf(chain_pem: bytes, source: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(chain_pem)[0]
    except ValueError as error:
        raise KeyMaterialError(f"{source}: no PEM certificate in it ({error})") from error


def _algorithm_of(leaf: x509.Certificate) -> Algorithm:
    key = leaf.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _OF_CURVE:
        return _OF_CURVE[key.curve.name]
    if isinstance(key, ed25519.Ed25519PublicKey):
        return Algorithm.ED25519
    if isinstance(key, rsa.RSAPublicKey):
        return Algorithm.PS256
    raise KeyMaterialError(
        "the certificate's key is of no type that C2PA allows; use EC P-256, Ed25519 or RSA"
    )


def _der_to_raw(signature: bytes, size: int) -> bytes:
    """AWS KMS, PKCS #11 wrappers and OpenSSL give ECDSA as DER; COSE wants r || s (RFC 9053, 2.1)."""
    try:
        r, s = decode_dss_signature(signature)
    except ValueError as error:
        raise KeyMaterialError(
            f"the key store gave {len(signature)} bytes that are no ECDSA signature"
        ) from error
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")
