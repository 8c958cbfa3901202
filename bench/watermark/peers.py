"""Published systems beside ours, at their own settings, when their packages are installed.

Most carry no error-correcting code with a check, so "recovered" means every bit right, and the p-value is the
binomial tail of the bits that agree. Clips are marked frame by frame and read by the mean over frames.
"""

import importlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bench.watermark.attacks import Frames, Kind
from bench.watermark.attacks.base import BOTH
from bench.watermark.errors import UnavailableError
from bench.watermark.metrics import log10_binomial_tail
from bench.watermark.systems import DETECTION_LOG10_P, Reading, System, Trial, secret, to_float, to_frames

IMAGE: frozenset[Kind] = frozenset({"image"})
READ_FRAMES = 8
"""Frames of a clip that a peer reads; all are marked."""
Bits = NDArray[np.uint8]


def message_bits(trial: Trial, count: int) -> Bits:
    """The trial's message for a system of `count` bits."""
    pool = b"".join(secret(f"peer {block}", 1000 * trial.key + trial.message) for block in range(8))
    return np.unpackbits(np.frombuffer(pool, np.uint8))[:count]


def judge(soft: Sequence[float] | NDArray[np.floating], truth: Bits, seconds: float) -> Reading:
    """Compare soft bits (above .5 is 1) with the message."""
    right = int(((np.asarray(soft) > 0.5) == truth).sum())
    log10_p = log10_binomial_tail(right, len(truth))
    recovered = right == len(truth) and log10_p <= DETECTION_LOG10_P
    return Reading(recovered, log10_p, "exact" if recovered else "none", seconds, right / len(truth))


class FramewisePeer:
    """Base of systems that mark and read single frames."""

    name: str
    bits: int
    kinds: frozenset[Kind] = IMAGE

    def mark_frame(self, frame: Frames, bits: Bits) -> Frames:
        """Marked [H, W, 3] frame."""
        raise NotImplementedError

    def read_frame(self, frame: Frames) -> NDArray[np.floating]:
        """Soft bits in [0, 1] of a [H, W, 3] frame."""
        raise NotImplementedError

    def embed(self, frames: Frames, trial: Trial) -> Frames:
        """Mark every frame with the trial's message."""
        bits = message_bits(trial, self.bits)
        return np.stack([self.mark_frame(frame, bits) for frame in frames])

    def detect(self, frames: Frames, trial: Trial) -> Reading:
        """Average the soft bits of up to `READ_FRAMES` frames."""
        start = time.perf_counter()
        chosen = frames[:: -(-len(frames) // READ_FRAMES)]
        soft = np.mean([self._read(frame) for frame in chosen], axis=0)
        return judge(soft, message_bits(trial, self.bits), time.perf_counter() - start)

    def _read(self, frame: Frames) -> NDArray[np.floating]:
        try:
            return self.read_frame(np.ascontiguousarray(frame))
        except (RuntimeError, ValueError, IndexError, AssertionError, ZeroDivisionError):
            return np.full(
                self.bits, 0.5
            )  # a peer that cannot read a small or cropped frame has read nothing


def _import(module: str, remedy: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnavailableError(f"{module} is not installed ({error}); {remedy}") from error


class InvisibleWatermark(FramewisePeer):
    """invisible-watermark (MIT), the mark of the Stable Diffusion scripts, by method; 32 bits."""

    bits = 32

    def __init__(self, method: str) -> None:
        remedy = "pip install invisible-watermark PyWavelets onnxruntime"
        library = _import("imwatermark", remedy)
        self.name, self._method = method, method
        self._encoder, self._decoder = library.WatermarkEncoder, library.WatermarkDecoder
        self.kinds = IMAGE if method == "rivaGan" else BOTH  # 5 s a frame on a CPU
        if method == "rivaGan":
            _import("onnxruntime", remedy)
            self._encoder.loadModel()

    def mark_frame(self, frame: Frames, bits: Bits) -> Frames:
        encoder = self._encoder()
        encoder.set_watermark("bits", [int(bit) for bit in bits])
        marked = encoder.encode(np.ascontiguousarray(frame[..., ::-1]), self._method)
        return np.ascontiguousarray(np.clip(marked, 0, 255).astype(np.uint8)[..., ::-1])

    def read_frame(self, frame: Frames) -> NDArray[np.floating]:
        decoded = self._decoder("bits", self.bits).decode(
            np.ascontiguousarray(frame[..., ::-1]), self._method
        )
        return np.asarray(decoded, np.float64)


class BlindWatermark(FramewisePeer):
    """blind-watermark (MIT), 32 bits; the reader is told the length, as it must be."""

    name = "blind-watermark"
    bits = 32

    def __init__(self) -> None:
        library = _import("blind_watermark", "pip install blind-watermark PyWavelets")
        library.bw_notes.close()
        self._make: Callable[[], Any] = lambda: library.WaterMark(password_wm=1, password_img=1)

    def mark_frame(self, frame: Frames, bits: Bits) -> Frames:
        marker = self._make()
        marker.read_img(img=np.ascontiguousarray(frame[..., ::-1]))
        marker.read_wm([bool(bit) for bit in bits], mode="bit")
        return np.ascontiguousarray(np.clip(np.rint(marker.embed()), 0, 255).astype(np.uint8)[..., ::-1])

    def read_frame(self, frame: Frames) -> NDArray[np.floating]:
        image = np.ascontiguousarray(frame[..., ::-1])
        return np.asarray(self._make().extract(embed_img=image, wm_shape=self.bits, mode="bit"), np.float64)


class Seal:
    """Video Seal or Pixel Seal (MIT), 256 bits, from a TorchScript file of the authors."""

    bits = 256
    kinds = BOTH

    def __init__(self, name: str, weights: Path | None) -> None:
        self.name = name
        path = None if weights is None else weights / f"{name}.jit"
        if path is None or not path.is_file():
            raise UnavailableError(
                f"{name} needs its TorchScript file as {name}.jit in the folder given with --weights "
                "(docs/torchscript.md of facebookresearch/videoseal says where to get it)"
            )
        self._model = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]

    @torch.inference_mode()
    def embed(self, frames: Frames, trial: Trial) -> Frames:
        """Mark with the model's own strength and frame step."""
        bits = torch.from_numpy(message_bits(trial, self.bits)[None].astype(np.float32))
        return to_frames(self._model.embed(to_float(frames), bits, len(frames) > 1).clamp(0, 1))

    @torch.inference_mode()
    def detect(self, frames: Frames, trial: Trial) -> Reading:
        """Average the logits of all frames."""
        start = time.perf_counter()
        logits = self._model.detect(to_float(frames), len(frames) > 1)[:, 1 : 1 + self.bits]
        soft = logits.flatten(2).mean((0, 2)) if logits.ndim > 2 else logits.mean(0)
        return judge((soft > 0).double().numpy(), message_bits(trial, self.bits), time.perf_counter() - start)


class TrustMark(FramewisePeer):
    """TrustMark Q (MIT), 61 bits behind a BCH code; the package fetches its weights at first use."""

    name = "trustmark"
    bits = 61

    def __init__(self) -> None:
        library = _import("trustmark", "pip install trustmark")
        self._model = library.TrustMark(verbose=False, model_type="Q")

    def mark_frame(self, frame: Frames, bits: Bits) -> Frames:
        marked = self._model.encode(Image.fromarray(frame), "".join(map(str, bits)), MODE="binary")
        return np.asarray(marked.convert("RGB"))

    def read_frame(self, frame: Frames) -> NDArray[np.floating]:
        text, present, _ = self._model.decode(Image.fromarray(frame), MODE="binary")
        return (
            np.array([int(bit) for bit in text[: self.bits]], np.float64)
            if present
            else np.full(self.bits, 0.5)
        )


def factories(weights: Path | None) -> dict[str, Callable[[], System]]:
    """Constructors by name; each raises `UnavailableError` where the package or weights are missing."""
    return {
        "dwtDct": lambda: InvisibleWatermark("dwtDct"),
        "dwtDctSvd": lambda: InvisibleWatermark("dwtDctSvd"),
        "rivaGan": lambda: InvisibleWatermark("rivaGan"),
        "blind-watermark": BlindWatermark,
        "videoseal": lambda: Seal("videoseal", weights),
        "pixelseal": lambda: Seal("pixelseal", weights),
        "trustmark": TrustMark,
    }


def add_folder(folder: Path) -> None:
    """Let peers be imported from `folder`, where `pip install --target` put them."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
