"""Writing pictures and clips, atomically: a file under its final name is whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from PIL import Image

from watermark.clips import SWSCALE
from watermark.errors import MediaError
from watermark.priority import usual_priority

_BT709 = 1  # primaries, transfer and matrix all have code 1 (ITU-T H.273)
_MAX_FPS_DENOMINATOR = 1001
_THREADS = 4  # fixed: encoders write other bytes on more threads, and a file must come again on any machine
_STILL_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".avif": "AVIF"}


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    *,
    fps: float | Fraction,
    crf: int | None = 18,
    codec: str = "libx264",
    preset: str | None = "medium",
    pixels: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    tag: str = "",
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Encode `frames`, uint8 [H, W, 3], as they come, into MP4 or MOV by extension; returns how many were
    written.

    BT.709, limited range, index at the front. An odd side grows by one repeated row or column. `codec` is
    FFmpeg's name of an encoder, `pixels` of a pixel format, `options` are further ones of that encoder and
    `tag` is the four letters by which players know the stream; `crf` and `preset` None are not passed.
    Raises `MediaError` when there is no frame, when sizes change on the way, or when the encoder or disk
    fails.
    """
    stream_of_frames = iter(frames)
    first = next(stream_of_frames, None)
    if first is None:
        raise MediaError(f"{path.name}: there are no frames to write")
    with atomic(path) as part:
        try:
            movflags = {"movflags": "+faststart+use_metadata_tags"} if path.suffix in (".mp4", ".mov") else {}
            given = {"crf": crf, "preset": preset, **(options or {})}
            with av.open(str(part), "w", options=movflags) as container:
                container.metadata.update(metadata or {})
                told = {name: str(value) for name, value in given.items() if value is not None}
                stream = _add_stream(container, first, fps, codec, told)
                stream.pix_fmt = pixels
                if tag:
                    stream.codec_context.codec_tag = tag
                with usual_priority():
                    stream.codec_context.open(strict=False)
                return _encode(container, stream, chain([first], stream_of_frames), first.shape)
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(f"{path.name}: could not be written ({error})") from error


def write_image(path: Path, frame: NDArray[np.uint8], *, quality: int = 95) -> None:
    """Write uint8 [H, W, 3] as PNG, JPEG, WebP or AVIF by extension; `quality` is for all but the first."""
    kind = _STILL_FORMATS.get(path.suffix.lower())
    if kind is None:
        raise MediaError(f"{path.name}: pictures are written as .png, .jpg, .jpeg, .webp or .avif")
    with atomic(path) as part:
        try:
            Image.fromarray(frame).save(part, kind, quality=quality)
        except (OSError, ValueError, TypeError) as error:
            raise MediaError(f"{path.name}: could not be written ({error})") from error


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder that replaces `path` when all went well, and vanishes when not."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as error:
        raise MediaError(f"{path.name}: cannot write to {path.parent.name}/ ({error.strerror})") from error
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _add_stream(
    container: Any, first: NDArray[np.uint8], fps: float | Fraction, codec: str, options: dict[str, str]
) -> Any:
    stream = container.add_stream(
        codec, rate=Fraction(fps).limit_denominator(_MAX_FPS_DENOMINATOR), options=options
    )
    height, width = first.shape[:2]
    stream.width, stream.height = width + width % 2, height + height % 2
    context = stream.codec_context
    context.thread_type = "FRAME"  # slices, the default, cost 4 % in size
    context.thread_count = _THREADS
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = ColorRange.MPEG
    return stream


def _encode(container: Any, stream: Any, frames: Iterable[NDArray[np.uint8]], shape: tuple[int, ...]) -> int:
    count = 0
    for pixels in frames:
        if pixels.shape != shape:
            raise MediaError(
                f"frame {count} is {pixels.shape}, the first was {shape}; all must be of one size"
            )
        container.mux(stream.encode(_to_yuv(pixels, stream.pix_fmt)))
        count += 1
    container.mux(stream.encode())
    return count


def _to_yuv(pixels: NDArray[np.uint8], kind: str) -> av.VideoFrame:
    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    return frame.reformat(
        format=kind,
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=SWSCALE,
    )
