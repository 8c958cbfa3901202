"""From marked pixels to a file in the work folder, for pictures that were made here and for files made
elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import InitVar, dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from generator.codecs import write_clip
from generator.errors import MarkingError
from generator.remux import has_timing, with_timing_and_audio
from generator.request import Codec, MediaFormat, MediaKind
from generator.sample import to_bytes
from generator.screen import ScreenedFrames
from generator.sound import marked_track
from generator.stages import CancelRequested, Progress, Seal, require_seal, stop_if
from watermark import (
    AudioDetector,
    AudioMark,
    Mark,
    Media,
    MediaLimits,
    Sound,
    write_image,
)

_SEAL: Final = Seal()
IMAGE_QUALITY: Final = 95
_BATCH: Final = 8
"""Frames marked at a time: memory stays flat in the length of a clip."""

NOTICE: Final = "Made with AI. Provenance: C2PA manifest and invisible mark."
"""Plain words in the container's comment, for people and tools that read neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A file whose pixels were marked before encoding, and its sound where `sound` says so; nobody has
    looked yet whether the marks survived it."""

    path: Path
    format: MediaFormat
    mark: Mark
    frames: int | None = None
    sound: AudioMark | None = None
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        require_seal(seal, _SEAL, "Encoded")


def encode(screened: ScreenedFrames, folder: Path) -> Encoded:
    """Write the frames as the request's format. Raises `MediaError` when the encoder or the disk fails."""
    request, marked = screened.marked.allowed.request, screened.marked
    wanted = request.format or MediaFormat.MP4
    path = folder / f"encoded{wanted.suffix}"
    count, sound = 1, marked.sound
    if wanted.kind is MediaKind.VIDEO:
        fps, labels = request.fps or 24, _labels(request.title)
        silent = path.with_stem("silent") if sound else path
        codec = request.codec or Codec.H264
        count = write_clip(silent, marked.pixels, fps=fps, codec=codec, metadata=labels)
        if sound:
            with_timing_and_audio(silent, silent, path, sound.sound, labels)
            silent.unlink()
    else:
        write_image(path, marked.pixels[0], quality=IMAGE_QUALITY)
    heard = sound.mark if sound else None
    return Encoded(path=path, format=wanted, mark=marked.mark, frames=count, sound=heard, seal=_SEAL)


def encode_copy(
    media: Media,
    mark: Mark,
    folder: Path,
    wanted: MediaFormat,
    *,
    device: torch.device,
    listener: AudioDetector,
    limits: MediaLimits,
    progress: Progress,
    cancelled: CancelRequested,
) -> Encoded:
    """A marked copy of a file made elsewhere, streamed: memory does not grow with the number of pictures.

    A clip keeps the time of every frame and its sound, marked where it holds a mark. Raises `MarkingError`
    when it cannot, `EmbeddingError` when a frame cannot hold the mark, `MediaError` when the file breaks off.
    """
    path = folder / f"encoded{wanted.suffix}"
    if wanted.kind is not MediaKind(media.kind):
        raise MarkingError(f"{media.path.name} is {media.kind}; it cannot become {wanted}")
    frames = _marked(media, mark, device, progress, cancelled)
    heard: tuple[Sound, AudioMark] | None = None
    if wanted.kind is MediaKind.IMAGE:
        write_image(path, next(frames), quality=IMAGE_QUALITY)
    elif has_timing(media.path):
        silent = path.with_stem("silent")
        write_clip(silent, frames, fps=media.fps)
        heard = marked_track(media.path, mark.key, mark.media_id, listener, limits)
        with_timing_and_audio(silent, media.path, path, heard[0] if heard else None)
        silent.unlink()
    else:
        write_clip(path, frames, fps=media.fps)
    return Encoded(path=path, format=wanted, mark=mark, sound=heard[1] if heard else None, seal=_SEAL)


def _marked(
    media: Media, mark: Mark, device: torch.device, progress: Progress, cancelled: CancelRequested
) -> Iterator[NDArray[np.uint8]]:
    done, is_clip = 0, MediaKind(media.kind) is MediaKind.VIDEO
    frames = media.frames()
    while batch := list(islice(frames, _BATCH)):
        stop_if(cancelled)
        unit = torch.from_numpy(np.stack(batch)).to(device).permute(0, 3, 1, 2).float() / 255
        yield from to_bytes(mark.apply(unit, clip=is_clip))
        done += len(batch)
        progress("mark", min(1.0, done / max(done, media.frame_count)))


def _labels(title: str) -> Mapping[str, str]:
    return {"comment": NOTICE} | ({"title": title} if title else {})
