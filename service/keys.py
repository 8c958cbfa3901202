"""The keys folder: one master secret from which every mark is derived, and what signs."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from provenance import (
    ProvenanceError,
    TrustAnchors,
)
from provenance.authority import DevAuthority, create_dev_authority
from service.errors import ConfigurationError
from service.private import OWNER_ONLY
from service.settings import Settings
from service.signing import (
    Finding,
    certificate_findings,
    examine_chain,
    expiry_alarm,
    renew_signing,
    signing_files,
    signing_key,
    signing_store,
)
from watermark import KeyRing, WatermarkError

__all__ = [
    "Finding",
    "create_keys",
    "examine_chain",
    "examine_keys",
    "expiry_alarm",
    "gallery_key",
    "prompt_key",
    "randbelow",
    "read_master",
    "renew_signing",
    "revoked",
    "rings",
    "signing_files",
    "signing_key",
    "signing_store",
    "trust",
]

MASTER_FILE = "master.key"
MASTER_BYTES = 32
SUBKEYS = 16
"""Sub-keys of an epoch: the default of `KeyRing.derive`."""
_PROMPT_INFO = b"assay prompt digest 1"
_GALLERY_INFO = b"assay face gallery 1"


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


def gallery_key(settings: Settings) -> bytes:
    """Seals the gallery of protected people; who loses it loses the gallery, and nothing else."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_GALLERY_INFO).derive(read_master(settings))


def trust(settings: Settings) -> TrustAnchors:
    """Whose manifests count as trusted, and whose time-stamps. Raises `ConfigurationError`."""
    anchors = TrustAnchors.bundled()
    additions: tuple[tuple[str, Path | None, Callable[[TrustAnchors, bytes], TrustAnchors]], ...] = (
        ("ASSAY_CLAIM_LIST", settings.claim_list, TrustAnchors.with_claim_list),
        ("ASSAY_TSA_LIST", settings.tsa_list, TrustAnchors.with_tsa_list),
        ("ASSAY_TRUST_ROOTS", settings.trust_roots, TrustAnchors.with_claim_root),
        ("ASSAY_TSA_ROOTS", settings.tsa_roots, TrustAnchors.with_tsa_root),
    )
    for name, path, add in additions:
        try:
            anchors = anchors if path is None else add(anchors, path.read_bytes())
        except (OSError, ProvenanceError) as error:
            raise ConfigurationError(f"{name}={path}: {error}") from error
    return _knowing_its_own(anchors, settings)


def _knowing_its_own(anchors: TrustAnchors, settings: Settings) -> TrustAnchors:
    """The development authority is told apart from strangers; it becomes no anchor by that."""
    root = DevAuthority(settings.keys).root
    try:
        return anchors.with_own_root(root.read_bytes()) if root.is_file() else anchors
    except (OSError, ProvenanceError) as error:
        raise ConfigurationError(f"{root}: {error}") from error


def revoked(settings: Settings) -> frozenset[str]:
    """Mark keys that mark nothing any more: "epoch.sub-key". Raises `ConfigurationError`."""
    found: set[str] = set()
    for word in settings.revoked_keys.replace(",", " ").split():
        epoch, dot, subkey = word.partition(".")
        if not epoch.isdigit() or (dot and not subkey.isdigit()):
            raise ConfigurationError(f"ASSAY_REVOKED_KEYS: {word!r}: write epoch.sub-key, or an epoch")
        every = range(SUBKEYS) if not dot else (int(subkey),)
        found |= {f"{int(epoch)}.{index}" for index in every}
    return frozenset(found)


def randbelow(settings: Settings) -> Callable[[int], int]:
    """Draws the sub-key of a new medium among those of the current epoch that are not revoked.

    Raises `ConfigurationError` when none is left.
    """
    gone = revoked(settings)
    left = [index for index in range(SUBKEYS) if f"{settings.key_epoch}.{index}" not in gone]
    if not left:
        raise ConfigurationError(
            f"ASSAY_REVOKED_KEYS: every sub-key of epoch {settings.key_epoch} is revoked; "
            f"set ASSAY_KEY_EPOCH={settings.key_epoch + 1}"
        )

    def draw(count: int) -> int:
        usable = [index for index in left if index < count]
        return usable[secrets.randbelow(len(usable))]

    return draw


def examine_keys(settings: Settings, *, now: datetime | None = None) -> Sequence[Finding]:
    """Everything that can be wrong with the keys, without showing any."""
    checks: tuple[tuple[str, Callable[[Settings], object], str], ...] = (
        ("master key", rings, f"epochs 0 to {settings.key_epoch}, deployment {settings.deployment!r}"),
        ("signing key", signing_key, str(signing_files(settings)[0])),
        (
            "trust list",
            trust,
            "bundled C2PA lists" + (f" and {settings.trust_roots}" if settings.trust_roots else ""),
        ),
        ("revoked mark keys", randbelow, ", ".join(sorted(revoked(settings))) or "none"),
    )
    findings = []
    for name, check, text in checks:
        try:
            check(settings)
            findings.append(Finding(name, True, text))
        except ConfigurationError as error:
            findings.append(Finding(name, False, str(error)))
    return [*findings, *certificate_findings(settings, now or datetime.now(UTC))]
