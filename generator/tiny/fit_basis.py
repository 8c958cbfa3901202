"""Fits the latent basis on rendered pictures: seconds on one core, the same result from the same seed.

python -m generator.tiny.fit_basis basis.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from generator.tiny.data import draw_training_scene
from generator.tiny.latents import CELL, WHOLE, LatentBasis
from generator.tiny.render import render


@torch.no_grad()
def fit_basis(pictures: int, seed: int) -> LatentBasis:
    """The basis of `pictures` quarter-size pictures without objects, one second into their scenes."""
    rng, moment = np.random.default_rng(seed), torch.tensor([1.0])
    scenes = [draw_training_scene(rng) for _ in range(pictures)]
    small = [render([scene], moment, WHOLE.grid(CELL), objects=False)[:, 0] for scene in scenes]
    return LatentBasis.fit(torch.cat(small))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--pictures", type=int, default=240)
    parser.add_argument("--seed", type=int, default=77)
    options = parser.parse_args()
    fit_basis(options.pictures, options.seed).save(options.target)


if __name__ == "__main__":
    main()
