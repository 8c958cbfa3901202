"""Digests that let a record be checked later without holding what it is about.

A prompt may be personal, and few enough prompts are likely that a plain hash can be guessed: prompts are kept
as an HMAC under a key of the operator. Parameters hold nothing personal: a plain hash over canonical JSON
lets anyone with the same parameters compare.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Final

MIN_KEY_BYTES: Final = 32
"""As long as the digest, as RFC 2104 asks."""


def prompt_digest(text: str, key: bytes) -> str:
    """`hmac-sha256:` and 64 hex digits of `text` in NFC.

    Raises `ValueError` when the key is shorter than `MIN_KEY_BYTES`: an HMAC under a guessable key hides
    nothing.
    """
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"the prompt digest key has {len(key)} bytes; give at least {MIN_KEY_BYTES}")
    message = unicodedata.normalize("NFC", text).encode()
    return f"hmac-sha256:{hmac.new(key, message, hashlib.sha256).hexdigest()}"


def parameters_digest(parameters: Mapping[str, object]) -> str:
    """`sha256:` and 64 hex digits of `parameters` as JSON with sorted keys and no spaces."""
    text = json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def file_digest(path: Path) -> str:
    """`sha256:` and 64 hex digits of the bytes of a file."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
