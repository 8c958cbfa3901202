"""The decoder that samples: LTX-2.5's small diffusion model that turns latents into pictures, put into the
VAE in place of its convolutional decoder.

diffusers runs it by hand, as a pipeline of its own behind one that ends with latents
(`LTX2VideoDiffusionDecodePipeline`). Inside the VAE it needs no such gap: the pipeline ends with pictures,
the mark goes in where it does for every other row, and the decoder that is replaced takes no memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from generator.errors import LoadError

_NOISE_SEED: Final = 0
"""The grain that it starts from is the same for every clip: pictures follow from the latents alone, so that a
clip made again on other hardware differs by rounding and not by grain."""


class SamplingDecoder(nn.Module):
    """What a VAE calls as its `decoder`, answered by a model that denoises pixels.

    `model` is an `LTX2VideoDiffusionDecoderModel`. It tiles by itself where its own `enable_tiling` was
    called, on the features in between and in noise that is drawn once, which the VAE's tiles cannot.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, latents: Tensor, temb: Tensor | None = None, causal: bool | None = None) -> Tensor:
        """Denormalized latents [B, C, T, h, w] -> pictures [B, 3, F, H, W] in about [-1, 1]."""
        noise = torch.Generator("cpu").manual_seed(_NOISE_SEED)
        pictures: Tensor = self.model.decode(latents, generator=noise, return_dict=False)[0]
        return pictures


def install_decoder(vae: Any, folder: Path, name: str, dtype: torch.dtype) -> None:
    """Load the decoder from `folder/name` and let `vae` decode with it.

    Raises `LoadError` when it is not there, or reads latents of another depth than the VAE has.
    """
    from diffusers import LTX2VideoDiffusionDecoderModel  # late: it takes seconds

    if not (folder / name / "config.json").is_file():
        raise LoadError(f"{folder}: no {name}/config.json there; this system decodes with it, so it must be")
    model = LTX2VideoDiffusionDecoderModel.from_pretrained(
        folder, subfolder=name, dtype=dtype, local_files_only=True, use_safetensors=True
    )
    has, reads = vae.config.latent_channels, model.config.latent_channels
    if has != reads:
        raise LoadError(f"{folder}: {name} reads {reads} latent channels, and the VAE has {has}")
    vae.decoder = SamplingDecoder(model.eval())
