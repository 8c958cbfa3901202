"""How a decoder answers small changes of its latents: measured from outside, by decoding noise.

Around any latents z, decode(z + n) - decode(z) is n filtered by a short kernel, plus changes of texture that
depend on the content. The kernel is found by least squares over random probes, for every place of a pixel in
the square that one latent stands for (its polyphase components). Its Fourier transform is inverted by a
Wiener filter: which change of the latents gives a wanted change of the pixels. Only `decode` is called.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_unshuffle, unfold

from watermark.errors import EmbeddingError

Decode = Callable[[Tensor], Tensor]
"""Latents [B, C, h, w] to pictures [B, 3, H, W], or [B, C, F, h, w] to clips [B, 3, F', H, W], in [-1, 1]."""

_REACH = 1  # latents on each side: the kernel is 3 x 3
_NOISE = 0.25  # of the deviation of latents: the size of a probe
_RIDGE = 1e-3  # of the mean power of the probes
_VIDEO_FRAMES = 3  # latent frames of a probe of a video decoder


@dataclass(frozen=True)
class Response:
    """`kernel` float32 [3 scale^2, C, 3, 3]: change of the polyphase pixels per change of a latent and its
    neighbours. `explained` is the share of the answer to a probe that it foretells, 0 to 1.
    """

    kernel: Tensor
    scale: int
    explained: float

    @property
    def channels(self) -> int:
        """Of the latents."""
        return self.kernel.shape[1]

    def inverse(self, height: int, width: int, ridge: float) -> Inverse:
        """The inverse for latents of `height` x `width`. `ridge` (of the mean gain) quiets weak ways."""
        laid = torch.zeros(*self.kernel.shape[:2], height, width)
        for y in range(2 * _REACH + 1):
            for x in range(2 * _REACH + 1):
                laid[:, :, (_REACH - y) % height, (_REACH - x) % width] += self.kernel[:, :, y, x]
        answers = torch.fft.rfft2(laid).permute(2, 3, 0, 1)  # [h, w / 2 + 1, 3 s^2, C]
        gains = answers.mH @ answers
        mean = gains.diagonal(dim1=-2, dim2=-1).real.mean()
        factor: Tensor = torch.linalg.cholesky(gains + ridge * mean * torch.eye(self.channels))
        return Inverse(answers.mH, factor, self.scale)

    def save(self, path: Path) -> None:
        """Write as .npz."""
        np.savez(path, kernel=self.kernel.numpy(), scale=self.scale, explained=self.explained)

    @staticmethod
    def load(path: Path) -> Response:
        """Read what `save` wrote. Raises `EmbeddingError` for anything else."""
        try:
            with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                kernel = torch.from_numpy(stored["kernel"].astype(np.float32))
                response = Response(kernel, int(stored["scale"]), float(stored["explained"]))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, TypeError) as error:
            raise EmbeddingError(f"{path.name}: not a calibration ({error}); delete it") from error
        if kernel.ndim != 4 or len(kernel) != 3 * response.scale**2:
            raise EmbeddingError(f"{path.name}: a calibration of the wrong shape; delete it")
        return response


@dataclass(frozen=True)
class Inverse:
    """From a wanted change of pixels to one of latents, by Fourier transform."""

    adjoint: Tensor
    factor: Tensor
    scale: int

    def __call__(self, change: Tensor) -> Tensor:
        """[3, H, W] in pixels to [C, h, w] in latents."""
        planes = pixel_unshuffle(change[None], self.scale)[0]
        spectrum = torch.fft.rfft2(planes).permute(1, 2, 0)[..., None]
        solved = torch.cholesky_solve(self.adjoint @ spectrum, self.factor)[..., 0].permute(2, 0, 1)
        delta: Tensor = torch.fft.irfft2(solved, s=planes.shape[-2:])
        return delta


@torch.no_grad()
def calibrate(
    decode: Decode,
    channels: int,
    *,
    video: bool = False,
    deviation: float = 1.0,
    probes: int = 6,
    side: int = 48,
    seed: int = 0,
) -> Response:
    """Measure a decoder by `2 * probes` decodes of `side` x `side` latents.

    `channels` of its latents, which have `deviation`; `video` says that they have a time axis. Probes are
    then constant in time, and the answer is the mean over the frames, as the mark is. Raises `EmbeddingError`
    when `decode` gives something else than pictures of a whole multiple of the size.
    """
    random = torch.Generator().manual_seed(seed)
    shape = (1, channels, *((_VIDEO_FRAMES,) if video else ()), side, side)
    outer: Tensor | float = 0.0
    inner: Tensor | float = 0.0
    scale = 0
    for _ in range(probes):
        base = torch.randn(shape, generator=random) * deviation
        noise = torch.randn((1, channels, side, side), generator=random) * (_NOISE * deviation)
        spread = noise[:, :, None] if video else noise
        answer = (_decoded(decode, base + spread) - _decoded(decode, base - spread)) / 2
        scale = answer.shape[-1] // side
        if answer.shape[-2:] != (scale * side, scale * side) or not scale:
            raise EmbeddingError(f"decode made {list(answer.shape)} of {side} x {side} latents")
        seen = pixel_unshuffle(answer[None], scale)[0].flatten(1)
        patches = unfold(pad(noise, (_REACH,) * 4), 2 * _REACH + 1)[0]
        outer, inner = outer + seen @ patches.T, inner + patches @ patches.T
    if isinstance(inner, float) or isinstance(outer, float):
        raise EmbeddingError("a calibration needs at least one probe")
    ridge = _RIDGE * inner.diagonal().mean() * torch.eye(len(inner))
    kernel = torch.linalg.solve(inner + ridge, outer.T).T
    total, left = float((seen**2).sum()), float(((seen - kernel @ patches) ** 2).sum())
    size = 2 * _REACH + 1
    return Response(
        kernel.reshape(-1, channels, size, size).contiguous(), scale, 1 - left / max(total, 1e-30)
    )


def _decoded(decode: Decode, latents: Tensor) -> Tensor:
    """[3, H, W], the mean over frames, clipped as pictures are."""
    pictures = decode(latents)
    if pictures.ndim != latents.ndim or pictures.shape[1] != 3:
        raise EmbeddingError(f"decode made {list(pictures.shape)}; expected pictures in [-1, 1]")
    clipped = pictures.float().clamp(-1, 1)[0]
    return clipped.mean(1) if clipped.ndim == 4 else clipped


def decoder_digest(decoder: nn.Module) -> str:
    """SHA-256 of the weights, 64 hex digits: the name under which a calibration is kept."""
    digest = hashlib.sha256()
    for name, tensor in sorted(decoder.state_dict().items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
