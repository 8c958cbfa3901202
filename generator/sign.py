"""Sign a marked file, read it back, and require that its bindings name one and the same thing."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from pathlib import Path
from typing import Final

from generator.confirm import MarkedMedia
from generator.errors import BindingError
from generator.stages import Seal, require_seal
from provenance import (
    C2paReport,
    ManifestFacts,
    Record,
    SignedAsset,
    SigningKey,
    TrustAnchors,
    fingerprint_media,
    sign_asset,
)
from watermark import MediaLimits, open_media

_SEAL: Final = Seal()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SignedMedia:
    """A marked file with a manifest that read back intact and names the mark that is in the pixels."""

    path: Path
    marked: MarkedMedia
    facts: ManifestFacts
    report: C2paReport
    record: Record
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        require_seal(seal, _SEAL, "SignedMedia")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnsignedMedia:
    """A marked file that its owner asked not to sign. It is registered, and can be proved by its mark
    alone."""

    path: Path
    marked: MarkedMedia
    facts: ManifestFacts
    record: Record
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        require_seal(seal, _SEAL, "UnsignedMedia")


def sign(
    marked: MarkedMedia,
    facts: ManifestFacts,
    *,
    key: SigningKey,
    trust: TrustAnchors,
    tenant: str,
    limits: MediaLimits,
) -> SignedMedia:
    """Sign `marked` and check the result as a stranger would.

    Raises `SigningError` when signing fails, `BindingError` unless the manifest is intact (its hash binding
    fits the file) and its soft binding names exactly the id that the detector read from the pixels.
    """
    target = marked.path.with_stem("signed")
    signed = sign_asset(marked.path, target, facts, key, trust=trust)
    report = signed.report
    if not report.state.intact:
        reasons = "; ".join(failure.code for failure in report.failures)
        raise BindingError(f"the manifest read back as {report.state}: {reasons or report.note}")
    named = tuple(media_id for alg in facts.binding_algs for media_id in report.bound_ids(alg))
    if named != (marked.detection.media_id,) * len(facts.binding_algs):
        raise BindingError(
            f"the manifest names {[i.hex for i in named]}, the picture {marked.mark.media_id.hex}"
        )
    record = _record(marked, facts, tenant, limits, target, signed)
    return SignedMedia(path=target, marked=marked, facts=facts, report=report, record=record, seal=_SEAL)


def leave_unsigned(
    marked: MarkedMedia, facts: ManifestFacts, *, tenant: str, limits: MediaLimits
) -> UnsignedMedia:
    """Take `marked` as it is: for owners who sign elsewhere. Its record holds no manifest."""
    path = marked.path
    record = _record(marked, facts, tenant, limits, path, None)
    return UnsignedMedia(path=path, marked=marked, facts=facts, record=record, seal=_SEAL)


def _record(
    marked: MarkedMedia,
    facts: ManifestFacts,
    tenant: str,
    limits: MediaLimits,
    path: Path,
    signed: SignedAsset | None,
) -> Record:
    return Record(
        media_id=marked.mark.media_id,
        key_id=marked.mark.key.key_id,
        manifest_label=signed.label if signed else None,
        manifest=signed.manifest if signed else None,
        file_sha256=signed.sha256 if signed else None,
        fingerprint=None if facts.mime.startswith("audio/") else fingerprint_media(open_media(path, limits)),
        created_at=facts.created_at,
        tenant=tenant,
        policy=facts.policy,
        model=facts.model,
        digests=facts.digests,
    )
