"""The self-check: what was encoded is read back as a stranger would read it, and must give the id that was
put in."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from pathlib import Path
from typing import Final

from generator.encode import Encoded
from generator.errors import SelfCheckError
from generator.sound import heard
from generator.stages import Seal, require_seal
from watermark import (
    AudioDetection,
    AudioDetector,
    AudioMark,
    Detection,
    Detector,
    Mark,
    MediaLimits,
    open_media,
)

_SEAL: Final = Seal()
MAX_LOG10_P: Final = -6.0
"""A fresh file must prove its mark at 1e-6 at least; whoever copies it will take some of that away."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarkedMedia:
    """A file in the work folder from which the detector has read back the id of `mark`.

    `sound` is what was heard in its sound track, where that was marked; of a sound file, `mark` and
    `detection` are those of the sound.
    """

    path: Path
    mime: str
    mark: Mark | AudioMark
    detection: Detection | AudioDetection
    sound: AudioDetection | None = None
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        require_seal(seal, _SEAL, "MarkedMedia")


def confirm(encoded: Encoded, detector: Detector, limits: MediaLimits) -> MarkedMedia:
    """Decode the file at `encoded.path` and detect the marks. Raises `SelfCheckError` when they are not the
    ones put in."""
    media = open_media(encoded.path, limits)
    if encoded.frames not in (None, media.frame_count):
        raise SelfCheckError(f"the file holds {media.frame_count} frames; {encoded.frames} were written")
    detection = detector.detect(media.frames(exact=False))
    mark = encoded.mark
    found = detection.media_id == mark.media_id and detection.key_id == mark.key.key_id
    if not (detection.found and found and detection.log10_p <= MAX_LOG10_P):
        raise SelfCheckError(
            f"the mark {mark.media_id.hex} did not read back from the encoded file "
            f"(log10 p {detection.log10_p:.1f}); the picture is too plain or too small for it"
        )
    sound = _confirm_sound(encoded.path, encoded.sound, detector, limits) if encoded.sound else None
    return MarkedMedia(
        path=encoded.path, mime=media.mime, mark=mark, detection=detection, sound=sound, seal=_SEAL
    )


def confirm_sound(
    path: Path, mime: str, mark: AudioMark, detector: Detector, limits: MediaLimits
) -> MarkedMedia:
    """Decode the sound file at `path` and detect the mark. Raises `SelfCheckError`."""
    detection = _confirm_sound(path, mark, detector, limits)
    return MarkedMedia(path=path, mime=mime, mark=mark, detection=detection, sound=detection, seal=_SEAL)


def _confirm_sound(path: Path, mark: AudioMark, detector: Detector, limits: MediaLimits) -> AudioDetection:
    detection = heard(path, mark, AudioDetector(detector.rings), limits)
    if detection is None:
        raise SelfCheckError(f"the mark {mark.media_id.hex} did not read back from the encoded sound")
    return detection
