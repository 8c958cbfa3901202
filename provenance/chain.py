"""Whose signature it is, checked again without the C2PA library: the certificate chains inside a manifest.

The library lets any trust list vouch for any signature. Here the chain of a claim must end in the claim list,
and that of a time-stamp in the time-stamp list, each link a signature that `cryptography` verified. Validity
dates, key usage and revocation stay with the library, which has judged them already.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import cbor2
from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

Chain = tuple[x509.Certificate, ...]

MAX_CERTIFICATES: Final = 10
"""Of a chain. Real ones have two to four."""
_X5CHAIN: Final = 33  # RFC 9360; early writers used the name
_STAMPS: Final = ("sigTst2", "sigTst")
_FAULTS: Final = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, MemoryError)


@dataclass(frozen=True, slots=True)
class Chains:
    """The certificates beside a claim's signature, leaf first, and those inside its time-stamp, in any order.

    Both empty where there are none, or where they cannot be read.
    """

    signer: Chain = ()
    stamp: Chain = ()


def chains_of(store: bytes, label: str) -> Chains:
    """The chains of the manifest `label` in a manifest store (JUMBF, ISO 19566-5)."""
    try:
        protected, unprotected = _headers(_signature(store, label))
        signer = _certificates(protected, unprotected)
    except (*_FAULTS, cbor2.CBORDecodeError):
        return Chains()
    try:
        return Chains(signer, _stamp(unprotected))
    except _FAULTS:
        return Chains(signer)


def ends_in(chain: Chain, anchors: Collection[bytes]) -> bool:
    """True where every certificate issued the one before it, all but the first are authorities, and the last
    is one of `anchors` (DER) or was issued by one."""
    for place, certificate in enumerate(chain):
        if certificate.public_bytes(Encoding.DER) in anchors:
            return True
        if place and not _is_authority(certificate):
            return False
        if any(_issued(anchor, certificate) for anchor in _parsed(anchors)):
            return True
        if place + 1 == len(chain) or not _issued(chain[place + 1], certificate):
            return False
    return False


def any_ends_in(certificates: Chain, anchors: Collection[bytes]) -> bool:
    """`ends_in` for certificates in any order: a time-stamp's leaf is the one that issued no other."""
    leaves = [c for c in certificates if not any(_issued(c, other) for other in certificates)]
    return bool(leaves) and all(ends_in(_ordered(leaf, certificates), anchors) for leaf in leaves)


def _ordered(leaf: x509.Certificate, certificates: Chain) -> Chain:
    chain = [leaf]
    for _ in certificates:
        issuer = next((c for c in certificates if c not in chain and _issued(c, chain[-1])), None)
        if issuer is None:
            break
        chain.append(issuer)
    return tuple(chain)


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    if issuer.subject != certificate.issuer:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (x509.ExtensionNotFound, ValueError):
        return False


def _parsed(anchors: Collection[bytes]) -> Iterator[x509.Certificate]:
    return (_anchor(der) for der in anchors)


@lru_cache(maxsize=256)  # anchors come from our lists; what strangers send is parsed and let go
def _anchor(der: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(der)


def _headers(signature: bytes) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Protected and unprotected header of a COSE_Sign1 (RFC 9052, 4.2), tagged or not."""
    message = cbor2.loads(signature)
    parts = getattr(message, "value", message)
    protected = cbor2.loads(parts[0]) if parts[0] else {}
    return dict(protected), dict(parts[1])


def _certificates(*headers: dict[Any, Any]) -> Chain:
    for header in headers:
        found = header.get(_X5CHAIN) or header.get("x5chain")
        if found:
            ders = found if isinstance(found, (list, tuple)) else [found]
            return tuple(x509.load_der_x509_certificate(bytes(der)) for der in ders[:MAX_CERTIFICATES])
    return ()


def _stamp(unprotected: dict[Any, Any]) -> Chain:
    """The certificates in the first time-stamp token (RFC 3161, a CMS message, bare or in its response)."""
    holder: Any = next((unprotected[name] for name in _STAMPS if name in unprotected), None)
    if holder is None:
        return ()
    token = bytes(holder["tstTokens"][0]["val"])
    bare = token[_content_start(token) :][:1] == b"\x06"  # a message starts with its type
    message = cms.ContentInfo.load(token) if bare else tsp.TimeStampResp.load(token)["time_stamp_token"]
    held = list(message["content"]["certificates"])[:MAX_CERTIFICATES]
    return tuple(x509.load_der_x509_certificate(item.chosen.dump()) for item in held)


def _content_start(der: bytes) -> int:
    """Where the content of a DER element starts: behind its tag and length."""
    return 2 if der[1] < 0x80 else 2 + (der[1] & 0x7F)


def _signature(store: bytes, label: str) -> bytes:
    """Content of `c2pa.signature` in the manifest `label`."""
    ((_, outer),) = [box for box in boxes_of(store) if box[0] == b"jumb"][:1]
    manifest = _child(outer, label)
    kind, content = boxes_of(_child(manifest, "c2pa.signature"))[1]
    if kind != b"cbor":
        raise ValueError("the signature is no CBOR box")
    return content


def _child(superbox: bytes, label: str) -> bytes:
    """The box with this label; two of them are one too many, as nobody knows which one others read."""
    inside = [content for kind, content in boxes_of(superbox) if kind == b"jumb"]
    found = [content for content in inside if label_of(boxes_of(content)[0][1]) == label]
    if len(found) != 1:
        raise KeyError(label)
    return found[0]


def label_of(description: bytes) -> str:
    """Description box: type (16 bytes), toggles, label up to a zero byte."""
    return description[17:].partition(b"\0")[0].decode("utf-8", "replace")


def boxes_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """Boxes (LBox, TBox, content); one that says it goes on beyond the data ends with them."""
    found: list[tuple[bytes, bytes]] = []
    start = 0
    while start + 8 <= len(data) and len(found) < 4096:
        length = int.from_bytes(data[start : start + 4], "big")
        end = len(data) if length < 8 else min(start + length, len(data))
        found.append((data[start + 4 : start + 8], data[start + 8 : end]))
        start = end
    return found
