"""Consent tokens: a person's signed permission for one picture of theirs, for a tenant and purposes, for a
time.

A token is `BASE64URL(payload).BASE64URL(signature)`; the payload is canonical JSON (sorted keys, no
spaces), the signature Ed25519 (RFC 8032) over the domain tag and the payload bytes. It names a pseudonym,
never a person. `subject_is` says what the token is bound to:

* `picture-sha256`: the bytes of one file, a picture or an adapter; a picture that is saved again is another;
* `picture-pdq`: the looks of one picture, as a PDQ hash; copies of it will do. Pictures can be made to meet a
  given hash, so this is for tenants who are trusted not to try;
* `enrolled-face`: the face that is enrolled under the pseudonym in the gallery; any picture of that person
  will do, and no other. Needs the models and the gallery.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from guard.errors import ConsentError
from guard.signatures import signed_by_any

CONSENT_FORMAT = 1
MAX_TOKEN_CHARACTERS = 4096  # a token has about 500
_DOMAIN = b"assay consent 1\0"
_PDQ = re.compile("[0-9a-f]{64}")


class Binding(StrEnum):
    """What a consent is bound to."""

    PICTURE = "picture-sha256"
    COPIES = "picture-pdq"
    FACE = "enrolled-face"


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person agreed to. `id` is what a revocation list names; times carry their zone."""

    id: str
    subject: str  # pseudonym
    picture_sha256: str  # hex; "" for a token that is not bound to a file
    tenant: str
    purposes: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    binding: Binding = Binding.PICTURE
    picture_pdq: str = ""  # hex, of a token bound to the copies of a picture


class ConsentVerifier(Protocol):
    """Something that knows which consents hold."""

    def verify(self, token: str, *, tenant: str, purpose: str, sha256: str, now: datetime) -> Consent:
        """Returns the consent in `token` where it covers this use; raises `ConsentError` otherwise."""
        ...


def issue_consent(consent: Consent, key: Ed25519PrivateKey) -> str:
    """Returns the token of `consent`; `SignedConsents.verify` reads it back."""
    payload = json.dumps(_to_json(consent), sort_keys=True, separators=(",", ":")).encode()
    return f"{_encode(payload)}.{_encode(key.sign(_DOMAIN + payload))}"


class SignedConsents:
    """Verifies tokens against the issuers' public keys and a set of revoked ids."""

    def __init__(
        self, issuers: tuple[Ed25519PublicKey, ...], *, revoked: Container[str] = frozenset()
    ) -> None:
        self._issuers = issuers
        self._revoked = revoked

    def verify(self, token: str, *, tenant: str, purpose: str, sha256: str, now: datetime) -> Consent:
        """Returns the consent where signature, time, revocation, tenant, purpose and picture all fit.

        Of a consent bound to a face, the caller compares `subject` with whom the picture shows, of one bound
        to copies, `picture_pdq` with the picture.

        Raises `ConsentError`; its `reason` is malformed, unsigned, early, expired, revoked, tenant, purpose
        or picture.
        """
        consent = self._read(token)
        checks = {
            "early": now >= consent.not_before,
            "expired": now <= consent.not_after,
            "revoked": consent.id not in self._revoked,
            "tenant": consent.tenant == tenant,
            "purpose": purpose in consent.purposes,
            "picture": consent.binding is not Binding.PICTURE or consent.picture_sha256 == sha256.lower(),
        }
        for reason, good in checks.items():
            if not good:
                raise ConsentError(reason, f"consent {consent.id} does not cover this use ({reason})")
        return consent

    def _read(self, token: str) -> Consent:
        payload, signature = _split(token)
        if not signed_by_any(self._issuers, signature, _DOMAIN + payload):
            raise ConsentError("unsigned", "the consent token is not signed by a known issuer")
        try:
            return _from_json(json.loads(payload))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ConsentError("malformed", f"the consent token cannot be read: {error}") from error


def _split(token: str) -> tuple[bytes, bytes]:
    if len(token) > MAX_TOKEN_CHARACTERS or token.count(".") != 1:
        raise ConsentError("malformed", "a consent token is two base64url parts with a dot between")
    try:
        payload, signature = (_decode(part) for part in token.split("."))
    except (binascii.Error, ValueError) as error:
        raise ConsentError("malformed", "the consent token is not base64url") from error
    return payload, signature


def _to_json(consent: Consent) -> dict[str, Any]:
    return {
        "format": CONSENT_FORMAT,
        "id": consent.id,
        "subject": consent.subject,
        "subject_is": consent.binding.value,
        "picture": (consent.picture_sha256 or consent.picture_pdq).lower(),
        "tenant": consent.tenant,
        "purposes": list(consent.purposes),
        "not_before": consent.not_before.astimezone(UTC).isoformat(),
        "not_after": consent.not_after.astimezone(UTC).isoformat(),
    }


def _from_json(row: dict[str, Any]) -> Consent:
    if row["format"] != CONSENT_FORMAT:
        raise ValueError("another format")
    binding = Binding(row["subject_is"])
    if (binding is Binding.FACE) != (row["picture"] == ""):
        raise ValueError("a token is bound to a face or to a picture")
    sha256 = row["picture"] if binding is Binding.PICTURE else ""
    pdq = row["picture"] if binding is Binding.COPIES else ""
    if pdq and not _PDQ.fullmatch(pdq):
        raise ValueError("a PDQ hash has 64 hexadecimal digits")
    not_before, not_after = (datetime.fromisoformat(row[key]) for key in ("not_before", "not_after"))
    if not_before.tzinfo is None or not_after.tzinfo is None:
        raise ValueError("times need a zone")
    purposes = tuple(str(purpose) for purpose in row["purposes"])
    return Consent(
        row["id"], row["subject"], sha256, row["tenant"], purposes, not_before, not_after, binding, pdq
    )


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
