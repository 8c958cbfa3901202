"""Trains the transformer and the text encoder: first on single latent frames, then on clips.

    python -m generator.tiny.train_transformer --basis basis.safetensors --out runs/transformer

A latent frame is a picture on its own (see `latents`), so most steps are spent on pictures, which cost a
seventh of a clip. Flow matching with prediction of the clean latents and the velocity's weight (Li and He,
"Back to Basics: Let Denoising Generative Models Denoise", 2025).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

from generator.tiny.captions import write_caption
from generator.tiny.data import draw_training_scene, latent_times
from generator.tiny.geometry import EDGES
from generator.tiny.latents import CHANNELS, COLOURS, WHOLE, LatentBasis, encode_scenes
from generator.tiny.models import TEXT_TOKENS, UNKNOWN, build_text_encoder, build_tokenizer, build_transformer
from generator.tiny.scene import Attributes
from generator.tiny.training import Average, Log, Muon, clip, rate, save_checkpoint

SHIFT: Final = 5.0  # of the noise levels towards more noise: smooth fields show through much noise
FIRST_OBJECT: Final = COLOURS + EDGES  # channels from here hold objects, which fill few cells
OBJECT_WEIGHT: Final = 3.0  # of their errors
LEAST_NOISE: Final = 0.1  # the weight 1 / noise^2 stops growing here
EMPTY_CHANCE: Final = 0.1  # captions dropped, for guidance
PREFILL: Final = 16  # batches rendered before a stage begins
UNKNOWN_CHANCE: Final = 0.02  # words replaced by <unk>


@dataclass(frozen=True)
class Stage:
    """`steps` steps of `batch` clips of `frames` latent frames, `fresh` of them rendered for each step."""

    frames: int
    steps: int
    batch: int
    fresh: int

    @staticmethod
    def parse(text: str) -> Stage:
        """'frames:steps:batch:fresh'."""
        return Stage(*(int(part) for part in text.split(":")))


class Denoiser(nn.Module):
    """The transformer and the text encoder, as one module to train."""

    def __init__(self, transformer: WanTransformer3DModel, text_encoder: UMT5EncoderModel) -> None:
        super().__init__()
        self.transformer = transformer
        self.text_encoder = text_encoder

    def forward(self, noisy: Tensor, noise: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Clean latents [B, C, T, h, w] from noisy ones at noise levels [B] in (0, 1]."""
        text = self.text_encoder(ids, mask).last_hidden_state * mask.unsqueeze(-1)
        clean: Tensor = self.transformer(noisy, noise * 1000, text, return_dict=False)[0]
        return clean


class Pool:
    """Latents rendered so far: each clip is seen a few times, with new captions and noise."""

    def __init__(self, basis: LatentBasis, rng: np.random.Generator, frames: int, limit: int = 6000) -> None:
        self._basis, self._rng, self._frames, self._limit = basis, rng, frames, limit
        self._latents: list[Tensor] = []
        self._seen: list[Attributes] = []

    def grow(self, count: int) -> None:
        """Renders `count` more clips; beyond the limit they replace the oldest."""
        scenes = [draw_training_scene(self._rng) for _ in range(count)]
        latents = encode_scenes(self._basis, scenes, latent_times(self._frames), [WHOLE] * count)
        self._latents.extend(latents.to(torch.float16).unbind(0))
        self._seen.extend(scene.attributes for scene in scenes)
        del self._latents[: -self._limit], self._seen[: -self._limit]

    def draw(self, count: int) -> tuple[Tensor, list[str]]:
        """Latents [count, C, T, h, w] and captions."""
        picks = self._rng.integers(0, len(self._latents), count)
        captions = [write_caption(self._seen[i], self._rng) for i in picks]
        return torch.stack([self._latents[i] for i in picks]).float(), captions


def tokenize(
    tokenizer: PreTrainedTokenizerFast, captions: list[str], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Ids and mask [B, TEXT_TOKENS], some captions emptied and some words unknown."""
    texts = []
    for caption in captions:
        words = [UNKNOWN if rng.random() < UNKNOWN_CHANCE else word for word in caption.split(" ")]
        texts.append("" if rng.random() < EMPTY_CHANCE else " ".join(words))
    tokens = tokenizer(
        texts, padding="max_length", max_length=TEXT_TOKENS, truncation=True, return_tensors="pt"
    )
    return tokens.input_ids, tokens.attention_mask


def flow_loss(model: Denoiser, clean: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error of the clean latents over noise^2: the velocity's error."""
    u = torch.sigmoid(torch.randn(clean.shape[0]) * 1.2)
    noise = SHIFT * u / (1 + (SHIFT - 1) * u)
    level = noise.view(-1, 1, 1, 1, 1)
    noisy = (1 - level) * clean + level * torch.randn_like(clean)
    error = (model(noisy, noise, ids, mask) - clean) ** 2
    weighted: Tensor = error / level.clamp(min=LEAST_NOISE) ** 2
    objects = weighted[:, FIRST_OBJECT:].mean() * (CHANNELS - FIRST_OBJECT) / CHANNELS
    return weighted.mean() + (OBJECT_WEIGHT - 1) * objects


def optimizers(model: Denoiser, peak: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the transformer's blocks, AdamW for everything else."""
    matrices = [p for n, p in model.transformer.blocks.named_parameters() if p.ndim == 2 and "table" not in n]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        Muon(matrices, lr=peak * 1.5),
        torch.optim.AdamW(rest, lr=peak, betas=(0.9, 0.98), weight_decay=0.01),
    ]


def train(
    model: Denoiser, stages: list[Stage], basis: LatentBasis, out: Path, *, seed: int, peak: float
) -> Average:
    """Runs the stages one after the other; log and checkpoint land in `out`. Returns the averaged weights."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    tokenizer, log = build_tokenizer(), Log(out / "transformer.jsonl")
    steppers, average = optimizers(model, peak), Average(model, 0.998)
    bases = [[group["lr"] for group in stepper.param_groups] for stepper in steppers]
    total, step = sum(stage.steps for stage in stages), 0
    for stage in stages:
        pool, losses = Pool(basis, rng, stage.frames), []
        for _ in range(PREFILL):
            pool.grow(max(2, stage.batch))
        for _ in range(stage.steps):
            pool.grow(stage.fresh)
            clean, captions = pool.draw(stage.batch)
            ids, mask = tokenize(tokenizer, captions, rng)
            loss = flow_loss(model, clean, ids, mask)
            for stepper, peaks in zip(steppers, bases, strict=True):
                stepper.zero_grad()
                for group, top in zip(stepper.param_groups, peaks, strict=True):
                    group["lr"] = top * rate(step, total, warmup=60, decay=0.45)
            torch.autograd.backward(loss)
            norm = clip(model.parameters())
            for stepper in steppers:
                stepper.step()
            average.update(model, step)
            step += 1
            losses.append(float(loss.detach()))
            if step % 20 == 0 or step == total:
                log.write(step=step, frames=stage.frames, loss=sum(losses) / len(losses), norm=norm)
                losses.clear()
            if step % 100 == 0 or step == total:
                save_checkpoint(
                    out / "transformer.pt", average=average.state, model=model.state_dict(), step=step
                )
    return average


def main() -> None:
    """Command line; `--resume` starts from another run's weights (not from its optimizer)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--basis", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stages", nargs="+", default=["1:1400:16:3", "3:400:8:2", "7:380:4:1"])
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--peak", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model = Denoiser(build_transformer(), build_text_encoder(len(build_tokenizer())))
    if options.resume:
        model.load_state_dict(torch.load(options.resume)["average"])
    stages = [Stage.parse(text) for text in options.stages]
    train(model, stages, LatentBasis.load(options.basis), options.out, seed=options.seed, peak=options.peak)


if __name__ == "__main__":
    main()
