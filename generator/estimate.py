"""What a job will take, before it is accepted: memory of the device and time.

Memory is weights at the loaded precision, activations that grow with the latent tokens of the denoiser, and
the decoder's, which grow with the pixels that it holds at a time. The activation terms are estimates with a
margin, not measurements; the time comes from what this very system took before, per step and pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch

from generator.errors import RequestError
from generator.load import System
from generator.request import Request
from generator.systems import SystemSpec

_SPATIAL: Final = 16
"""Pixels along one side of a latent token: 8 of the decoder times a patch of 2, as nearly all systems
have.
"""
_TEMPORAL: Final = 4
_TOKEN_BYTES: Final = 48
"""Bytes per token and channel of the denoiser that live at once: attention, its input and the feed-forward
part.
"""
_DECODED_BYTES: Final = 24
"""Bytes of the decoder per pixel of one frame and base channel."""
_MARGIN: Final = 1.15
"""Fragmentation and the allocator's own share."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes of device memory for `weights`, denoiser and decoder; the last two do not meet."""

    weights: int
    denoiser: int
    decoder: int

    @property
    def peak(self) -> int:
        """The most that is held at once, with a margin."""
        return round((self.weights + max(self.denoiser, self.decoder)) * _MARGIN)


@dataclass(frozen=True, slots=True)
class Pace:
    """What a run took: seconds over steps, frames and pixels. The next one takes as much for each."""

    seconds_per_unit: float

    @staticmethod
    def of(request: Request, seconds: float) -> Pace:
        """From a finished run of a completed request."""
        return Pace(seconds / _units(request))

    def seconds(self, request: Request) -> float:
        """What a completed request will take."""
        return self.seconds_per_unit * _units(request)


def needs(system: System, request: Request) -> Needs:
    """Estimate of the memory that `request`, completed, takes on the device of `system`."""
    width, height, frames = request.width or 0, request.height or 0, request.frames or 1
    modules = [m for m in system.pipeline.components.values() if isinstance(m, torch.nn.Module)]
    weights = [sum(p.numel() * p.element_size() for p in module.parameters()) for module in modules]
    tokens = width * height * (1 + (frames - 1) // _TEMPORAL) // _SPATIAL**2
    channels = max((_width_of(module) for module in modules), default=0)
    decoder_channels = max((_base_of(module) for module in modules), default=0)
    at_once = min(frames, 4 * _TEMPORAL)  # decoders of clips work through time in blocks
    return Needs(
        max(weights, default=0) if system.offload else sum(weights),
        tokens * channels * _TOKEN_BYTES,
        width * height * (at_once * decoder_channels * _DECODED_BYTES // 4 + 12 * frames),
    )


def require_fit(found: Needs, free: int | None, spec: SystemSpec, request: Request) -> None:
    """Raise `RequestError` when `found` does not fit into `free` bytes (None: nobody knows)."""
    if free is not None and found.peak > free:
        raise RequestError(
            f"size: {request.width}x{request.height}, {request.frames or 1} frames need about "
            f"{found.peak / 2**30:.1f} GiB on {spec.name}; {free / 2**30:.1f} GiB are there; "
            "ask for less or shorter"
        )


def device_memory(system: System) -> int | None:
    """Bytes of the system's device that are free, or held by this process, whose weights are there; None on a
    CPU, which swaps and does not refuse."""
    if system.device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(system.device)
    return int(free + torch.cuda.memory_reserved(system.device))


def _units(request: Request) -> float:
    pixels = (request.width or 0) * (request.height or 0) * (request.frames or 1)
    return float(pixels) * (request.steps or 1)


def _width_of(module: Any) -> int:
    """Channels inside a denoiser, from its configuration; 0 for anything else."""
    config = _config(module)
    heads, size = config.get("num_attention_heads"), config.get("attention_head_dim")
    if isinstance(heads, int) and isinstance(size, int):
        return heads * size
    blocks = config.get("block_out_channels")
    return max(blocks) if blocks and "cross_attention_dim" in config else 0


def _config(module: Any) -> Mapping[str, Any]:
    """The configuration of a diffusers model; empty for text encoders, whose share is their weights."""
    config = getattr(module, "config", None)
    return config if isinstance(config, Mapping) else {}


def _base_of(module: Any) -> int:
    """Channels of a decoder at full resolution, from its configuration; 0 for anything else."""
    if not callable(getattr(module, "decode", None)):
        return 0
    config = _config(module)
    blocks = config.get("block_out_channels") or ()
    return int(config.get("base_dim") or config.get("decoder_base_dim") or min(blocks, default=0))
