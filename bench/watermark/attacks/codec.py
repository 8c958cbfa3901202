"""Video and animation codecs, in memory, through PyAV and Pillow."""

import io
import os
from dataclasses import dataclass
from typing import Any, ClassVar

import av
import numpy as np
from PIL import Image

from bench.watermark.attacks.base import VIDEO, Attack, Attacked, Frames, InPlace, Kind
from bench.watermark.errors import AttackError
from watermark.priority import usual_priority

FPS = 24
"""Frame rate given to every encoder, as in Video Seal's own evaluation."""


@dataclass(frozen=True)
class Encoder:
    """How one codec is asked for in PyAV."""

    codec: str
    container: str
    pixels: str = "yuv420p"
    options: tuple[tuple[str, str], ...] = ()


QUIET_X265 = ("x265-params", "log-level=none")
ENCODERS = {
    "h264": Encoder("libx264", "mp4"),
    "h264rgb": Encoder("libx264rgb", "mp4", "rgb24"),
    "h265": Encoder("libx265", "mp4", options=(QUIET_X265,)),
    "h265 10bit": Encoder("libx265", "mp4", "yuv420p10le", (QUIET_X265,)),
    "vp9": Encoder("libvpx-vp9", "webm", options=(("deadline", "realtime"), ("cpu-used", "6"), ("b", "0"))),
    "av1": Encoder("libsvtav1", "mp4", options=(("preset", "8"),)),
}
"""Presets are the encoders' own, save VP9 and AV1, whose defaults cost minutes a clip."""


def encode(frames: Frames, encoder: Encoder, *, fps: int = FPS, **settings: str) -> bytes:
    """Encode frames; an odd last row or column is dropped, for 4:2:0 cannot hold it."""
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes its banner to stderr otherwise
    height, width = frames.shape[1] // 2 * 2, frames.shape[2] // 2 * 2
    if not height or not width:
        raise AttackError(f"a video needs at least 2x2 pixels, got {frames.shape[2]}x{frames.shape[1]}")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=encoder.container) as container:
        options = dict(encoder.options) | settings
        stream: Any = container.add_stream(encoder.codec, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, encoder.pixels
        with usual_priority():
            stream.codec_context.open(strict=False)
        for frame in frames:
            pixels = np.ascontiguousarray(frame[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def decode(data: bytes) -> Frames:
    """Decode every frame of an encoded file as uint8 [F, H, W, 3]."""
    with av.open(io.BytesIO(data)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@dataclass(frozen=True)
class Reencode(InPlace):
    """Encode with `codec` (a key of `ENCODERS`) at constant quality `crf`, decode again."""

    label: ClassVar[str] = ""
    codec: str
    crf: int

    @property
    def name(self) -> str:
        return f"{self.codec} crf {self.crf}"

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        return decode(encode(frames, ENCODERS[self.codec], crf=str(self.crf)))


@dataclass(frozen=True)
class Bitrate(InPlace):
    """H.264 at an average bit rate of `megabits` per second."""

    label: ClassVar[str] = "h264 mbit"
    kinds: ClassVar[frozenset[Kind]] = VIDEO
    megabits: float

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        rate = str(round(self.megabits * 1e6))
        return decode(encode(frames, ENCODERS["h264"], b=rate, maxrate=rate, bufsize=rate))


@dataclass(frozen=True)
class Animation(Attack):
    """An animated GIF (256 colours, dithered) or WebP (quality 75)."""

    label: ClassVar[str] = "animated"
    kinds: ClassVar[frozenset[Kind]] = VIDEO
    codec: str

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        buffer = io.BytesIO()
        first, *rest = [Image.fromarray(frame) for frame in frames]
        first.save(
            buffer, self.codec.upper(), save_all=True, append_images=rest, duration=1000 // FPS, loop=0
        )
        with Image.open(buffer) as image:
            out = [_seek(image, index) for index in range(getattr(image, "n_frames", 1))]
        return Attacked(np.stack(out), np.eye(3))


def _seek(image: Image.Image, index: int) -> Frames:
    image.seek(index)
    return np.asarray(image.convert("RGB"))
