"""C2PA status codes in plain words, each with the clause of the C2PA 2.2 specification that defines the
check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from provenance.text import clean


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed check. `code` as the specification writes it, `where` is the manifest's label ("" : the
    file)."""

    code: str
    meaning: str
    clause: str
    where: str = ""

    def to_json(self) -> dict[str, str]:
        return {"code": self.code, "meaning": self.meaning, "clause": self.clause, "where": self.where}


_SIGNATURE: Final = "C2PA 2.2, 15.7 Validate the Signature"
_STAMP: Final = "C2PA 2.2, 15.8 Validate the Time-Stamp"
_REVOCATION: Final = "C2PA 2.2, 15.9 Validate the Credential Revocation Information"
_ASSERTIONS: Final = "C2PA 2.2, 15.10 Validate the Assertions"
_INGREDIENTS: Final = "C2PA 2.2, 15.11 Validate the Ingredients"
_CONTENT: Final = "C2PA 2.2, 15.12 Validate the Asset's Content"
_CLAIM: Final = "C2PA 2.2, 15.6 Locating and Validating the Claim"
_LOCATE: Final = "C2PA 2.2, 15.5 Locating the Active Manifest"
_CODES: Final = "C2PA 2.2, 15.2.2 Standard Status Codes"
_CAWG: Final = "CAWG Identity Assertion 1.1"

# Longest prefix wins. Order is for readers only.
_TABLE: Final[dict[str, tuple[str, str]]] = {
    "claimSignature.mismatch": (
        "the signature does not fit the claim: the claim was changed after signing",
        _SIGNATURE,
    ),
    "claimSignature.missing": ("the manifest has no signature", _SIGNATURE),
    "claimSignature.outsideValidity": ("signed at a time when the certificate was not valid", _SIGNATURE),
    "signingCredential.untrusted": (
        "the signer is in none of the trust lists in use, so its name proves nothing",
        _SIGNATURE,
    ),
    "signingCredential.invalid": (
        "the signing certificate does not meet the C2PA certificate profile",
        _SIGNATURE,
    ),
    "signingCredential.expired": (
        "the certificate has expired and no trusted time-stamp says it was signed before",
        _SIGNATURE,
    ),
    "signingCredential.ocsp.revoked": ("the signing certificate was revoked", _REVOCATION),
    "signingCredential.ocsp.unknown": (
        "the certificate's authority does not know the signing certificate",
        _REVOCATION,
    ),
    "timeStamp": ("the time-stamp does not hold", _STAMP),
    "claim.missing": ("the manifest has no claim", _CLAIM),
    "claim.multiple": ("the manifest has more than one claim", _CLAIM),
    "claim.malformed": ("the claim cannot be read", _CLAIM),
    "claim.cbor.invalid": ("the claim cannot be read", _CLAIM),
    "claim.hardBindings.missing": ("nothing ties the manifest to the bytes of this file", _CLAIM),
    "claim.required.missing": ("the claim lacks a field that must be there", _CLAIM),
    "manifest.inaccessible": ("the manifest is stored elsewhere; it was not fetched", _LOCATE),
    "manifest": ("the manifest's structure is not allowed", _CLAIM),
    "assertion.dataHash.mismatch": ("the file's bytes were changed after signing", _CONTENT),
    "assertion.bmffHash.mismatch": ("the clip's bytes were changed after signing", _CONTENT),
    "assertion.boxesHash.mismatch": ("the file's parts were changed after signing", _CONTENT),
    "assertion.collectionHash.mismatch": (
        "a file of the signed collection was changed after signing",
        _CONTENT,
    ),
    "assertion.dataHash": ("the binding to the file's bytes is not usable", _CONTENT),
    "assertion.bmffHash": ("the binding to the clip's bytes is not usable", _CONTENT),
    "assertion.boxesHash": ("the binding to the file's parts is not usable", _CONTENT),
    "assertion.hashedURI.mismatch": ("a statement in the manifest was changed after signing", _ASSERTIONS),
    "assertion.missing": ("a statement that the claim lists is not there", _ASSERTIONS),
    "assertion.undeclared": ("there is a statement that the claim does not list", _ASSERTIONS),
    "assertion.inaccessible": ("a statement is stored elsewhere and was not fetched", _ASSERTIONS),
    "assertion.action": ("the list of actions breaks a rule of the specification", _ASSERTIONS),
    "assertion.multipleHardBindings": ("more than one binding to the file's bytes", _ASSERTIONS),
    "assertion": ("a statement in the manifest breaks a rule of the specification", _ASSERTIONS),
    "ingredient": ("the credentials of a file that went into this one do not hold", _INGREDIENTS),
    "hashedURI": ("a reference inside the manifest does not fit what it names", _ASSERTIONS),
    "algorithm.unsupported": ("an algorithm that this reader does not accept", _CODES),
    "algorithm": ("an algorithm that should not be used any more", _CODES),
    "cawg": ("the identity statement added to the manifest does not hold", _CAWG),
    "general.error": ("the credentials cannot be read: they are damaged or malformed", _CODES),
}

CHANGED_AFTER_SIGNING: Final = frozenset(
    {
        "claimSignature.mismatch",
        "assertion.dataHash.mismatch",
        "assertion.bmffHash.mismatch",
        "assertion.boxesHash.mismatch",
        "assertion.collectionHash.mismatch",
        "assertion.hashedURI.mismatch",
        "assertion.missing",
    }
)
"""Codes that say: these credentials and this file do not belong together as they are."""


def explain_code(code: str, where: str = "") -> Failure:
    """The plain meaning and the clause of a status code; an unknown code is said to be one."""
    parts = clean(code).split(".")
    for length in range(len(parts), 0, -1):
        entry = _TABLE.get(".".join(parts[:length]))
        if entry is not None:
            return Failure(".".join(parts), entry[0], entry[1], clean(where))
    return Failure(".".join(parts), "a check failed that this version has no words for", _CODES, clean(where))


_GRAVITY: Final = (
    "assertion.dataHash",
    "assertion.bmffHash",
    "assertion.boxesHash",
    "assertion.collectionHash",
    "claimSignature.mismatch",
    "assertion.hashedURI",
    "claim",
    "assertion",
    "manifest",
    "general",
    "signingCredential.ocsp.revoked",
    "ingredient",
    "signingCredential.invalid",
    "signingCredential.expired",
    "signingCredential",
    "timeStamp",
    "cawg",
)
"""From what says that the file was changed to what says that its signer is not known."""


def by_gravity(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    """The gravest first: that nobody knows the signer must not hide that the file was changed."""
    return tuple(sorted(failures, key=_gravity))


def _gravity(failure: Failure) -> int:
    fitting = (place for place, start in enumerate(_GRAVITY) if f"{failure.code}.".startswith(f"{start}."))
    return next(fitting, len(_GRAVITY))
