"""Mark and sign a file made elsewhere: `assay mark`, and the outputs of hosted generators.

The guard has no part in it, because nothing is generated; and the promise is smaller, because an unmarked
file existed before. The file's own manifest, where it has one, is kept as the parent ingredient, so what
others said stays said. A file that carries a mark of ours already is refused: two marks of one ring would
blur one another, and the first id is the one that its record speaks of.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import torch

from generator.confirm import MarkedMedia, confirm, confirm_sound
from generator.digests import file_digest
from generator.encode import encode_copy
from generator.errors import MarkingError, SelfCheckError
from generator.facts import PRODUCT, sound_algs
from generator.issuer import Issuer
from generator.release import Register, Released, work_folder
from generator.request import MIN_SIDE, MediaFormat, MediaKind
from generator.sound import encode_sound, format_of_sound, mime_of
from generator.stages import CancelRequested, Progress, never_cancelled, no_progress, stop_if
from generator.visible import Labelling
from provenance import Agent, Input, ManifestFacts, Role, SourceType
from watermark import (
    AudioDetection,
    AudioDetector,
    Detection,
    Media,
    MediaId,
    open_media,
    read_sound,
)

_FORMATS: Final = {
    "image/png": MediaFormat.PNG,
    "image/jpeg": MediaFormat.JPEG,
    "image/webp": MediaFormat.WEBP,
    "image/avif": MediaFormat.AVIF,
    "video/mp4": MediaFormat.MP4,
    "video/quicktime": MediaFormat.MP4,
}
_OWN_MARK_FRAMES: Final = 48
"""Frames read to see whether a clip is marked already; the mark adds up over frames, and 24 are enough at
CRF 28."""


@dataclass(frozen=True, slots=True)
class Told:
    """Whom to tell how far it is, and whom to ask whether to go on."""

    progress: Progress
    cancelled: CancelRequested


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
        """A marked copy of `source`: PNG, JPEG, WebP, AVIF, MP4 or MOV, upright, with its frame times and
        sound; WAV, FLAC, MP3 or M4A.

        The sound of a clip is marked as well where it holds a mark: not when it is silent or shorter than a
        second. `source_type` says what AI had to do with it (None: nothing is claimed). Transparent parts
        become white. Raises `MarkingError` when the file is too small, of another type, or marked already;
        `MediaError` when it is broken or beyond the limits; `SelfCheckError`, `BindingError` and what
        `register` raises.
        """
        told = Told(progress, cancelled)
        # What AI had no part in gets no label that says so.
        issuer = self if source_type is not None else replace(self, labelling=Labelling())
        sound_format = format_of_sound(source)
        with work_folder(self.folder) as work:
            if sound_format is None:
                marked, seconds = issuer._mark_pictures(source, media_id, work, told)
            else:
                marked, seconds = self._mark_sound(source, media_id, sound_format, work, told)
            progress("sign", 0.0)
            facts = self._facts(source, marked, seconds, title or source.name, source_type)
            return issuer.issue(
                marked, facts, tenant=tenant, register=register, cancelled=cancelled, signed=not no_sign
            )

    def _mark_pictures(
        self, source: Path, media_id: MediaId, work: Path, told: Told
    ) -> tuple[MarkedMedia, float]:
        media = open_media(source, self.limits)
        wanted = _format(media)
        self._refuse_own_mark(media)
        return self._marked(media, media_id, wanted, work, told.progress, told.cancelled), media.seconds

    def _mark_sound(
        self, source: Path, media_id: MediaId, wanted: MediaFormat, work: Path, told: Told
    ) -> tuple[MarkedMedia, float]:
        sound = read_sound(source, self.limits)
        listener = AudioDetector(self.detector.rings)
        _refuse(source, listener.detect(sound.samples, sound.rate))
        told.progress("mark", 0.0)
        stop_if(told.cancelled)
        encoded = encode_sound(sound, self.ring.draw(self.randbelow), media_id, wanted, work, listener)
        told.progress("check", 0.0)
        return confirm_sound(
            encoded.path, wanted.mime, encoded.mark, self.detector, self.limits
        ), sound.seconds

    def _refuse_own_mark(self, media: Media) -> None:
        stride = max(1, media.frame_count // _OWN_MARK_FRAMES)
        _refuse(media.path, self.detector.detect(media.frames(stride, exact=False)))

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
            mark = self.labelling.mark(key, media_id, strength)
            encoded = encode_copy(
                media,
                mark,
                work,
                wanted,
                device=self.device,
                listener=AudioDetector(self.detector.rings),
                limits=self.limits,
                progress=progress,
                cancelled=cancelled,
            )
            progress("check", 0.0)
            try:
                return confirm(encoded, self.detector, self.limits)
            except SelfCheckError as error:
                failure = error
        raise failure

    def _facts(
        self,
        source: Path,
        marked: MarkedMedia,
        seconds: float,
        title: str,
        source_type: SourceType | None,
    ) -> ManifestFacts:
        return ManifestFacts(
            title=title,
            mime=marked.mime,
            media_id=marked.mark.media_id,
            created_at=self.clock(),
            generator=Agent(PRODUCT, version(PRODUCT)),
            digests={"source": file_digest(source)},
            span_ms=round(1000 * seconds) or None,
            parent=Input(source, mime_of(source), title, Role.COMPONENT),
            source_type=source_type,
            **sound_algs(marked),
        )


def _refuse(path: Path, detection: Detection | AudioDetection) -> None:
    if detection.found and detection.media_id is not None:
        raise MarkingError(f"{path.name} carries the mark {detection.media_id.hex} already; look that id up")


def _format(media: Media) -> MediaFormat:
    wanted = _FORMATS.get(media.mime)
    if wanted is None or wanted.kind is not MediaKind(media.kind):
        kind = f"an animated {media.mime}" if MediaKind(media.kind) is MediaKind.VIDEO else media.mime
        raise MarkingError(
            f"{media.path.name} is {kind}; give PNG, JPEG, WebP, AVIF, MP4, MOV, WAV, FLAC, MP3 or M4A"
        )
    if min(media.width, media.height) < MIN_SIDE:
        raise MarkingError(
            f"{media.path.name}: {media.width}x{media.height} pixels; the short side must have {MIN_SIDE}"
        )
    return wanted
