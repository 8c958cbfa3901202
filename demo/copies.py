"""What the public does to a clip before a trust-and-safety team sees it again: copies, cuts, forgeries."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.watermark.attacks import SCREEN_CAPTURE, CropRestore, Frames
from watermark import Media, MediaLimits, open_media, write_image, write_video

Copy = Callable[[Path, Path], Path]
"""(signed clip, folder) -> the copy."""

UPLOAD_CRF = 23  # what upload sites commonly use


def read(path: Path) -> tuple[Media, Frames]:
    """Open a clip or picture and decode all of it, uint8 [F, H, W, 3]."""
    media = open_media(path, MediaLimits())
    return media, np.stack(list(media.frames()))


def reencoded(clip: Path, folder: Path) -> Path:
    """Decode and encode again at H.264 CRF 28; the manifest is gone."""
    media, frames = read(clip)
    return _clip(folder / "reencoded.mp4", frames, media.fps, crf=28)


def cropped(clip: Path, folder: Path) -> Path:
    """Cut to 60 % of each side at a random place, scale back to full size, encode again."""
    media, frames = read(clip)
    return _clip(folder / "cropped.mp4", CropRestore(0.6).apply(frames, seed=7), media.fps)


def screen_captured(clip: Path, folder: Path) -> Path:
    """Film the screen: keystone, tone curve, moire, blur, sensor noise, then encode again."""
    media, frames = read(clip)
    return _clip(folder / "screen-capture.mp4", SCREEN_CAPTURE.apply(frames, seed=7), media.fps)


def one_jpeg_frame(clip: Path, folder: Path) -> Path:
    """Keep a single frame as JPEG, quality 80."""
    _, frames = read(clip)
    path = folder / "one-frame.jpg"
    write_image(path, frames[len(frames) // 2], quality=80)
    return path


def flipped_byte(clip: Path, folder: Path) -> Path:
    """Invert one byte in the middle of the media data; manifest and mark stay in place."""
    data = bytearray(clip.read_bytes())
    start = data.rindex(b"mdat")
    data[start + (len(data) - start) // 2] ^= 0xFF
    path = folder / "flipped-byte.mp4"
    path.write_bytes(data)
    return path


def transplanted(original: Path, marked: Path, foreign: Path, path: Path) -> Path:
    """Lift the mark off one picture (marked minus original) and paste it on another."""
    pattern = _pixels(marked).astype(np.int16) - _pixels(original)
    host = np.array(Image.open(foreign).convert("RGB").resize((pattern.shape[1], pattern.shape[0])))
    write_image(path, np.clip(host + pattern, 0, 255).astype(np.uint8))
    return path


def difference(original: Path, marked: Path, gain: int = 20) -> NDArray[np.uint8]:
    """(marked - original) x `gain` around mid grey, uint8 [H, W, 3]: what the eye is not shown."""
    change = _pixels(marked).astype(np.int16) - _pixels(original)
    shown: NDArray[np.uint8] = np.clip(128 + gain * change, 0, 255).astype(np.uint8)
    return shown


def _pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"), np.uint8)


def _clip(path: Path, frames: Frames, fps: float, *, crf: int = UPLOAD_CRF) -> Path:
    write_video(path, iter(frames), fps=fps, crf=crf)
    return path
