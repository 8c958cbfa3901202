"""Writes down what the guard decides: in the sealed log, and the texts in the vault where there is one."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from guard import Decision, GuardRequest
from guard.log import DecisionLog
from guard.vault import Vault
from service import keys
from service.errors import ConfigurationError
from service.settings import Settings

_LOG_INFO = b"assay decision log 1"


@dataclass(frozen=True, slots=True)
class Recorder:
    """Called by the guard with every decision; raises `GuardError` where one cannot be kept."""

    log: DecisionLog
    vault: Vault | None

    def __call__(self, request: GuardRequest, decision: Decision) -> None:
        self.log.append(decision)
        if self.vault is not None:
            self.vault.keep(request, decision)


def build_recorder(settings: Settings) -> Recorder:
    """The log of this machine, and its vault. Raises `ConfigurationError`."""
    return Recorder(DecisionLog(settings.decision_log, log_key(settings)), _vault(settings))


def log_key(settings: Settings) -> bytes:
    """Seals the log's lines; `assay policy log verify` derives the same key."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_LOG_INFO).derive(keys.read_master(settings))


def _vault(settings: Settings) -> Vault | None:
    path = settings.vault_key
    if path is None:
        return None
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"ASSAY_VAULT_KEY={path}: {error}") from error
    if not isinstance(key, X25519PublicKey):
        raise ConfigurationError(
            f"ASSAY_VAULT_KEY={path}: not an X25519 public key; make one with `assay policy vault keys`"
        )
    return Vault(settings.vault, key)
