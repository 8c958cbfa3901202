"""The keys folder: one master secret from which every mark is derived, and what signs."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from provenance import ProvenanceError, SigningKey, TrustAnchors
from provenance.authority import DevAuthority, create_dev_authority
from service.errors import ConfigurationError
from service.settings import Settings
from watermark import KeyRing, WatermarkError

MASTER_FILE = "master.key"
MASTER_BYTES = 32
OWNER_ONLY = 0o600
_PROMPT_INFO = b"assay prompt digest 1"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `assay keys doctor`: what was looked at, whether it is good, and what to do when not."""

    name: str
    good: bool
    text: str


def create_keys(
    folder: Path, *, now: datetime, token_bytes: Callable[[int], bytes] = secrets.token_bytes
) -> Path:
    """Write a master key and a dev certificate authority into `folder`, readable by the owner alone.

    Raises `ConfigurationError` when a key is there already: every mark made so far hangs on it.
    """
    path = folder / MASTER_FILE
    if path.exists():
        raise ConfigurationError(f"{path} exists; keys are never overwritten, move it away first")
    try:
        create_dev_authority(folder, now=now)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token_bytes(MASTER_BYTES).hex() + "\n")
    except (OSError, ProvenanceError) as error:
        raise ConfigurationError(f"{folder}: the keys could not be written: {error}") from error
    return path


def read_master(settings: Settings) -> bytes:
    """The master secret. Raises `ConfigurationError` when it is missing, unreadable or open to others."""
    path = settings.keys / MASTER_FILE
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii")
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path} is missing; create the keys with `assay keys init`") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    if mode & 0o077:
        raise ConfigurationError(f"{path} can be read by other users; run: chmod 600 {path}")
    try:
        return bytes.fromhex(text.strip())
    except ValueError as error:
        raise ConfigurationError(
            f"{path} does not hold hexadecimal digits; restore it from your backup"
        ) from error


def rings(settings: Settings) -> tuple[KeyRing, ...]:
    """The rings of every epoch up to the current one, which comes first and marks new media."""
    master = read_master(settings)
    try:
        return tuple(
            KeyRing.derive(master, deployment=settings.deployment, epoch=epoch)
            for epoch in range(settings.key_epoch, -1, -1)
        )
    except WatermarkError as error:
        raise ConfigurationError(f"{settings.keys / MASTER_FILE}: {error}") from error


def prompt_key(settings: Settings) -> bytes:
    """Keys the digests of prompts, so that a guess at a prompt cannot be checked without it."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PROMPT_INFO).derive(read_master(settings))


def signing_files(settings: Settings) -> tuple[Path, Path]:
    """Certificate chain and private key in use."""
    authority = DevAuthority(settings.keys)
    return settings.signing_chain or authority.chain, settings.signing_key or authority.key


def signing_key(settings: Settings) -> SigningKey:
    """What signs manifests. Raises `ConfigurationError`."""
    chain, key = signing_files(settings)
    if not chain.exists() or not key.exists():
        missing = chain if not chain.exists() else key
        raise ConfigurationError(f"{missing} is missing; create the keys with `assay keys init`")
    try:
        return SigningKey.from_files(chain, key)
    except ProvenanceError as error:
        raise ConfigurationError(str(error)) from error


def trust(settings: Settings) -> TrustAnchors:
    """Whose manifests count as trusted. Raises `ConfigurationError`."""
    anchors = TrustAnchors.bundled()
    if settings.trust_roots is None:
        return anchors
    try:
        return anchors.with_claim_root(settings.trust_roots.read_bytes())
    except (OSError, ProvenanceError) as error:
        raise ConfigurationError(f"ASSAY_TRUST_ROOTS={settings.trust_roots}: {error}") from error


def examine_keys(settings: Settings) -> Sequence[Finding]:
    """Everything that can be wrong with the keys, without showing any."""
    checks: tuple[tuple[str, Callable[[Settings], object], str], ...] = (
        ("master key", rings, f"epochs 0 to {settings.key_epoch}, deployment {settings.deployment!r}"),
        ("signing key", signing_key, str(signing_files(settings)[0])),
        (
            "trust list",
            trust,
            "bundled C2PA lists" + (f" and {settings.trust_roots}" if settings.trust_roots else ""),
        ),
    )
    findings = []
    for name, check, text in checks:
        try:
            check(settings)
            findings.append(Finding(name, True, text))
        except ConfigurationError as error:
            findings.append(Finding(name, False, str(error)))
    return findings
