"""Mark and sign a file made elsewhere: `assay mark`, and the outputs of hosted generators.

The guard has no part in it, because nothing is generated; and the promise is smaller, because an unmarked
file existed before. The file's own manifest, where it has one, is kept as the parent ingredient, so what
others said stays said. A file that carries a mark of ours already is refused: two marks of one ring would
blur one another, and the first id is the one that its record speaks of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

import torch

from generator.confirm import MarkedMedia, confirm
from generator.digests import file_digest
from generator.encode import encode_copy
from generator.errors import MarkingError, SelfCheckError
from generator.facts import PRODUCT
from generator.pipeline import Issuer
from generator.release import Register, Released, release, work_folder
from generator.request import MIN_SIDE, MediaFormat, MediaKind
from generator.sign import leave_unsigned, sign
from generator.stages import CancelRequested, Progress, never_cancelled, no_progress, stop_if
from provenance import Agent, Input, ManifestFacts, Role, SourceType
from watermark import Mark, Media, MediaId, open_media

_FORMATS: Final = {
    "image/png": MediaFormat.PNG,
    "image/jpeg": MediaFormat.JPEG,
    "image/webp": MediaFormat.WEBP,
    "video/mp4": MediaFormat.MP4,
    "video/quicktime": MediaFormat.MP4,
}
_OWN_MARK_FRAMES: Final = 48
"""Frames read to see whether a clip is marked already; the mark adds up over frames, and 24 are enough at
CRF 28."""


@dataclass(frozen=True, kw_only=True)
class MediaMarker(Issuer):
    """Marks, signs and registers files. `device` is where the mark is computed."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def mark(
        self,
        source: Path,
        media_id: MediaId,
        *,
        register: Register,
        no_sign: bool = False,
        source_type: SourceType | None = None,
        title: str | None = None,
        tenant: str = "default",
        progress: Progress = no_progress,
        cancelled: CancelRequested = never_cancelled,
    ) -> Released:
        """A marked copy of `source` (PNG, JPEG, WebP, MP4 or MOV), upright, with its frame times and sound.

        `source_type` says what AI had to do with it (None: nothing is claimed). Transparent parts become
        white. Raises `MarkingError` when the file is too small, of another type, or marked already;
        `MediaError` when it is broken or beyond the limits; `SelfCheckError`, `BindingError` and what
        `register` raises.
        """
        media = open_media(source, self.limits)
        wanted = _format(media)
        self._refuse_own_mark(media)
        with work_folder(self.folder) as work:
            marked = self._marked(media, media_id, wanted, work, progress, cancelled)
            progress("sign", 0.0)
            facts = self._facts(media, media_id, wanted, title or source.name, source_type)
            asset = (
                leave_unsigned(marked, facts, tenant=tenant, limits=self.limits)
                if no_sign
                else sign(
                    marked, facts, key=self.signing_key, trust=self.trust, tenant=tenant, limits=self.limits
                )
            )
            stop_if(cancelled)
            return release(asset, self.folder, register)

    def _refuse_own_mark(self, media: Media) -> None:
        stride = max(1, media.frame_count // _OWN_MARK_FRAMES)
        detection = self.detector.detect(media.frames(stride))
        if detection.found and detection.media_id is not None:
            raise MarkingError(
                f"{media.path.name} carries the mark {detection.media_id.hex} already; look that id up"
            )

    def _marked(
        self,
        media: Media,
        media_id: MediaId,
        wanted: MediaFormat,
        work: Path,
        progress: Progress,
        cancelled: CancelRequested,
    ) -> MarkedMedia:
        key = self.ring.draw(self.randbelow)
        for strength in self.strengths:
            mark = Mark(key, media_id, strength)
            encoded = encode_copy(
                media, mark, work, wanted, device=self.device, progress=progress, cancelled=cancelled
            )
            progress("check", 0.0)
            try:
                return confirm(encoded, self.detector, self.limits)
            except SelfCheckError as error:
                failure = error
        raise failure

    def _facts(
        self, media: Media, media_id: MediaId, wanted: MediaFormat, title: str, source_type: SourceType | None
    ) -> ManifestFacts:
        return ManifestFacts(
            title=title,
            mime=wanted.mime,
            media_id=media_id,
            created_at=self.clock(),
            generator=Agent(PRODUCT, version(PRODUCT)),
            digests={"source": file_digest(media.path)},
            span_ms=round(1000 * media.seconds) or None,
            parent=Input(media.path, media.mime, title, Role.COMPONENT),
            source_type=source_type,
        )


def _format(media: Media) -> MediaFormat:
    wanted = _FORMATS.get(media.mime)
    if wanted is None or wanted.kind is not MediaKind(media.kind):
        kind = f"an animated {media.mime}" if MediaKind(media.kind) is MediaKind.VIDEO else media.mime
        raise MarkingError(f"{media.path.name} is {kind}; give PNG, JPEG, WebP, MP4 or MOV")
    if min(media.width, media.height) < MIN_SIDE:
        raise MarkingError(
            f"{media.path.name}: {media.width}x{media.height} pixels; the short side must have {MIN_SIDE}"
        )
    return wanted
