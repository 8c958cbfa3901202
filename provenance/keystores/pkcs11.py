"""Keys in a PKCS #11 token: a hardware security module, a smart card, SoftHSM (OASIS PKCS #11 3.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from provenance.errors import KeyMaterialError
from provenance.keystores.base import PublicKey

_HASHES = {256: "sha256", 384: "sha384", 521: "sha512"}


@dataclass(frozen=True)
class Pkcs11Key:
    """The key pair labelled `label` in the token labelled `token`, behind the vendor's library `module`.

    A session is opened for each signature, so that a token that was taken out and put back is found again.
    Needs the package `python-pkcs11` (extra `hsm`).
    """

    module: str
    token: str
    label: str
    pin: str = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        """ECDSA gives r || s, RSA is PSS with SHA-256. Raises `KeyMaterialError`."""
        import pkcs11

        public = self.public_key()
        with self._session() as session:
            key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=self.label)
            if isinstance(public, ec.EllipticCurvePublicKey):
                digest = hashlib.new(_HASHES[public.curve.key_size], data).digest()
                return bytes(key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))
            pss = (pkcs11.Mechanism.SHA256, pkcs11.MGF.SHA256, 32)
            mechanism = pkcs11.Mechanism.SHA256_RSA_PKCS_PSS
            return bytes(key.sign(data, mechanism=mechanism, mechanism_param=pss))

    def public_key(self) -> PublicKey:
        """The public half, from the token. Raises `KeyMaterialError`."""
        import pkcs11
        from pkcs11.util.ec import encode_ec_public_key
        from pkcs11.util.rsa import encode_rsa_public_key

        with self._session() as session:
            key = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=self.label)
            encode = {
                pkcs11.KeyType.EC: encode_ec_public_key,
                pkcs11.KeyType.RSA: _rsa_info(encode_rsa_public_key),
            }.get(key.key_type)
            if encode is None:
                raise KeyMaterialError(f"token {self.token!r}: {self.label!r} is no EC or RSA key")
            public = load_der_public_key(encode(key))
        if not isinstance(public, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey)):
            raise KeyMaterialError(f"token {self.token!r}: {self.label!r} is no key that C2PA allows")
        return public

    @contextmanager
    def _session(self) -> Iterator[Any]:
        try:
            import pkcs11
        except ImportError as error:
            raise KeyMaterialError(
                "PKCS #11 needs the package python-pkcs11: pip install assay[hsm]"
            ) from error
        try:
            library = pkcs11.lib(self.module)
            with library.get_token(token_label=self.token).open(user_pin=self.pin) as session:
                yield session
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            reason = str(error) or type(error).__name__
            raise KeyMaterialError(
                f"token {self.token!r}, key {self.label!r}, module {self.module}: {reason}"
            ) from error


def _rsa_info(encode: Any) -> Any:
    """The library encodes the bare RSA key (PKCS #1); a SubjectPublicKeyInfo is made of it."""
    from asn1crypto.keys import PublicKeyInfo, RSAPublicKey

    return lambda key: PublicKeyInfo.wrap(RSAPublicKey.load(encode(key)), "rsa").dump()
