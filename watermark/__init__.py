"""A keyed, invisible mark for pictures and clips, with a false-positive bound that holds for every picture.

ring = KeyRing.derive(master, deployment="example.org")
mark = Mark(ring.draw(secrets.randbelow), MediaId.draw(secrets.token_bytes))
with marked_decode(pipe.vae, mark) as record:
    frames = pipe(prompt).frames
record.require()

Detector([ring]).detect(open_media(path).frames(exact=False))

What embeds needs torch, which takes seconds to load; it is loaded when first asked for, and never to detect.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from watermark.audio_detect import AudioDetection, AudioDetector
from watermark.audio_embed import AudioMark
from watermark.audio_files import Sound, has_sound, read_sound, write_sound
from watermark.detect import Band, Detection, Detector
from watermark.errors import (
    DetectionError,
    EmbeddingError,
    KeyRingError,
    MediaError,
    PayloadError,
    WatermarkError,
)
from watermark.frontend import Maps
from watermark.geometry import Geometry
from watermark.keys import FORMAT_VERSION, KeyRing, MarkKey
from watermark.limits import MediaLimits
from watermark.localise import locate, locate_in
from watermark.located import Box, Located, Span
from watermark.media import Media, MediaKind, open_media
from watermark.payload import MediaId
from watermark.timeline import Timeline, read_both
from watermark.writing import write_image, write_video

if TYPE_CHECKING:
    from watermark.embed import Mark
    from watermark.hook import DecodeRecord, marked_decode
    from watermark.mask import Strength

__all__ = [
    "FORMAT_VERSION",
    "AudioDetection",
    "AudioDetector",
    "AudioMark",
    "Band",
    "Box",
    "DecodeRecord",
    "Detection",
    "DetectionError",
    "Detector",
    "EmbeddingError",
    "Geometry",
    "KeyRing",
    "KeyRingError",
    "Located",
    "Maps",
    "Mark",
    "MarkKey",
    "Media",
    "MediaError",
    "MediaId",
    "MediaKind",
    "MediaLimits",
    "PayloadError",
    "Sound",
    "Span",
    "Strength",
    "Timeline",
    "WatermarkError",
    "has_sound",
    "locate",
    "locate_in",
    "marked_decode",
    "open_media",
    "read_both",
    "read_sound",
    "write_image",
    "write_sound",
    "write_video",
]

_WITH_TORCH = {
    "DecodeRecord": "watermark.hook",
    "Mark": "watermark.embed",
    "Strength": "watermark.mask",
    "marked_decode": "watermark.hook",
}


def __getattr__(name: str) -> object:
    """Loads what needs torch when it is first asked for (PEP 562)."""
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_WITH_TORCH[name]), name)
    globals()[name] = value
    return value
