"""Putting the mark into latents, so that what is decoded from them carries it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from watermark.embed import Mark
from watermark.errors import EmbeddingError
from watermark.latent.response import Decode, Response

RIDGE = 0.02  # of the mean gain; measured: more quiets the weak chroma directions that the mark needs
FORWARD_SHARES = (0.4, 1.15)  # luma and Cb of the late embedder's pattern: most decoders pay luma in texture
CORRECTED_SHARES = (1.0, 1.3)  # corrections spare the texture, and luma outlives codecs (measured)
RATE = 0.02  # deviations of latents: Adam's step at the start, falling to nothing as half a cosine
_BETAS = (0.8, 0.95)  # twenty steps have no time for longer memories
_LARGEST_GAIN = 1.25  # of the pattern: smooth pictures could bear more by PSNR than by eye
_SCALINGS = 4  # decodes spent at most on meeting the PSNR
_AIM = 0.05  # dB above it
_NEAR = 1.02  # of the amplitude: closer to it is not worth a decode


@dataclass(frozen=True)
class LatentMark:
    """Marked `latents`; `psnr` in dB of their decode against the plain one, `gain` of the pattern in it (1 is
    the late embedder's), `cosine` between the change and the pattern, and what it cost in `decodes` and
    `gradients`, the plain decode included.
    """

    latents: Tensor
    psnr: float
    gain: float
    cosine: float
    decodes: int
    gradients: int


@dataclass(frozen=True)
class LatentEmbedder:
    """Marks latents of one decoder, whose measured `response` it inverts; they have this `deviation`."""

    response: Response
    deviation: float = 1.0

    @staticmethod
    def cached(
        folder: Path, digest: str, measure: Callable[[], Response], *, deviation: float = 1.0
    ) -> LatentEmbedder:
        """The embedder whose calibration is kept in `folder` under the digest of the weights, measured now if
        it is not.
        """
        path = folder / f"response-{digest}.npz"
        if path.exists():
            return LatentEmbedder(Response.load(path), deviation)
        response = measure()
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        response.save(part)
        part.replace(path)
        return LatentEmbedder(response, deviation)

    def apply(
        self, latents: Tensor, mark: Mark, decode: Decode, *, psnr: float = 40.0, corrections: int = 0
    ) -> LatentMark:
        """Marked copies of `latents`, [1, C, h, w] or [1, C, F, h, w]; same dtype and device.

        Their decode differs from the plain one by at least `psnr` dB. `corrections` steps through the decoder
        bring it closer to the pattern; each costs a decode and a gradient, and needs autograd. Raises
        `EmbeddingError` for latents of another decoder, and when no change meets the PSNR.
        """
        self._check(latents)
        shares = CORRECTED_SHARES if corrections else FORWARD_SHARES
        work = _Work.start(latents.float(), mark, decode, psnr, shares)
        height, width = latents.shape[-2:]
        inverse = self.response.inverse(height, width, RIDGE)
        delta = _spread(inverse(work.mean_target()), latents.ndim)
        if corrections:
            delta = _corrected(work, delta, corrections, RATE * self.deviation)
        return work.scaled(delta, latents.dtype, gradients=corrections)

    def _check(self, latents: Tensor) -> None:
        if latents.ndim not in (4, 5) or len(latents) != 1 or latents.shape[1] != self.response.channels:
            raise EmbeddingError(
                f"latents must be [1, {self.response.channels}, (F,) h, w], got {list(latents.shape)}"
            )


def _spread(delta: Tensor, dimensions: int) -> Tensor:
    """[C, h, w] as a change of every latent frame."""
    return delta[None, :, None] if dimensions == 5 else delta[None]


@dataclass(frozen=True)
class _Work:
    """Latents with their plain decode `plain` in [-1, 1] and the change wanted of it, [1, 3, (F,) H, W]."""

    latents: Tensor
    plain: Tensor
    target: Tensor
    decode: Decode
    psnr: float

    @staticmethod
    @torch.no_grad()
    def start(latents: Tensor, mark: Mark, decode: Decode, psnr: float, shares: tuple[float, float]) -> _Work:
        plain = decode(latents).float().clamp(-1, 1)
        frames = plain[0].transpose(0, 1) if plain.ndim == 5 else plain
        stronger = replace(mark, strength=replace(mark.strength, psnr_floor=psnr))
        change = _weighed(stronger.apply_to_decoded(frames, clip=len(frames) > 1) - frames, *shares)
        target = change.transpose(0, 1)[None] if plain.ndim == 5 else change
        return _Work(latents, plain, target, decode, psnr)

    def mean_target(self) -> Tensor:
        """[3, H, W]: the same for all frames."""
        return self.target[0].mean(1) if self.target.ndim == 5 else self.target[0]

    def change(self, delta: Tensor) -> Tensor:
        return self.decode(self.latents + delta).float().clamp(-1, 1) - self.plain

    @torch.no_grad()
    def scaled(self, delta: Tensor, dtype: torch.dtype, *, gradients: int) -> LatentMark:
        """As strong as PSNR and eye allow. Answers are not quite proportional, so it takes a few decodes."""
        decodes, found, best = 1 + gradients, 0.0, None
        for _ in range(_SCALINGS):
            marked = (self.latents + delta).to(dtype)
            change = self.change(marked.float() - self.latents)
            decodes += 1
            found = _psnr(change)
            gain = float((change * self.target).sum() / (self.target**2).sum())
            room = min(10 ** ((found - self.psnr - _AIM) / 20), _LARGEST_GAIN / max(gain, 1e-3))
            if found >= self.psnr:
                best = LatentMark(marked, found, gain, _cosine(change, self.target), decodes, gradients)
                if room < _NEAR:
                    break
            delta = delta * room
        if best is None:
            raise EmbeddingError(f"the decode changes by {found:.2f} dB, {self.psnr:g} were asked for")
        return best


def _corrected(work: _Work, delta: Tensor, steps: int, rate: float) -> Tensor:
    """Adam (Kingma and Ba, 2015) on the squared distance between the change and the pattern."""
    moving = (delta * 0.7).expand_as(work.latents).clone().requires_grad_()
    optimiser = torch.optim.Adam([moving], lr=rate, betas=_BETAS)
    scale = float((work.target**2).sum())
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = rate * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        with torch.enable_grad():
            distance = (work.change(moving) - work.target).square().sum() / scale
            if not distance.requires_grad:
                raise EmbeddingError("corrections need a decode that autograd can follow; ask for none")
            (moving.grad,) = torch.autograd.grad(distance, [moving])
        optimiser.step()
    return moving.detach()


def _weighed(change: Tensor, luma_share: float, blue_share: float) -> Tensor:
    """The pattern, [F, 3, H, W], with these shares of its channels (BT.601)."""
    luma = 0.299 * change[:, :1] + 0.587 * change[:, 1:2] + 0.114 * change[:, 2:]
    blue = (change[:, 2:] - luma) * (blue_share / 1.772)
    luma = luma * luma_share
    return torch.cat([luma, luma - 0.344136 * blue, luma + 1.772 * blue], dim=1)


def _psnr(change: Tensor) -> float:
    """dB of a change of pictures in [-1, 1]: the worst frame's, both pictures rounded to 8 bits."""
    axes = (1, 3, 4) if change.ndim == 5 else (1, 2, 3)
    power = float((change / 2).square().mean(axes).max()) + 2 / 12 / 255**2
    return -10 * math.log10(power)


def _cosine(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum() / (a.norm() * b.norm() + 1e-30))
