"""A small autoencoder for the latent space of FLUX.2 (madebyollin/taesd, MIT), as its weights want it.

diffusers' `AutoencoderTiny` has no normalised blocks, so the modules are written out; names follow the files.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

LATENT_CHANNELS = 32
SCALE = 8
_WIDTH = 64


class _Clamp(nn.Module):
    """Soft limit of latents at +-3."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


class _Block(nn.Module):
    """Three convolutions around a skip; `pooled` adds a branch with groups normalised over the picture."""

    def __init__(self, *, pooled: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(_conv(), nn.ReLU(), _conv(), nn.ReLU(), _conv())
        wide = 4 * _WIDTH
        self.pool = (
            nn.Sequential(
                nn.Conv2d(_WIDTH, wide, 1, bias=False),
                nn.GroupNorm(4, wide),
                nn.ReLU(),
                nn.Conv2d(wide, _WIDTH, 1, bias=False),
            )
            if pooled
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


def _conv(inputs: int = _WIDTH, outputs: int = _WIDTH, *, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, stride=stride, bias=bias)


def _blocks(count: int, *, pooled: bool = False) -> list[nn.Module]:
    return [_Block(pooled=pooled) for _ in range(count)]


def build_decoder() -> nn.Sequential:
    """Latents [B, 32, h, w] to pictures [B, 3, 8h, 8w], about [0, 1]."""
    up: list[nn.Module] = []
    for pooled in (True, False, False):
        up += [*_blocks(3, pooled=pooled), nn.Upsample(scale_factor=2), _conv(bias=False)]
    return nn.Sequential(_Clamp(), _conv(LATENT_CHANNELS), nn.ReLU(), *up, *_blocks(1), _conv(_WIDTH, 3))


def build_encoder() -> nn.Sequential:
    """Pictures [B, 3, H, W] in [0, 1] to latents [B, 32, H / 8, W / 8]."""
    down: list[nn.Module] = []
    for pooled in (False, False, True):
        down += [_conv(stride=2, bias=False), *_blocks(3, pooled=pooled)]
    return nn.Sequential(_conv(3), *_blocks(1), *down, _conv(_WIDTH, LATENT_CHANNELS))


class Taef2(nn.Module):
    """`encode` and `decode` in the convention of diffusers: pictures in [-1, 1]."""

    def __init__(self, encoder: nn.Sequential, decoder: nn.Sequential, digest: str) -> None:
        super().__init__()
        self.encoder, self.decoder, self.digest = encoder, decoder, digest

    @staticmethod
    def load(folder: Path) -> Taef2:
        """From `taef2_encoder.pth` and `taef2_decoder.pth`; tensors only. Raises `FileNotFoundError`."""
        parts, digest = [], hashlib.sha256()
        for name, module in (("encoder", build_encoder()), ("decoder", build_decoder())):
            path = folder / f"taef2_{name}.pth"
            state = torch.load(path, map_location="cpu", weights_only=True)
            module.load_state_dict({key: value.float() for key, value in state.items()})
            digest.update(path.read_bytes())
            parts.append(module.eval().requires_grad_(requires_grad=False))
        return Taef2(parts[0], parts[1], digest.hexdigest())

    def encode(self, pictures: Tensor) -> Tensor:
        """[B, 3, H, W] in [-1, 1] to latents [B, 32, H / 8, W / 8]."""
        latents: Tensor = self.encoder(pictures * 0.5 + 0.5)
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Latents to [B, 3, 8h, 8w], about [-1, 1]."""
        pictures: Tensor = self.decoder(latents)
        return pictures * 2 - 1
