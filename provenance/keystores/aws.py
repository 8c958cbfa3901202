"""Keys in AWS KMS: the calls `Sign` and `GetPublicKey` of its JSON API, signed with Signature Version 4.

Written out instead of taken from the AWS SDK, which brings 20 MB for two calls.
"""

from __future__ import annotations

import base64
import binascii
import configparser
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from provenance.errors import KeyMaterialError
from provenance.keystores.base import PublicKey, read_secret

TIMEOUT_SECONDS: Final = 10.0
_ECDSA: Final = {
    256: ("ECDSA_SHA_256", "sha256"),
    384: ("ECDSA_SHA_384", "sha384"),
    521: ("ECDSA_SHA_512", "sha512"),
}
_PSS: Final = ("RSASSA_PSS_SHA_256", "sha256")


@dataclass(frozen=True)
class AwsKmsKey:
    """Key `key_id` (id, ARN or alias) in `region`. `credentials_file` has the form of `~/.aws/credentials`,
    section `default`, and is read for every call, so that short-lived credentials can be renewed there.
    """

    key_id: str
    region: str
    credentials_file: Path
    endpoint: str
    clock: Callable[[], datetime]

    def sign(self, data: bytes) -> bytes:
        """ECDSA gives DER, RSA is PSS with SHA-256. KMS sees the digest alone. Raises `KeyMaterialError`."""
        public = self.public_key()
        name, algorithm = (
            _ECDSA[public.curve.key_size] if isinstance(public, ec.EllipticCurvePublicKey) else _PSS
        )
        digest = hashlib.new(algorithm, data).digest()
        asked = {
            "KeyId": self.key_id,
            "Message": base64.b64encode(digest).decode(),
            "MessageType": "DIGEST",
            "SigningAlgorithm": name,
        }
        return self._bytes(self._call("Sign", asked), "Signature")

    def public_key(self) -> PublicKey:
        """The public half. Raises `KeyMaterialError`."""
        answer = self._call("GetPublicKey", {"KeyId": self.key_id})
        try:
            public = load_der_public_key(self._bytes(answer, "PublicKey"))
        except ValueError as error:
            raise KeyMaterialError(f"{self.key_id}: its public key cannot be read ({error})") from error
        if not isinstance(public, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey)):
            raise KeyMaterialError(f"{self.key_id}: no key that KMS and C2PA have in common; use EC P-256")
        return public

    def _bytes(self, answer: Mapping[str, Any], field: str) -> bytes:
        try:
            return base64.b64decode(answer[field], validate=True)
        except (KeyError, TypeError, binascii.Error) as error:
            raise KeyMaterialError(f"{self.endpoint}: the answer has no {field}") from error

    def _call(self, action: str, asked: Mapping[str, str]) -> dict[str, Any]:
        body = json.dumps(asked).encode()
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "host": urlsplit(self.endpoint).netloc,
            "x-amz-target": f"TrentService.{action}",
        }
        signed = signature_v4(
            "POST",
            self.endpoint,
            headers,
            body,
            _credentials(self.credentials_file),
            self.region,
            "kms",
            self.clock(),
        )
        try:
            answer = httpx.post(self.endpoint, content=body, headers=signed, timeout=TIMEOUT_SECONDS)
            answer.raise_for_status()
            found = answer.json()
        except httpx.HTTPStatusError as error:
            raise KeyMaterialError(
                f"KMS {action} {self.key_id}: {error.response.status_code} {error.response.text[:200]}"
            ) from error
        except (httpx.HTTPError, ValueError) as error:
            raise KeyMaterialError(f"KMS {action} {self.key_id}: no usable answer ({error})") from error
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Credentials:
    """An access key, and the session token of a temporary one."""

    access_key: str
    secret: str
    token: str | None = None


def signature_v4(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: Credentials,
    region: str,
    service: str,
    now: datetime,
) -> dict[str, str]:
    """`headers` (lower-case names) with the date and the authorisation of AWS Signature Version 4 added."""
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    sent = {**headers, "x-amz-date": moment}
    if credentials.token is not None:
        sent["x-amz-security-token"] = credentials.token
    names, address = sorted(sent), urlsplit(url)
    canonical = "\n".join(
        (
            method,
            address.path or "/",
            address.query,
            *(f"{name}:{sent[name].strip()}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        )
    )
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret}".encode()
    for part in (moment[:8], region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    sent["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return sent


def _credentials(path: Path) -> Credentials:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_secret(path))
        section = parser["default"]
        return Credentials(
            section["aws_access_key_id"], section["aws_secret_access_key"], section.get("aws_session_token")
        )
    except (configparser.Error, KeyError) as error:
        raise KeyMaterialError(
            f"{path}: no aws_access_key_id and aws_secret_access_key under [default]"
        ) from error
