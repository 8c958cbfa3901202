"""What every key store does, and which one an address names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from provenance.errors import KeyMaterialError
from provenance.keys import Algorithm, SigningKey

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

_HASHES: Final[dict[int, hashes.HashAlgorithm]] = {
    256: hashes.SHA256(),
    384: hashes.SHA384(),
    521: hashes.SHA512(),
}
MAX_SECRET_BYTES: Final = 64 << 10
"""A PIN, a token or a credentials file."""


class KeyStore(Protocol):
    """A private key kept elsewhere. Both methods raise `KeyMaterialError` where the store does not answer."""

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`, hashing included; ECDSA as DER or as r || s (P-256 with SHA-256 and so
        on)."""
        ...

    def public_key(self) -> PublicKey: ...


@dataclass(frozen=True, slots=True)
class PemKey:
    """An unencrypted EC key in a PEM file, seen as a store: for development and for requests."""

    path: Path

    def sign(self, data: bytes) -> bytes:
        """DER, with the hash of the curve's size."""
        key = self._key()
        return key.sign(data, ec.ECDSA(_HASHES[key.curve.key_size]))

    def public_key(self) -> PublicKey:
        return self._key().public_key()

    def _key(self) -> ec.EllipticCurvePrivateKey:
        try:
            key = load_pem_private_key(read_secret(self.path).encode(), password=None)
        except (ValueError, TypeError) as error:
            raise KeyMaterialError(f"{self.path}: no unencrypted PEM private key ({error})") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.key_size not in _HASHES:
            raise KeyMaterialError(f"{self.path}: holds no EC P-256, P-384 or P-521 key")
        return key


def open_keystore(address: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> KeyStore:
    """The key store that `address` names. Secrets are named by file, so that an address can be shown.

    - `pkcs11:token=NAME;object=LABEL?module-path=FILE&pin-source=FILE` (RFC 7512)
    - `vault+https://HOST/v1/MOUNT?key=NAME&token-file=FILE&namespace=NAME` (transit engine)
    - `awskms:KEY?region=NAME&credentials-file=FILE&endpoint=URL`; KEY is an id or ARN

    Raises `KeyMaterialError` for any other address, and for one that lacks a part.
    """
    from provenance.keystores.aws import AwsKmsKey
    from provenance.keystores.pkcs11 import Pkcs11Key
    from provenance.keystores.vault import VaultKey

    scheme, parts = address.partition(":")[0], _Parts(address)
    if scheme == "pkcs11":
        return Pkcs11Key(
            module=parts.need("module-path"),
            token=parts.need("token"),
            label=parts.need("object"),
            pin=read_secret(Path(parts.need("pin-source"))),
        )
    if scheme in ("vault+https", "vault+http"):
        url = urlsplit(address)
        return VaultKey(
            mount_url=f"{url.scheme.removeprefix('vault+')}://{url.netloc}{url.path}".rstrip("/"),
            name=parts.need("key"),
            token_file=Path(parts.need("token-file")),
            namespace=parts.given.get("namespace"),
        )
    if scheme == "awskms":
        region = parts.need("region")
        return AwsKmsKey(
            key_id=unquote(address.removeprefix("awskms:").partition("?")[0]),
            region=region,
            credentials_file=Path(parts.need("credentials-file")),
            endpoint=parts.given.get("endpoint", f"https://kms.{region}.amazonaws.com/"),
            clock=clock,
        )
    raise KeyMaterialError(f"{address}: no key store; use pkcs11:, vault+https: or awskms:")


def signing_key(store: KeyStore, chain_pem: bytes, *, timestamp_url: str | None = None) -> SigningKey:
    """`chain_pem` with the key in `store`. Raises `KeyMaterialError` when they do not belong together."""
    try:
        leaf = x509.load_pem_x509_certificates(chain_pem)[0]
    except ValueError as error:
        raise KeyMaterialError(f"chain: no PEM certificate in it ({error})") from error
    held = store.public_key()
    if _encoded(held) != _encoded(leaf.public_key()):
        raise KeyMaterialError(
            f"the key store's key does not belong to the certificate {leaf.subject.rfc4514_string()}; "
            "request a certificate for it with `assay keys csr`"
        )
    return SigningKey.from_callback(store.sign, algorithm_of(held), chain_pem, timestamp_url=timestamp_url)


def algorithm_of(key: PublicKey) -> Algorithm:
    """The COSE algorithm of a key. Raises `KeyMaterialError` for a curve that C2PA does not know."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return Algorithm.ED25519
    if isinstance(key, rsa.RSAPublicKey):
        return Algorithm.PS256
    known = {256: Algorithm.ES256, 384: Algorithm.ES384, 521: Algorithm.ES512}
    if key.curve.key_size not in known or not key.curve.name.startswith("secp"):
        raise KeyMaterialError(f"elliptic curve {key.curve.name}: use P-256, P-384 or P-521")
    return known[key.curve.key_size]


def read_secret(path: Path) -> str:
    """The first line of a small file. Raises `KeyMaterialError`."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MAX_SECRET_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyMaterialError(f"{path}: cannot be read: {error}") from error


class _Parts:
    """The named parts of an address: `;` attributes of a PKCS #11 URI and the query."""

    def __init__(self, address: str) -> None:
        path, _, query = address.partition(":")[2].partition("?")
        attributes = (part.partition("=") for part in path.split(";") if "=" in part)
        self._address = address
        self.given: Mapping[str, str] = {
            **{name: unquote(value) for name, _, value in attributes},
            **{name: values[-1] for name, values in parse_qs(query).items()},
        }

    def need(self, name: str) -> str:
        if not self.given.get(name):
            raise KeyMaterialError(f"{self._address}: {name}= is missing")
        return self.given[name]


def _encoded(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded
