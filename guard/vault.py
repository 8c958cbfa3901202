"""The vault: prompts in encrypted form, so that decisions can be explained and replayed by those who may.

Off unless an operator gives it a public key. A service can then only add to it: entries are sealed with HPKE
(RFC 9180, base mode, DHKEM(X25519), HKDF-SHA256, AES-256-GCM) to a key whose private half stays with those
who look into decisions. There is one file of JSON lines for each day (UTC), so that keeping for so many days
is deleting files; every reading is noted in `access.jsonl`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from guard.decision import Decision
from guard.errors import VaultError
from guard.model import Stage
from guard.request import GuardRequest, Text

VAULT_FORMAT = 1
RETENTION = timedelta(days=30)  # unless an operator says otherwise
NEVER_KEPT = frozenset({"CHILD.SEXUAL"})  # reported and kept only as the operator's law says, never here
_INFO = b"assay prompt vault 1\0"
_ACCESS_FILE = "access.jsonl"
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class Vault:
    """Adds the texts of judged requests. Safe to use from several threads and processes."""

    def __init__(self, folder: Path, recipient: X25519PublicKey) -> None:
        self._folder = folder
        self._recipient = recipient

    def keep(self, request: GuardRequest, decision: Decision) -> bool:
        """Seals the texts under the decision's id; False where there are none or they must not be kept.

        Raises `VaultError` where the file cannot be written.
        """
        reasons = {finding.reason for finding in (*decision.findings, *decision.shadow)}
        if not request.texts or reasons & NEVER_KEPT:
            return False
        body = {
            "stage": request.stage,
            "tenant": request.tenant,
            "purpose": request.purpose,
            "texts": [[text.role, text.value] for text in request.texts],
        }
        sealed = _SUITE.encrypt(json.dumps(body).encode(), self._recipient, _info(decision.decision_id))
        row = {"vault": VAULT_FORMAT, "id": decision.decision_id, "sealed": base64.b64encode(sealed).decode()}
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # One write to a file opened for appending does not mix with other processes' lines (POSIX).
            with (self._folder / f"{decision.at.date()}.jsonl").open("ab", buffering=0) as file:
                file.write((json.dumps(row) + "\n").encode())
        except OSError as error:
            raise VaultError(f"the vault {self._folder} cannot be written: {error.strerror}") from error
        return True


def purge(folder: Path, *, now: datetime, keep: timedelta = RETENTION) -> int:
    """Removes the days that are older than `keep`; returns how many there were."""
    oldest = (now - keep).date()
    gone = [path for path in _days(folder) if date.fromisoformat(path.stem) < oldest]
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


@dataclass(frozen=True)
class OpenVault:
    """A vault with its private key."""

    folder: Path
    key: X25519PrivateKey

    def read(
        self, wanted: frozenset[str] | None, *, who: str, why: str, now: datetime
    ) -> dict[str, GuardRequest]:
        """Returns requests by decision id, all where `wanted` is None, after noting who reads them and why.

        Raises `VaultError` where the key is another one or an entry is not what was sealed.
        """
        self._note(wanted, who, why, now)
        rows = (row for path in _days(self.folder) for row in _rows(path))
        return {row["id"]: self._open(row) for row in rows if wanted is None or row["id"] in wanted}

    def _open(self, row: dict[str, Any]) -> GuardRequest:
        try:
            plain = _SUITE.decrypt(base64.b64decode(row["sealed"]), self.key, _info(row["id"]))
            body = json.loads(plain)
            texts = tuple(Text(role, value) for role, value in body["texts"])
            return GuardRequest(Stage(body["stage"]), texts, tenant=body["tenant"], purpose=body["purpose"])
        except (InvalidTag, ValueError, KeyError, TypeError) as error:
            raise VaultError(
                f"the entry of decision {row.get('id')} cannot be opened: wrong key, or changed since"
            ) from error

    def _note(self, wanted: frozenset[str] | None, who: str, why: str, now: datetime) -> None:
        row = {"at": now.isoformat(), "who": who, "why": why, "entries": sorted(wanted) if wanted else "all"}
        try:
            with (self.folder / _ACCESS_FILE).open("ab", buffering=0) as file:
                file.write((json.dumps(row) + "\n").encode())
        except OSError as error:
            raise VaultError(f"nobody reads {self.folder} unnoticed, and the note failed: {error}") from error


def _info(decision_id: str) -> bytes:
    return _INFO + decision_id.encode()


def _days(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("????-??-??.jsonl"))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            row = json.loads(line)
            good = row["vault"] == VAULT_FORMAT and isinstance(row["id"], str)
        except (ValueError, KeyError, TypeError) as error:
            raise VaultError(f"{path}:{number}: not a line of a vault") from error
        if not good:
            raise VaultError(f"{path}:{number}: a format that this version does not read")
        yield row
