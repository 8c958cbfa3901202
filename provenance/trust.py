"""Trust anchors, with what each list may vouch for kept apart.

The C2PA library takes a `trust_kind` for each list but lets any of them vouch for any signature. Its answer
is therefore rechecked against the one list that counts (chain.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from provenance.errors import TrustError

CLAIM_URI: Final = "urn:assay:trust:claim"
TSA_URI: Final = "urn:assay:trust:tsa"
CAWG_URI: Final = "urn:assay:trust:cawg"
BUNDLED_ON: Final = date(2026, 8, 21)
"""Day of the snapshot in `trust_lists/`."""
MAX_LIST_BYTES: Final = 4 << 20
"""The C2PA lists are 40 kB; a hundred times that is no trust list."""


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """Authorities that may sign claims, time-stamps, and identity assertions (CAWG); DER certificates.

    `own` are roots of this installation's development authority: recognised as such, and never anchors.

    One list never vouches for another's signatures. With `TrustAnchors()` nothing is trusted: intact
    manifests read back `valid`.
    """

    claim: tuple[bytes, ...] = ()
    tsa: tuple[bytes, ...] = ()
    cawg: tuple[bytes, ...] = ()
    own: tuple[bytes, ...] = ()

    @staticmethod
    def bundled() -> TrustAnchors:
        """The C2PA lists that ship with this package (trust_lists/README.md)."""
        folder = files("provenance").joinpath("trust_lists")
        claim, tsa = (folder.joinpath(name).read_bytes() for name in ("c2pa-claim.pem", "c2pa-tsa.pem"))
        return TrustAnchors(_parse(claim, "c2pa-claim.pem"), _parse(tsa, "c2pa-tsa.pem"))

    @staticmethod
    def from_files(*, claim: Path, tsa: Path) -> TrustAnchors:
        """Newer lists, PEM. Raises `TrustError` when a file cannot be read or holds no certificate."""
        return TrustAnchors(_parse(_read(claim), str(claim)), _parse(_read(tsa), str(tsa)))

    def with_claim_list(self, pem: bytes) -> TrustAnchors:
        """The authorities in `pem` as claim signers, instead of those there are: a newer list."""
        return replace(self, claim=_parse(pem, "claim list"))

    def with_tsa_list(self, pem: bytes) -> TrustAnchors:
        """The authorities in `pem` as time-stamp signers, instead of those there are: a newer list."""
        return replace(self, tsa=_parse(pem, "TSA list"))

    def with_claim_root(self, pem: bytes) -> TrustAnchors:
        """These anchors and the authorities in `pem` as claim signers: how a dev root is trusted, and only
        so."""
        return replace(self, claim=_merged(self.claim, _parse(pem, "claim root")))

    def with_tsa_root(self, pem: bytes) -> TrustAnchors:
        """These anchors and the authorities in `pem` as time-stamp signers."""
        return replace(self, tsa=_merged(self.tsa, _parse(pem, "TSA root")))

    def with_cawg_root(self, pem: bytes) -> TrustAnchors:
        """These anchors and the authorities in `pem` as signers of identity assertions."""
        return replace(self, cawg=_merged(self.cawg, _parse(pem, "CAWG root")))

    def with_own_root(self, pem: bytes) -> TrustAnchors:
        """These anchors, knowing the authority in `pem` for this installation's development authority."""
        return replace(self, own=_merged(self.own, _parse(pem, "own root")))

    def as_settings(self) -> list[dict[str, str]]:
        """The `trust.anchors` setting of the C2PA library."""
        stamps = tuple(der for der in self.tsa if der not in set(self.claim))
        names = tuple(der for der in self.cawg if der not in {*self.claim, *stamps})
        lists = (
            ("manifest", CLAIM_URI, self.claim),
            ("tsa", TSA_URI, stamps),
            ("cawg", CAWG_URI, names),
        )
        return [
            {"trust_anchors": _pem(ders), "trust_uri": uri, "trust_kind": kind}
            for kind, uri, ders in lists
            if ders
        ]

    def describe(self) -> list[Anchor]:
        """Every anchor in plain values, for a doctor or a listing."""
        return [
            _describe(der, use)
            for use, ders in (("claim", self.claim), ("tsa", self.tsa), ("cawg", self.cawg))
            for der in ders
        ]


@dataclass(frozen=True, slots=True)
class Anchor:
    """One authority: what it may vouch for ("claim", "tsa" or "cawg"), its name, last day and SHA-256
    (hexadecimal)."""

    use: str
    subject: str
    not_after: datetime
    sha256: str


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_LIST_BYTES + 1)
    except OSError as error:
        raise TrustError(f"{path}: cannot be read: {error}") from error
    if len(content) > MAX_LIST_BYTES:
        raise TrustError(f"{path}: more than {MAX_LIST_BYTES} bytes, not a trust list")
    return content


def _parse(pem: bytes, source: str) -> tuple[bytes, ...]:
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise TrustError(f"{source}: holds no readable PEM certificate ({error})") from error
    return _merged((), (certificate.public_bytes(Encoding.DER) for certificate in certificates))


def _merged(known: tuple[bytes, ...], more: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys((*known, *more)))


@lru_cache(maxsize=16)  # some fifty certificates, asked for three times for every signed file
def _pem(ders: tuple[bytes, ...]) -> str:
    return "".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode() for der in ders)


def _describe(der: bytes, use: str) -> Anchor:
    certificate = x509.load_der_x509_certificate(der)
    subject = certificate.subject.rfc4514_string()
    return Anchor(
        use, subject, certificate.not_valid_after_utc, certificate.fingerprint(hashes.SHA256()).hex()
    )
