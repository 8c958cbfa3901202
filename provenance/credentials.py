"""What the C2PA credentials of a file say: plain, bounded, clean values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from provenance.codes import CHANGED_AFTER_SIGNING, Failure
from provenance.manifest import SOFT_BINDING_ALG
from watermark.payload import ID_BITS, MediaId

AI_SOURCE_TYPES: Final = frozenset(
    {
        "trainedAlgorithmicMedia",
        "compositeWithTrainedAlgorithmicMedia",
        "compositeSynthetic",
        "algorithmicallyEnhanced",
        "trainedAlgorithmicData",
    }
)
"""Digital source types that state a trained model made or changed the content; compositeSynthetic: at least
in part."""


_AI_WORDS: Final = re.compile(r"\bAI[- ]generated\b", re.IGNORECASE)
"""In descriptions of actions: how services said it before the source types had come into use."""


class C2paState(StrEnum):
    """`valid`: intact, signer unknown. `trusted`: intact, signer in the claim trust list. `absent`: no
    manifest in it."""

    ABSENT = "absent"
    INVALID = "invalid"
    VALID = "valid"
    TRUSTED = "trusted"
    UNSUPPORTED = "unsupported"

    @property
    def intact(self) -> bool:
        return self in (C2paState.VALID, C2paState.TRUSTED)


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed. Exists only for trusted manifests: in any other state these fields can be forged."""

    organisation: str
    common_name: str
    serial: str
    algorithm: str
    signed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Action:
    """One entry of the action list. `source_type` is the last part of the digital source type URI."""

    name: str
    source_type: str
    agent: str
    when: str
    description: str = ""

    @property
    def stated_ai(self) -> str:
        """The words with which this action states AI, or ""."""
        if self.source_type in AI_SOURCE_TYPES:
            return self.source_type
        return self.description if _AI_WORDS.search(self.description) else ""


@dataclass(frozen=True, slots=True)
class SoftBinding:
    """A statement that the content carries a mark: algorithm name and value (normalised bytes)."""

    alg: str
    value: bytes

    @property
    def media_id(self) -> MediaId | None:
        """The id, where the value is one of ours."""
        return MediaId(int.from_bytes(self.value, "big")) if len(self.value) == ID_BITS // 8 else None


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A file that went into this one, as its manifest states. `failures` are those of its own credentials."""

    title: str
    relationship: str
    label: str
    generator: str
    ai_source_type: str
    failures: tuple[Failure, ...]
    ingredients: tuple[Ingredient, ...]


@dataclass(frozen=True, slots=True)
class C2paReport:
    """What the credentials in a file say, and whether they hold. Strings are clean; every list is bounded.

    `ai_source_type` is "" or the digital source type with which this manifest, or one of its ingredients,
    states that AI was used. `manifest_sha256` is of the manifest store as the library read it.
    `own_authority`: intact, and signed under this installation's development authority, which no list knows.
    """

    state: C2paState
    label: str = ""
    manifest_sha256: str = ""
    title: str = ""
    generator: str = ""
    signer: Signer | None = None
    ai_source_type: str = ""
    bindings: tuple[SoftBinding, ...] = ()
    actions: tuple[Action, ...] = ()
    ingredients: tuple[Ingredient, ...] = ()
    failures: tuple[Failure, ...] = ()
    statements: tuple[tuple[str, str], ...] = ()
    remote_url: str = ""
    note: str = ""
    own_authority: bool = False

    @property
    def changed_after_signing(self) -> bool:
        """True when a failure says that file and credentials do not belong together as they are."""
        return any(failure.code in CHANGED_AFTER_SIGNING for failure in self.failures)

    def bound_ids(self, alg: str = SOFT_BINDING_ALG) -> tuple[MediaId, ...]:
        """The media ids that the manifest states under our algorithm name."""
        return tuple(b.media_id for b in self.bindings if b.alg == alg and b.media_id is not None)
