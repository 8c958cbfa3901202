"""Signing a finished file: C2PA manifest in, read back, and only then put in its place."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import c2pa

from provenance import sdk
from provenance.boxes import has_one_media_box
from provenance.credentials import C2paReport, C2paState
from provenance.errors import ReadError, SigningError
from provenance.keys import SigningKey
from provenance.labelling import AigcLabel, write_labels
from provenance.manifest import ManifestFacts, ingredient_definitions, manifest_definition
from provenance.read import read_manifest, read_with_store
from provenance.text import clean
from provenance.trust import TrustAnchors

MERKLE_FROM_BYTES: Final = 32 << 20
"""MP4 files from here on are hashed in chunks, which keeps memory flat; below, one hash is smaller and
faster."""

_BMFF: Final = frozenset({"video/mp4", "video/quicktime", "audio/mp4"})


@dataclass(frozen=True, slots=True)
class SignedAsset:
    """A signed file that read back as intended: `report`. The registry keeps `manifest`, the manifest store,
    and the `sha256` (hexadecimal) of the whole file."""

    path: Path
    label: str
    manifest: bytes
    report: C2paReport
    sha256: str

    @property
    def state(self) -> C2paState:
        """Valid, or trusted."""
        return self.report.state


def sign_asset(
    source: Path,
    target: Path,
    facts: ManifestFacts,
    key: SigningKey,
    *,
    trust: TrustAnchors,
    now: datetime | None = None,
) -> SignedAsset:
    """Write `source` with labels and a signed manifest to `target`, which may be `source` itself.

    Where `facts` say that AI took part, the IPTC digital source type goes into its metadata first, and the
    AIGC label where a producer is given: the manifest then covers both (`provenance.labelling`).

    `now`, for the certificate's validity, is `facts.created_at` where not given. The target appears complete,
    in one step, after its manifest was read back: intact, the media id in it, its label as expected. Raises
    `KeyMaterialError` for a key that cannot sign, and `SigningError` for everything else that failed; both
    leave `target` as it was. Credentials of an input are kept as ingredient; a `source` that still carries
    its own must be named as `facts.parent`.
    """
    key.require_usable(facts.created_at if now is None else now)
    _refuse_to_drop_credentials(source, facts)
    with _temporary_beside(target) as temporary, _labelled(source, target, facts) as unsigned:
        _write(unsigned, temporary, facts, key, trust)
        back = read_with_store(temporary, trust)
        _require_as_stated(back.report, facts)
        with temporary.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        _publish(temporary, target)
    return SignedAsset(target, back.report.label, back.manifest, back.report, sha256)


def _refuse_to_drop_credentials(source: Path, facts: ManifestFacts) -> None:
    """The library would drop an earlier manifest without a word, whoever signed it: no anchors are read."""
    try:
        before = read_manifest(source, TrustAnchors())
    except ReadError as error:
        raise SigningError(str(error)) from error
    if before.state is C2paState.UNSUPPORTED:
        raise SigningError(f"{source.name}: {before.note}; use MP4, MOV, PNG, JPEG, WebP, AVIF, WAV or MP3")
    if before.state is not C2paState.ABSENT and (facts.parent is None or facts.parent.path != source):
        raise SigningError(f"{source.name} carries credentials already; give it as facts.parent to keep them")


@contextmanager
def _temporary_beside(target: Path) -> Iterator[Path]:
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(descriptor)
    except OSError as error:
        raise SigningError(f"{target}: cannot be written: {error.strerror}") from error
    temporary = Path(name)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _labelled(source: Path, target: Path, facts: ManifestFacts) -> Iterator[Path]:
    """The file to sign: `source` as it is, or a copy with labels in it."""
    if facts.source_type is None:
        yield source
        return
    producer = facts.aigc_producer
    aigc = AigcLabel(producer=producer, produce_id=facts.media_id.hex) if producer else None
    with _temporary_beside(target) as copy:
        write_labels(source, copy, facts.mime, source_type=str(facts.source_type), aigc=aigc)
        yield copy


def _publish(temporary: Path, target: Path) -> None:
    """The signed file takes its place in one step; whoever reads sees the old file or the new one."""
    try:
        temporary.chmod(0o644)  # private while it was written; signed, it is made to be passed on
        os.replace(temporary, target)
    except OSError as error:
        raise SigningError(f"{target}: cannot be written: {error.strerror}") from error


def _write(source: Path, temporary: Path, facts: ManifestFacts, key: SigningKey, trust: TrustAnchors) -> None:
    big = facts.mime in _BMFF and source.stat().st_size >= MERKLE_FROM_BYTES
    # c2pa 0.91.3 hashes chunks of the wrong bytes where a file has more than one mdat, and reads back a
    # mismatch.
    merkle = big and has_one_media_box(source)
    stamp_host = urlsplit(key.timestamp_url).netloc if key.timestamp_url else None
    # Anchors count for ingredients alone; reading fifty of them takes a third of the time of signing.
    anchors = trust if facts.parent or facts.inputs else TrustAnchors()
    context = sdk.context(sdk.signer_settings(anchors, merkle=merkle, stamp_host=stamp_host))
    try:
        with (
            c2pa.Builder(manifest_definition(facts), context) as builder,
            key.signer() as signer,
            source.open("rb", sdk.STREAM_BUFFER_BYTES) as reading,
            temporary.open("w+b", sdk.STREAM_BUFFER_BYTES) as writing,
        ):
            _add_ingredients(builder, facts)
            builder.sign(signer, facts.mime, reading, writing)
    except (c2pa.C2paError, OSError) as error:
        raise SigningError(f"{source.name}: signing failed: {clean(str(error), 400)}") from error


def _add_ingredients(builder: c2pa.Builder, facts: ManifestFacts) -> None:
    for definition, item in ingredient_definitions(facts):
        with item.path.open("rb") as file:
            builder.add_ingredient(definition, item.mime, file)


def _require_as_stated(report: C2paReport, facts: ManifestFacts) -> None:
    if not report.state.intact:
        reasons = (
            "; ".join(f"{failure.code}: {failure.meaning}" for failure in report.failures) or report.note
        )
        raise SigningError(f"{facts.title}: reads back {report.state}: {reasons}")
    if any(report.bound_ids(alg) != facts.bound_ids for alg in facts.binding_algs):
        raise SigningError(f"{facts.title}: the manifest does not read back media id {facts.media_id.hex}")
    if not report.label:
        raise SigningError(f"{facts.title}: the manifest reads back without a label")
