"""A keyed, invisible mark for pictures and clips, with a false-positive bound that holds for every picture.

ring = KeyRing.derive(master, deployment="example.org")
mark = Mark(ring.draw(secrets.randbelow), MediaId.draw(secrets.token_bytes))
with marked_decode(pipe.vae, mark) as record:
    frames = pipe(prompt).frames
record.require()

Detector([ring]).detect(open_media(path).frames())
"""

from watermark.audio_detect import AudioDetection, AudioDetector
from watermark.audio_embed import AudioMark
from watermark.audio_files import Sound, has_sound, read_sound, write_sound
from watermark.detect import Band, Detection, Detector
from watermark.embed import Mark
from watermark.errors import (
    DetectionError,
    EmbeddingError,
    KeyRingError,
    MediaError,
    PayloadError,
    WatermarkError,
)
from watermark.geometry import Geometry
from watermark.hook import DecodeRecord, marked_decode
from watermark.keys import FORMAT_VERSION, KeyRing, MarkKey
from watermark.limits import MediaLimits
from watermark.localise import locate
from watermark.located import Box, Located, Span
from watermark.mask import Strength
from watermark.media import Media, MediaKind, open_media
from watermark.payload import MediaId
from watermark.writing import write_image, write_video

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
    "WatermarkError",
    "has_sound",
    "locate",
    "marked_decode",
    "open_media",
    "read_sound",
    "write_image",
    "write_sound",
    "write_video",
]
