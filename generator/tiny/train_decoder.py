"""Trains the decoder of the VAE on crops of rendered clips; the encoder side is the fixed basis of `latents`.

    python -m generator.tiny.train_decoder --basis basis.safetensors --out runs/decoder

Crops have 13 frames, so that the steady state of the decoder's frame caches is trained as well. The decoder
starts as a linear interpolation whose last layer is solved by least squares, and learns the rest.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from diffusers import AutoencoderKLWan
from torch import Tensor

from generator.tiny.data import draw_training_scene, full_crop
from generator.tiny.latents import STRIDE, LatentBasis, quarter
from generator.tiny.models import build_vae, decode_unclamped, load_decoder
from generator.tiny.start import fit_output, start_linear
from generator.tiny.training import Average, Log, clip, rate, save_checkpoint

CROP_FRAMES: Final = 13
NOISE: Final = 0.05  # of each latent channel's deviation, at most: generated latents are never exact
FIT_CROPS: Final = 24


def picture_loss(made: Tensor, real: Tensor) -> Tensor:
    """L1, L1 of spatial and temporal differences, and L1 of 8x8 averages; [B, 3, T, H, W] in [-1, 1]."""
    error = made - real
    loss = error.abs().mean() + 0.5 * (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean())
    if error.shape[2] > 1:
        loss = loss + 0.25 * error.diff(dim=2).abs().mean()
    return loss + 0.5 * F.avg_pool3d(error, (1, 8, 8)).abs().mean()


class Crops:
    """A pool of rendered crops and their clean latents."""

    def __init__(self, basis: LatentBasis, rng: np.random.Generator, side: int, limit: int = 600) -> None:
        self._basis, self._rng, self._side, self._limit = basis, rng, side, limit
        self._pool: list[tuple[Tensor, Tensor]] = []

    def fresh(self) -> tuple[Tensor, Tensor]:
        """A new crop: latents [1, C, 1 + k, h, w] and clip [1, 3, 1 + 4k, 16h, 16w] in [-1, 1]."""
        crop = full_crop(draw_training_scene(self._rng), self._rng, CROP_FRAMES, self._side)[None]
        pair = self._basis.encode(quarter(crop[:, ::STRIDE])), crop.transpose(1, 2) * 2 - 1
        self._pool = [*self._pool[-self._limit :], pair]
        return pair

    def draw(self, batch: int) -> tuple[Tensor, Tensor]:
        """A batch with one new crop, the others from before."""
        earlier = [
            self._pool[int(i)]
            for i in self._rng.integers(0, max(1, len(self._pool)), batch - 1)
            if self._pool
        ]
        latents, clips = zip(self.fresh(), *earlier, strict=True)
        return torch.cat(latents), torch.cat(clips)


def psnr(made: Tensor, real: Tensor) -> float:
    """Decibels between clips in [-1, 1]."""
    return float(-10 * torch.log10(((made.clamp(-1, 1) - real) / 2).square().mean()))


def train(
    vae: AutoencoderKLWan,
    basis: LatentBasis,
    out: Path,
    *,
    steps: int,
    side: int,
    batch: int,
    seed: int,
    peak: float,
    fit: bool,
) -> Average:
    """Trains `vae.decoder`; log and checkpoint land in `out`. Returns the averaged weights."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    crops, log = Crops(basis, rng, side), Log(out / "decoder.jsonl")
    if fit:
        fit_output(vae, [crops.fresh() for _ in range(FIT_CROPS)])
    parameters = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    stepper = torch.optim.AdamW(parameters, lr=peak, betas=(0.9, 0.99), weight_decay=1e-3)
    average, losses, quality = Average(vae, 0.998), [], []
    for step in range(1, steps + 1):
        latents, real = crops.draw(batch)
        spread = latents.std((2, 3, 4), keepdim=True)
        made = decode_unclamped(
            vae, latents + torch.randn_like(latents) * spread * NOISE * float(rng.random())
        )
        loss = picture_loss(made, real)
        for group in stepper.param_groups:
            group["lr"] = peak * rate(step, steps, warmup=100, decay=0.6)
        stepper.zero_grad()
        torch.autograd.backward(loss)
        clip(parameters)
        stepper.step()
        average.update(vae, step)
        losses.append(float(loss.detach()))
        quality.append(psnr(made[:1].detach(), real[:1]))
        if step % 25 == 0 or step == steps:
            log.write(step=step, loss=sum(losses) / len(losses), psnr=sum(quality) / max(1, len(quality)))
            losses.clear()
            quality.clear()
        if step % 100 == 0 or step == steps:
            save_checkpoint(out / "decoder.pt", average=average.state, model=vae.state_dict(), step=step)
    return average


def main() -> None:
    """Command line; `--resume` starts from another run's averaged weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--basis", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--side", type=int, default=80, help="pixels; a multiple of 16")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--peak", type=float, default=5e-4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    vae = build_vae()
    start_linear(vae)
    if options.resume:
        load_decoder(vae, torch.load(options.resume)["average"])
    basis = LatentBasis.load(options.basis)
    train(
        vae,
        basis,
        options.out,
        steps=options.steps,
        side=options.side,
        batch=options.batch,
        seed=options.seed,
        peak=options.peak,
        fit=options.resume is None,
    )


if __name__ == "__main__":
    main()
