"""Keys in HashiCorp Vault's transit engine (HTTP API of `/transit/sign` and `/transit/keys`)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from provenance.errors import KeyMaterialError
from provenance.keystores.base import PublicKey, read_secret

TIMEOUT_SECONDS: Final = 10.0
_HASHES: Final = {"ecdsa-p256": "sha2-256", "ecdsa-p384": "sha2-384", "ecdsa-p521": "sha2-512"}


@dataclass(frozen=True)
class VaultKey:
    """Transit key `name` behind `mount_url` (`https://host/v1/transit`).

    The token is read from its file for every call, so that an agent can renew it there.
    """

    mount_url: str
    name: str
    token_file: Path
    namespace: str | None = None

    def sign(self, data: bytes) -> bytes:
        """A signature by the newest version of the key: ECDSA as r || s. Raises `KeyMaterialError`."""
        kind = str(self._key()["type"])
        asked = {
            "input": base64.b64encode(data).decode(),
            "marshaling_algorithm": "jws",
            **({"signature_algorithm": "pss", "salt_length": "hash"} if kind.startswith("rsa") else {}),
        }
        answer = self._call("POST", f"sign/{self.name}/{_HASHES.get(kind, 'sha2-256')}", asked)
        text = str(answer.get("signature", ""))
        prefix, _, value = text.rpartition(":")
        if not prefix.startswith("vault:v"):
            raise KeyMaterialError(f"{self.mount_url}: gave no signature")
        try:
            return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        except binascii.Error as error:
            raise KeyMaterialError(f"{self.mount_url}: gave a signature that is no base64") from error

    def public_key(self) -> PublicKey:
        """The public half of the newest version. Raises `KeyMaterialError`."""
        key = self._key()
        versions = key.get("keys") or {}
        newest = versions.get(str(key.get("latest_version"))) or {}
        text = str(newest.get("public_key", ""))
        try:
            if key["type"] == "ed25519":
                return ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(text))
            public = load_pem_public_key(text.encode())
        except ValueError as error:
            raise KeyMaterialError(f"{self.mount_url}: {self.name} has no public key ({error})") from error
        if not isinstance(public, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey)):
            raise KeyMaterialError(f"{self.mount_url}: {self.name} is no key that C2PA allows")
        return public

    def _key(self) -> dict[str, Any]:
        key = self._call("GET", f"keys/{self.name}", None)
        if "type" not in key:
            raise KeyMaterialError(f"{self.mount_url}: {self.name} is no transit key")
        return key

    def _call(self, method: str, path: str, body: dict[str, str] | None) -> dict[str, Any]:
        headers = {"X-Vault-Token": read_secret(self.token_file)}
        if self.namespace:
            headers["X-Vault-Namespace"] = self.namespace
        try:
            answer = httpx.request(
                method, f"{self.mount_url}/{path}", json=body, headers=headers, timeout=TIMEOUT_SECONDS
            )
            answer.raise_for_status()
            data = answer.json()["data"]
        except httpx.HTTPStatusError as error:
            shown = error.response.text[:200]
            raise KeyMaterialError(
                f"{self.mount_url}/{path}: {error.response.status_code} {shown}"
            ) from error
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise KeyMaterialError(f"{self.mount_url}/{path}: no usable answer ({error})") from error
        return data if isinstance(data, dict) else {}
