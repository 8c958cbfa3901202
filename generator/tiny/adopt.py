"""Carries a transformer over to another latent space, so that what it knows of words and scenes is kept.

    python -m generator.tiny.adopt --weights OLD/weights --basis OLD/basis.safetensors \\
        --new-basis basis.safetensors --out runs/start.pt

The old latents are the directions of whole pictures. Two linear maps between old and new columns, fitted on
rendered pictures, are multiplied into the first and the last layer; blocks in between are taken as they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from diffusers import WanTransformer3DModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import UMT5EncoderModel

from generator.tiny.data import draw_training_scene
from generator.tiny.latents import CELL, WHOLE, LatentBasis, encode_scenes
from generator.tiny.models import build_transformer
from generator.tiny.render import render
from generator.tiny.train_transformer import Denoiser

DROPPED: Final = 4  # the old block that is left out, from the middle, where neighbours are most alike
RIDGES: Final = (0.1, 0.01)  # of the two maps; the first also sees noise


def columns(latents: Tensor) -> Tensor:
    """[B, C, 1, h, w] -> [B * w, h * C + 1], rows before channels, and a constant."""
    flat = latents[:, :, 0].permute(0, 3, 2, 1).flatten(2).flatten(0, 1)
    return F.pad(flat, (0, 1), value=1.0)


def fit_map(source: Tensor, target: Tensor, ridge: float) -> Tensor:
    """Least squares [sources, targets] with ridge times the number of rows on the diagonal."""
    gram = (source.T @ source).double()
    gram += ridge * len(source) * torch.eye(len(gram), dtype=gram.dtype)
    solution: Tensor = torch.linalg.solve(gram, (source.T @ target).double()).float()
    return solution


@torch.no_grad()
def column_pairs(old: LatentBasis, new: LatentBasis, pictures: int, seed: int) -> tuple[Tensor, Tensor]:
    """The same columns of rendered pictures in both latent spaces."""
    rng, before, after = np.random.default_rng(seed), [], []
    for _ in range(pictures):
        scenes, moment = [draw_training_scene(rng)], torch.tensor([float(rng.uniform(0, 2))])
        before.append(columns(old.encode(render(scenes, moment, WHOLE.grid(CELL)))))
        after.append(columns(encode_scenes(new, scenes, moment, [WHOLE])))
    return torch.cat(before), torch.cat(after)


@torch.no_grad()
def adopt(weights: Path, old: LatentBasis, new: LatentBasis, pictures: int, seed: int) -> Denoiser:
    """A denoiser for the new latents from the pipeline folder `weights` of the old ones."""
    before, after = column_pairs(old, new, pictures, seed)
    inward = fit_map(after, before[:, :-1], RIDGES[0])
    outward = fit_map(before, after[:, :-1], RIDGES[1])
    transformer = build_transformer()
    state = load_file(str(weights / "transformer" / "diffusion_pytorch_model.safetensors"))
    state = {name: value.float() for name, value in state.items()}
    own = transformer.state_dict()
    for name in own:
        if name.startswith("blocks."):
            block = int(name.split(".")[1])
            own[name] = state[name.replace(f"blocks.{block}.", f"blocks.{block + (block >= DROPPED)}.", 1)]
        elif "patch_embedding" not in name and "proj_out" not in name:
            own[name] = state[name]
    transformer.load_state_dict(own)
    _replace_ends(transformer, state, inward, outward)
    return Denoiser(transformer, UMT5EncoderModel.from_pretrained(weights / "text_encoder").float())


def _replace_ends(
    transformer: WanTransformer3DModel, state: dict[str, Tensor], inward: Tensor, outward: Tensor
) -> None:
    first, last = transformer.patch_embedding, transformer.proj_out
    weight = state["patch_embedding.weight"][..., 0].squeeze(2).transpose(1, 2).flatten(1)  # [width, h * C]
    channels, rows = first.weight.shape[1], first.weight.shape[3]
    mapped = (inward[:-1] @ weight.T).T.view(len(weight), rows, channels)
    first.weight.copy_(mapped.transpose(1, 2)[:, :, None, :, None])
    first.bias.copy_(state["patch_embedding.bias"] + inward[-1] @ weight.T)
    last.weight.copy_((state["proj_out.weight"].T @ outward[:-1]).T)
    last.bias.copy_(state["proj_out.bias"] @ outward[:-1] + outward[-1])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--basis", type=Path, required=True)
    parser.add_argument("--new-basis", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--seed", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    old, new = LatentBasis.load(options.basis), LatentBasis.load(options.new_basis)
    adopted = adopt(options.weights, old, new, options.pictures, options.seed)
    torch.save({"average": adopted.state_dict()}, options.out)


if __name__ == "__main__":
    main()
