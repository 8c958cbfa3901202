"""Certificate signing requests (PKCS #10, RFC 2986) for keys in a store: what an authority of the C2PA trust
list is sent."""

from __future__ import annotations

from typing import Final, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provenance.errors import KeyMaterialError
from provenance.keystores.base import KeyStore
from provenance.profile import CLAIM_SIGNING

_HASHES: Final[dict[int, hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    256: hashes.SHA256(),
    384: hashes.SHA384(),
    521: hashes.SHA512(),
}


def certificate_request(
    store: KeyStore, *, organisation: str, common_name: str, country: str | None = None
) -> bytes:
    """A PEM request for the key in `store`, with the extensions of the C2PA certificate profile.

    Raises `KeyMaterialError` for an empty name, and for RSA and Ed25519 keys in a store.
    """
    if not organisation or not common_name:
        raise KeyMaterialError("give an organisation and a common name: older readers reject others")
    names = [
        *([x509.NameAttribute(NameOID.COUNTRY_NAME, country)] if country else []),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
    ]
    usage = x509.KeyUsage(True, True, False, False, False, False, False, False, False)
    purposes = x509.ExtendedKeyUsage([CLAIM_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION])
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name(names))
        .add_extension(usage, critical=True)
        .add_extension(purposes, critical=False)
    )
    public = store.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise KeyMaterialError("requests are made for EC keys; have the store make an EC P-256 key")
    request = builder.sign(_StoredKey(store, public), _HASHES[public.curve.key_size])
    if not request.is_signature_valid:
        raise KeyMaterialError("the key store's signature does not fit its own public key")
    return request.public_bytes(Encoding.PEM)


class _StoredKey(ec.EllipticCurvePrivateKey):
    """A key in a store, as the certificate builder of `cryptography` wants it: it only ever signs."""

    def __init__(self, store: KeyStore, public: ec.EllipticCurvePublicKey) -> None:
        self._store, self._public = store, public

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    def key_size(self) -> int:
        return self._public.curve.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    def sign(self, data: object, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        signature = self._store.sign(bytes(data))  # type: ignore[call-overload]
        size = (self.key_size + 7) // 8
        if len(signature) != 2 * size:
            return signature
        return encode_dss_signature(int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))

    def exchange(self, algorithm: object, peer_public_key: object) -> NoReturn:
        raise KeyMaterialError("a stored key only signs")

    private_numbers = private_bytes = __copy__ = __deepcopy__ = exchange  # type: ignore[assignment]
