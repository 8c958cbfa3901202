"""Key schedule: one master secret, rings by deployment and epoch, sub-keys by medium
(docs/spec/watermark.md, 2).

All derivation is HKDF-SHA256 (RFC 5869); all key streams are ChaCha20 (RFC 8439), so that the signs of the
chips are, to anyone without the key, indistinguishable from fair coin tosses. The bound on false positives
rests on that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from watermark.errors import KeyRingError

FORMAT_VERSION = 1
MIN_MASTER_BYTES = 32  # as strong as the SHA-256 that expands it
MAX_SUBKEYS = 256  # one byte in the key id; every sub-key costs the detector a message decode
MAX_EPOCH = 2**16 - 1
MIN_DISTINCT_BYTES = 12  # 32 random bytes hold fewer with probability below 1e-12
_SALT = b"assay/watermark"


@dataclass(frozen=True)
class MarkKey:
    """What marks one medium: the ring's pilot seed and one sub-key's payload seed, 32 bytes each."""

    epoch: int
    subkey: int
    pilot_seed: bytes = field(repr=False)
    payload_seed: bytes = field(repr=False)

    @property
    def key_id(self) -> str:
        """`epoch.subkey`, public: it names the key and tells nothing about it."""
        return f"{self.epoch}.{self.subkey}"


@dataclass(frozen=True)
class KeyRing:
    """The keys of one deployment and epoch. Sub-keys share the pilot, so the geometric search costs the
    same for any K.

    Several sub-keys make it K times as expensive to average a carrier out of many outputs.
    """

    deployment: str
    epoch: int
    subkeys: int
    secret: bytes = field(repr=False)
    tenant: str = ""
    shared_pilot: bytes = field(default=b"", repr=False)

    @staticmethod
    def derive(master: bytes, *, deployment: str, epoch: int = 0, subkeys: int = 16) -> KeyRing:
        """Derive the ring of `deployment` and `epoch` from `master`, at least 32 bytes from a random source.

        Raises `KeyRingError` for a short or evidently made-up master, an empty deployment, or numbers out
        of range.
        """
        _check_master(master)
        if not deployment or len(deployment) > 255:
            raise KeyRingError(f"deployment must be 1 to 255 characters, got {len(deployment)}")
        if not 0 <= epoch <= MAX_EPOCH:
            raise KeyRingError(f"epoch must be 0 to {MAX_EPOCH}, got {epoch}")
        if not 1 <= subkeys <= MAX_SUBKEYS:
            raise KeyRingError(f"subkeys must be 1 to {MAX_SUBKEYS}, got {subkeys}")
        info = b"ring\0" + bytes([FORMAT_VERSION]) + epoch.to_bytes(2, "big") + deployment.encode()
        return KeyRing(deployment, epoch, subkeys, derive_secret(master, info))

    def for_tenant(self, tenant: str) -> KeyRing:
        """The ring of one tenant of this deployment: sub-keys of its own under the pilot of all.

        A detector of T tenants searches once for all of them and reads T times as many sub-keys; each
        tenfold of T weakens every bound by a decade. Raises `KeyRingError` for an empty or overlong name, and
        for a ring that is a tenant's already.
        """
        if not tenant or len(tenant) > 255:
            raise KeyRingError(f"tenant must be 1 to 255 characters, got {len(tenant)}")
        if self.tenant:
            raise KeyRingError(f"this ring is that of tenant {self.tenant!r} already")
        secret = derive_secret(self.secret, b"tenant\0" + tenant.encode())
        return KeyRing(self.deployment, self.epoch, self.subkeys, secret, tenant, self.pilot_seed)

    def subkey(self, index: int) -> MarkKey:
        """Sub-key `index`, counted from 0."""
        if not 0 <= index < self.subkeys:
            raise KeyRingError(f"this ring has sub-keys 0 to {self.subkeys - 1}, asked for {index}")
        payload_seed = derive_secret(self.secret, b"payload\0" + index.to_bytes(2, "big"))
        return MarkKey(self.epoch, index, self.pilot_seed, payload_seed)

    def draw(self, randbelow: Callable[[int], int]) -> MarkKey:
        """A sub-key for a new medium; `randbelow(n)` draws from 0 to n - 1, as `secrets.randbelow` does."""
        return self.subkey(randbelow(self.subkeys))

    @property
    def pilot_seed(self) -> bytes:
        """Seed of the synchronisation pilot, shared by all sub-keys of the ring and by all its tenants."""
        return self.shared_pilot or derive_secret(self.secret, b"pilot\0")


def key_stream(seed: bytes, label: str, words: int) -> NDArray[np.uint32]:
    """`words` little-endian 32-bit words of the ChaCha20 key stream of (seed, label), counter from 0.

    The 12-byte nonce is the start of SHA-256(label), so streams of different purposes never overlap.
    """
    nonce = bytes(4) + hashlib.sha256(label.encode()).digest()[:12]
    encryptor = Cipher(ChaCha20(seed, nonce), mode=None).encryptor()
    return np.frombuffer(encryptor.update(bytes(4 * words)), dtype="<u4")


def derive_secret(secret: bytes, info: bytes) -> bytes:
    """32 bytes by HKDF-SHA256 with the salt of this format (RFC 5869); `info` says what for."""
    return HKDF(algorithm=SHA256(), length=32, salt=_SALT, info=info).derive(secret)


def _check_master(master: bytes) -> None:
    if len(master) < MIN_MASTER_BYTES:
        raise KeyRingError(
            f"the master key has {len(master)} bytes; give at least {MIN_MASTER_BYTES} random bytes"
        )
    if len(set(master)) < MIN_DISTINCT_BYTES:
        raise KeyRingError(
            "the master key repeats a few bytes; give random bytes, for example secrets.token_bytes(32)"
        )
    steps = {(b - a) % 256 for a, b in pairwise(master)}
    if len(steps) == 1:
        raise KeyRingError("the master key counts in equal steps; give random bytes")
    if _is_typed_text(master):
        raise KeyRingError(
            "the master key reads as typed text; give random bytes, or decode its hex or base64 first"
        )


def _is_typed_text(master: bytes) -> bool:
    """Printable throughout: a word list, or an encoded key whose encoding was forgotten (half the strength
    it claims).
    """
    return all(32 <= byte < 127 for byte in master)
