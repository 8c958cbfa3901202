"""Who vouches for which adapter file: a list of SHA-256 digests, signed with Ed25519.

A manifest is one JSON object, `{"manifest": {...}, "signature": BASE64}`. The signature (RFC 8032) is over a
domain tag and the canonical JSON (sorted keys, no spaces) of `manifest`: format, issuer, time, until when it
holds, and for every adapter its digest, title and kind.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from guard.adapter_kinds import AdapterKind
from guard.errors import AdapterError
from guard.signatures import signed_by_any

MANIFEST_FORMAT = 1
MAX_MANIFEST_BYTES = 16 * 2**20  # 100,000 adapters
_DOMAIN = b"assay adapter manifest 1\0"
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class VouchedAdapter:
    """One adapter of a manifest; `sha256` in hex."""

    sha256: str
    title: str
    kind: AdapterKind


@dataclass(frozen=True, slots=True)
class AdapterManifest:
    """What an issuer vouches for, until `not_after` where there is one. Times carry their zone."""

    issuer: str
    issued_at: datetime
    adapters: tuple[VouchedAdapter, ...]
    not_after: datetime | None = None

    def vouches_for(self, sha256: str, now: datetime) -> bool:
        """True where the manifest names the file and still holds."""
        held = self.not_after is None or now <= self.not_after
        return held and any(adapter.sha256 == sha256 for adapter in self.adapters)


def sign_manifest(manifest: AdapterManifest, key: Ed25519PrivateKey) -> str:
    """Returns the signed text; `read_manifest` reads it back."""
    body = _to_json(manifest)
    signature = base64.b64encode(key.sign(_DOMAIN + _canonical(body))).decode()
    return json.dumps({"manifest": body, "signature": signature}, indent=1, ensure_ascii=False) + "\n"


def read_manifest(text: bytes, issuers: Sequence[Ed25519PublicKey]) -> AdapterManifest:
    """Returns the manifest where one of `issuers` signed it. Raises `AdapterError` otherwise."""
    if len(text) > MAX_MANIFEST_BYTES:
        raise AdapterError(f"the adapter manifest is longer than {MAX_MANIFEST_BYTES:,} bytes")
    try:
        row = json.loads(text)
        body, signature = row["manifest"], base64.b64decode(row["signature"], validate=True)
        signed = _DOMAIN + _canonical(body)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise AdapterError(f"not an adapter manifest: {str(error)[:200]}") from error
    if not signed_by_any(issuers, signature, signed):
        raise AdapterError("the adapter manifest is not signed by a known issuer, or was changed since")
    try:
        return _from_json(body)
    except (ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"the adapter manifest cannot be used: {str(error)[:200]}") from error


def _to_json(manifest: AdapterManifest) -> dict[str, Any]:
    until = manifest.not_after
    return {
        "format": MANIFEST_FORMAT,
        "issuer": manifest.issuer,
        "issued_at": manifest.issued_at.astimezone(UTC).isoformat(),
        "not_after": until.astimezone(UTC).isoformat() if until else None,
        "adapters": [
            {"sha256": one.sha256, "title": one.title, "kind": one.kind.value} for one in manifest.adapters
        ],
    }


def _from_json(row: dict[str, Any]) -> AdapterManifest:
    if row["format"] != MANIFEST_FORMAT:
        raise ValueError(f"format {row['format']}; this version reads {MANIFEST_FORMAT}")
    adapters = tuple(
        VouchedAdapter(str(one["sha256"]), str(one["title"]), AdapterKind(one["kind"]))
        for one in row["adapters"]
    )
    if not all(_DIGEST.fullmatch(one.sha256) for one in adapters):
        raise ValueError("a digest is not 64 characters of 0-9 and a-f")
    until = row["not_after"]
    times = [datetime.fromisoformat(time) for time in (row["issued_at"], until) if time is not None]
    if any(time.tzinfo is None for time in times):
        raise ValueError("times need a zone")
    return AdapterManifest(str(row["issuer"]), times[0], adapters, times[1] if until is not None else None)


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
