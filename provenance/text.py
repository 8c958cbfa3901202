"""Strings from strangers, made safe to show at the border where they are read.

Manifests are attacker text: terminal escapes, right-to-left overrides, a megabyte of title. Nothing behind
this border sees them. HTML is escaped where HTML is written.
"""

from __future__ import annotations

import unicodedata

MAX_TEXT = 200
"""Characters kept of one string: more than any name, title or label that a person reads."""

_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def clean(value: object, limit: int = MAX_TEXT) -> str:
    """`value` as one line of visible text of at most `limit` characters; no control or formatting characters.

    Anything but a string or a number becomes the empty string: a manifest may put a map where a name belongs.
    """
    if isinstance(value, (int, float)):
        value = str(value)
    if not isinstance(value, str):
        return ""
    kept = "".join(c for c in value[: 4 * limit] if unicodedata.category(c) not in _DROPPED).strip()
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"
