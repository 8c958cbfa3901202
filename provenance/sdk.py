"""The one place where the C2PA library is configured.

It ignores settings that it does not know, so a typing error would silently switch a protection off: every
setting goes through `checked` first. A context belongs to the process that made it and is cheap; none is
kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import c2pa

from provenance.errors import SettingsError
from provenance.trust import TrustAnchors

Settings = dict[str, Any]

EXTENDED_KEY_USAGES: Final = "\n".join(
    (
        "1.3.6.1.4.1.62558.2.1",  # C2PA claim signing
        "1.3.6.1.5.5.7.3.36",  # document signing
        "1.3.6.1.5.5.7.3.4",  # e-mail protection
        "1.3.6.1.4.1.311.76.59.1.9",  # Microsoft C2PA signing
        "1.3.6.1.5.5.7.3.8",  # time-stamping
        "1.3.6.1.5.5.7.3.9",  # OCSP signing
    )
)
"""Without this list the library refuses every leaf that is not for e-mail, whatever the anchors say."""

BACKING_STORE_MB: Final = 16
"""Media kept in memory while signing; more goes to a temporary file (200 MB MP4: 410 MB at the default, 219
MB so)."""
MAX_MANIFEST_MB: Final = 8
"""Largest manifest after decompression. Ours are 0.02 MB, the largest public ones with thumbnails about 2
MB."""
MERKLE_CHUNK_KB: Final = 1024
"""Hash big MP4 files in chunks of this size: memory stays near 30 MB for any length, for 0.24 kB per MB of
file."""

STREAM_BUFFER_BYTES: Final = 256 << 10
"""Buffer of files given to the library, which asks for 8 kB at a time: an eighth of the time of signing was
system calls."""

_FLAGS: Final = {"enabled": bool}
_KNOWN: Final[dict[str, Any]] = {
    "trust": {"anchors": list, "trust_config": str},
    "verify": {
        "verify_after_reading": bool,
        "verify_after_sign": bool,
        "verify_trust": bool,
        "verify_timestamp_trust": bool,
        "ocsp_fetch": bool,
        "remote_manifest_fetch": bool,
    },
    "core": {
        "allowed_network_hosts": list,
        "allow_redirects": bool,
        "backing_store_memory_threshold_in_mb": int,
        "decode_identity_assertions": bool,
        "max_decompressed_manifest_size_in_mb": int,
        "merkle_tree_chunk_size_in_kb": int,
    },
    "builder": {"thumbnail": _FLAGS},
}


def reader_settings(trust: TrustAnchors, *, identities: bool = False) -> Settings:
    """For files from strangers: nothing is fetched, identity assertions (which fetch) are resolved on request
    alone."""
    return {
        "trust": {"anchors": trust.as_settings(), "trust_config": EXTENDED_KEY_USAGES},
        "verify": {
            "verify_after_reading": True,
            "verify_trust": True,
            "verify_timestamp_trust": True,
            "ocsp_fetch": False,
            "remote_manifest_fetch": False,
        },
        "core": {
            "allowed_network_hosts": [],
            "allow_redirects": False,
            "decode_identity_assertions": identities,
            "max_decompressed_manifest_size_in_mb": MAX_MANIFEST_MB,
            "backing_store_memory_threshold_in_mb": BACKING_STORE_MB,
        },
    }


def signer_settings(trust: TrustAnchors, *, merkle: bool, stamp_host: str | None) -> Settings:
    """For our own files. `merkle` for big MP4; `stamp_host` is the only host that may be asked (a time-stamp
    server)."""
    settings = reader_settings(trust)
    settings["builder"] = {"thumbnail": {"enabled": False}}
    settings["verify"]["verify_after_sign"] = False  # `sign_asset` reads back itself, and says what was wrong
    if stamp_host is not None:
        settings["core"]["allowed_network_hosts"] = [stamp_host]
    if merkle:
        settings["core"]["merkle_tree_chunk_size_in_kb"] = MERKLE_CHUNK_KB
    return settings


def context(settings: Settings) -> c2pa.Context:
    """A context with exactly `settings`. Raises `SettingsError` for a key that the library would ignore."""
    checked(settings, _KNOWN)
    return c2pa.Context.from_dict(settings)


def checked(settings: Mapping[str, Any], known: Mapping[str, Any], path: str = "") -> None:
    """Raise `SettingsError` where `settings` has an unknown key or a value of the wrong type."""
    for key, value in settings.items():
        kind, place = known.get(key), f"{path}{key}"
        if kind is None:
            raise SettingsError(
                f"{place}: not a setting of the C2PA library that this package uses; check the spelling"
            )
        if isinstance(kind, Mapping):
            if not isinstance(value, Mapping):
                raise SettingsError(f"{place}: must be a map")
            checked(value, kind, f"{place}.")
        elif type(value) is not kind:
            raise SettingsError(f"{place}: must be {kind.__name__}, not {type(value).__name__}")
