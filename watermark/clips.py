"""Clips through PyAV, read as a stream and written atomically."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from watermark.errors import MediaError
from watermark.limits import MediaLimits

# Without these two flags swscale rounds down, and every pass darkens the picture by half a grey level or
# more.
SWSCALE = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_ROUGH = Interpolation.BILINEAR
_ROUGHLY_READ = frozenset({"yuv420p", "yuvj420p"})  # others lose more of a mark, or save no time
_AHEAD = 3  # frames decoded before they are asked for
_HD_LINES = 720  # untagged video is taken for BT.709 from here, for BT.601 below, as players do
_KNOWN_MATRICES = {
    int(c) for c in (Colorspace.ITU709, Colorspace.ITU601, Colorspace.SMPTE240M, Colorspace.BT2020, 6)
}


@dataclass(frozen=True)
class ClipFacts:
    """`frames` and `seconds` as the container declares them, or estimated from one another; 0 if it tells
    neither.
    """

    width: int
    height: int
    fps: float
    frames: int
    seconds: float


def probe(path: Path) -> ClipFacts:
    """Open the clip and decode its first frame, whose size is the one that counts."""
    _check_boxes(path)
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(path, container)
            fps = float(stream.average_rate or stream.guessed_rate or 0)
            seconds = _seconds(container, stream)
            first = next(container.decode(stream), None)
            if first is None:
                raise MediaError(f"{path.name}: the clip has no frames")
            height, width = (
                (first.height, first.width) if first.rotation % 180 == 0 else (first.width, first.height)
            )
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise MediaError(f"{path.name}: the clip is broken or incomplete ({error})") from error
    frames = stream.frames or round(seconds * fps)
    return ClipFacts(width, height, fps, frames, seconds or (frames / fps if fps else 0.0))


def read(
    path: Path, limits: MediaLimits, stride: int = 1, *, exact: bool = True
) -> Iterator[NDArray[np.uint8]]:
    """Every `stride`-th frame, uint8 [H, W, 3], upright, full range; see `Media.frames` for `exact`.

    Decoded in a thread of its own, a few frames ahead of whoever looks at them: decoding and conversion take
    as long as detection, and neither holds the interpreter.
    """
    frames = _decoded(path, limits, stride, exact=exact)
    with ThreadPoolExecutor(1) as thread:
        coming = deque(thread.submit(next, frames, None) for _ in range(_AHEAD))
        while (frame := coming.popleft().result()) is not None:
            coming.append(thread.submit(next, frames, None))
            yield frame


def _decoded(path: Path, limits: MediaLimits, stride: int, *, exact: bool) -> Iterator[NDArray[np.uint8]]:
    reformatter = VideoReformatter()  # one for all frames: to set it up takes half as long as to convert one
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(path, container)
            stream.thread_type = "AUTO"
            for index, frame in enumerate(container.decode(stream)):
                if index >= limits.max_frames:
                    raise MediaError(f"{path.name}: more frames than the limit of {limits.max_frames}")
                if frame.width * frame.height > limits.max_pixels:
                    raise MediaError(
                        f"{path.name}: a frame has more pixels than the limit of {limits.max_pixels}"
                    )
                if index % stride == 0:
                    yield _to_rgb(frame, reformatter, exact=exact)
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise MediaError(f"{path.name}: the clip breaks off or cannot be decoded ({error})") from error


def _to_rgb(frame: av.VideoFrame, reformatter: VideoReformatter, *, exact: bool) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] of a decoded frame, by its own matrix and range, turned as its display matrix says."""
    untagged = Colorspace.ITU709 if frame.height >= _HD_LINES else Colorspace.ITU601
    matrix = frame.colorspace if int(frame.colorspace) in _KNOWN_MATRICES else untagged
    is_full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith(
        ("yuvj", "rgb", "gbr", "bgr")
    )
    converted = reformatter.reformat(
        frame,
        format="rgb24",
        src_colorspace=matrix,
        src_color_range=ColorRange.JPEG if is_full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=SWSCALE if exact or frame.format.name not in _ROUGHLY_READ else _ROUGH,
    )
    pixels = np.asarray(converted.to_ndarray(), np.uint8)
    return np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90)) if frame.rotation else pixels


def _video_stream(path: Path, container: Any) -> Any:
    if not container.streams.video:
        raise MediaError(f"{path.name}: there is no video in the file")
    return container.streams.video[0]


def _seconds(container: Any, stream: Any) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return float(container.duration) / av.time_base if container.duration else 0.0


def _check_boxes(path: Path) -> None:
    """Raise if a top-level box of an ISO base media file (ISO/IEC 14496-12, 4.2) reaches beyond the end of
    the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at + 8 <= size:
            file.seek(at)
            header = file.read(16)
            if not header[4:8].isalnum() and not header[4:8].strip().isalnum():
                return  # not a box: Matroska, or trailing bytes that players skip
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length == 0:
                return  # to the end of the file
            if length < 8 or at + length > size:
                raise MediaError(f"{path.name}: the clip is incomplete, it breaks off inside a box")
            at += length
