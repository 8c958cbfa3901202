"""Download links that need no API key: they name one file and an end, and are signed."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service import keys
from service.settings import Settings

_LINK_INFO = b"assay download link 1"
LONGEST_SECONDS = 7 * 24 * 3600
"""As long as S3 lets its own links last."""


@dataclass(frozen=True, slots=True)
class LinkSigner:
    """Signs `job`, `variant` and the Unix time `expires` with HMAC-SHA256 under `key`."""

    key: bytes = field(repr=False)
    clock: Callable[[], datetime]

    def sign(self, job: str, variant: str, expires: int) -> str:
        """The signature, in hexadecimal digits."""
        return hmac.digest(self.key, f"{job}\n{variant}\n{expires}".encode(), "sha256").hex()

    def holds(self, job: str, variant: str, expires: int, signature: str) -> bool:
        """Whether the link was made here and has not run out."""
        made = self.sign(job, variant, expires)
        # As bytes: of text with letters beyond ASCII, which callers may send, the comparison raises.
        same = hmac.compare_digest(made.encode(), signature.encode())
        return same and self.clock().timestamp() < expires


def link_signer(settings: Settings, *, clock: Callable[[], datetime]) -> LinkSigner:
    """The signer of this installation; every process of it derives the same key. Raises
    `ConfigurationError`."""
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=_LINK_INFO)
    return LinkSigner(derived.derive(keys.read_master(settings)), clock)
