"""Fits the latent basis on rendered pictures: seconds on one core, the same result from the same seed.

python -m generator.tiny.fit_basis basis.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from generator.tiny.data import HEIGHT, WIDTH, draw_training_scene
from generator.tiny.latents import LatentBasis, quarter
from generator.tiny.render import Grid, render


@torch.no_grad()
def fit_basis(pictures: int, seed: int) -> LatentBasis:
    """The basis of `pictures` rendered pictures at full size, one second into their scenes."""
    rng = np.random.default_rng(seed)
    grid, moment = Grid.full(HEIGHT, WIDTH), torch.tensor([1.0])
    small = [quarter(render([draw_training_scene(rng)], moment, grid))[:, 0] for _ in range(pictures)]
    return LatentBasis.fit(torch.cat(small))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--seed", type=int, default=77)
    options = parser.parse_args()
    fit_basis(options.pictures, options.seed).save(options.target)


if __name__ == "__main__":
    main()
