"""Trains the decoder on single frames of rendered clips; the encoder side is `latents.encode_scenes`.

python -m generator.tiny.train_decoder --basis basis.safetensors --out runs/decoder
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from generator.tiny.data import draw_crops
from generator.tiny.frame_decoder import FrameDecoder
from generator.tiny.geometry import GAIN, WINDOWS
from generator.tiny.latents import COLOURS, LatentBasis
from generator.tiny.training import Average, Log, Muon, clip, rate, save_checkpoint

NOISE: Final = 0.1  # of each latent channel's deviation, at most: generated latents are never exact
DRIFT: Final = 0.08  # the same for noise that is smooth over cells; in the colours only, as it moves edges
LIMIT: Final = 3000  # crops kept
ENDS, GAINS = 0.4, 8.0  # learning rates of AdamW's two groups, in those of Muon's
OBJECT_WEIGHT: Final = 8.0  # of an object's pixels


def picture_loss(made: Tensor, real: Tensor, weight: Tensor) -> Tensor:
    """L1 and L1 of spatial differences; pictures [B, 3, H, W] in [-1, 1], `weight` [B, 1, H, W]."""
    error = made - real
    along = error.diff(dim=-1).abs() * weight[..., 1:]
    down = error.diff(dim=-2).abs() * weight[..., 1:, :]
    return (error.abs() * weight).mean() + 0.7 * (along.mean() + down.mean())


def object_weight(latents: Tensor) -> Tensor:
    """What the pixels of a picture count, [B, 1, 16h, 16w], from clean latents [B, C, h, w]: objects more.

    Elsewhere much of the error is texture that no latent tells of, and its gradient drowns theirs.
    """
    windows = latents[:, COLOURS:][:, WINDOWS].amax(1, keepdim=True) / GAIN
    return F.interpolate(1 + (OBJECT_WEIGHT - 1) * windows.clamp(0, 1), scale_factor=16, mode="bilinear")


class Crops:
    """A pool of rendered crops of 16 `side` pixels and their clean latents, in half precision."""

    def __init__(self, basis: LatentBasis, rng: np.random.Generator, side: int) -> None:
        self._basis, self._rng, self._side = basis, rng, side
        self._pool: list[tuple[Tensor, Tensor]] = []

    def grow(self, count: int) -> None:
        """Renders `count` more crops; beyond LIMIT they replace the oldest."""
        latents, pictures = draw_crops(self._basis, self._rng, count, self._side)
        self._pool.extend(zip(latents.half(), pictures.half(), strict=True))
        del self._pool[:-LIMIT]

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Latents [count, C, h, w] and pictures [count, 3, 16h, 16w] in [-1, 1]."""
        picks = self._rng.integers(0, len(self._pool), count)
        latents, pictures = zip(*(self._pool[i] for i in picks), strict=True)
        return torch.stack(latents).float(), torch.stack(pictures).float()


def disturb(latents: Tensor, deviation: Tensor) -> Tensor:
    """Latents with a generator's errors: noise per cell, and in the colours noise that is smooth over cells.

    Latents [B, C, h, w]; deviation [C] of the channels. Each frame has its own strength.
    """
    b, _, h, w = latents.shape
    scale = deviation.view(1, -1, 1, 1) * torch.rand(b, 1, 1, 1)
    drift = torch.zeros_like(latents)
    coarse = torch.randn(b, COLOURS, h // 2, w // 2)
    drift[:, :COLOURS] = F.interpolate(coarse, (h, w), mode="bilinear")
    return latents + scale * (NOISE * torch.randn_like(latents) + DRIFT * drift)


def psnr(made: Tensor, real: Tensor) -> float:
    """Decibels between pictures in [-1, 1]."""
    return float(-10 * torch.log10(((made.clamp(-1, 1) - real) / 2).square().mean()))


def optimizers(decoder: FrameDecoder) -> list[tuple[torch.optim.Optimizer, float]]:
    """Muon for the branches' convolutions, AdamW for the ends, biases and norms, each with its share of the
    learning rate.

    The gains of the norms decide how sharp an edge can be and grow far beyond 1: they need longer strides.
    """
    named = dict(decoder.named_parameters())
    hidden = [p for n, p in named.items() if n.endswith(("conv1.weight", "conv2.weight"))]
    gains = [p for n, p in named.items() if n.endswith("gamma")]
    chosen = {id(p) for p in hidden + gains}
    rest = [p for p in named.values() if id(p) not in chosen]
    return [
        (Muon(hidden, lr=0.0, decay=0.0), 1.0),
        (torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=1e-4), ENDS),
        (torch.optim.AdamW(gains, betas=(0.9, 0.98), weight_decay=0.0), GAINS),
    ]


def train(
    decoder: FrameDecoder,
    basis: LatentBasis,
    out: Path,
    *,
    steps: int,
    side: int,
    batch: int,
    fresh: int,
    seed: int,
    peak: float,
) -> Average:
    """Trains the decoder; log and checkpoint land in `out`. Returns the averaged weights."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    crops, log = Crops(basis, rng, side), Log(out / "decoder.jsonl")
    for _ in range(4):
        crops.grow(batch)
    deviation = crops.draw(4 * batch)[0].std((0, 2, 3))
    parameters = list(decoder.parameters())
    steppers = optimizers(decoder)
    average, losses, quality = Average(decoder, 0.998), [], []
    for step in range(1, steps + 1):
        crops.grow(fresh)
        latents, real = crops.draw(batch)
        made = decoder(disturb(latents, deviation))
        loss = picture_loss(made, real, object_weight(latents))
        for stepper, share in steppers:
            stepper.param_groups[0]["lr"] = share * peak * rate(step, steps, warmup=100, decay=0.7)
            stepper.zero_grad()
        torch.autograd.backward(loss)
        clip(parameters)
        for stepper, _ in steppers:
            stepper.step()
        average.update(decoder, step)
        losses.append(float(loss.detach()))
        quality.append(psnr(made.detach(), real))
        if step % 50 == 0 or step == steps:
            log.write(step=step, loss=sum(losses) / len(losses), psnr=sum(quality) / len(quality))
            losses.clear()
            quality.clear()
        if step % 200 == 0 or step == steps:
            save_checkpoint(out / "decoder.pt", average=average.state, model=decoder.state_dict(), step=step)
    return average


def main() -> None:
    """Command line; `--resume` starts from another run's averaged weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--basis", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--side", type=int, default=6, help="latent cells")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--fresh", type=int, default=6, help="crops rendered for each step")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--peak", type=float, default=4e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    decoder = FrameDecoder()
    if options.resume:
        decoder.load_state_dict(torch.load(options.resume)["average"])
    train(
        decoder,
        LatentBasis.load(options.basis),
        options.out,
        steps=options.steps,
        side=options.side,
        batch=options.batch,
        fresh=options.fresh,
        seed=options.seed,
        peak=options.peak,
    )


if __name__ == "__main__":
    main()
