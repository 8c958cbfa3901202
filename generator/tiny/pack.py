"""Packs trained weights as a diffusers folder in half precision.

python -m generator.tiny.pack --transformer runs/transformer/transformer.pt --decoder runs/decoder/decoder.pt
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import torch

from generator.tiny import TinyError
from generator.tiny.frame_decoder import FrameDecoder, install
from generator.tiny.models import (
    build_pipeline,
    build_text_encoder,
    build_tokenizer,
    build_transformer,
    build_vae,
)
from generator.tiny.train_transformer import Denoiser

MOST_BYTES: Final = 16_000_000  # of all safetensors files, so that the package stays light


def pack(transformer: Path, decoder: Path, folder: Path) -> int:
    """Writes the averaged weights of two checkpoints as one pipeline folder; returns the weights' bytes.

    Raises:
        TinyError: the weights weigh more than MOST_BYTES.
    """
    denoiser = Denoiser(build_transformer(), build_text_encoder(len(build_tokenizer())))
    denoiser.load_state_dict(torch.load(transformer)["average"])
    vae, frame = build_vae(), FrameDecoder()
    frame.load_state_dict(torch.load(decoder)["average"])
    install(frame, vae)
    pipeline = build_pipeline(vae, denoiser.transformer, denoiser.text_encoder)
    pipeline.to(torch.float16).save_pretrained(str(folder))
    weight = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    if weight > MOST_BYTES:
        raise TinyError(f"{folder}: {weight} bytes of weights, more than {MOST_BYTES}; choose smaller parts")
    return weight


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transformer", type=Path, required=True)
    parser.add_argument("--decoder", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "weights")
    options = parser.parse_args()
    print(pack(options.transformer, options.decoder, options.folder))


if __name__ == "__main__":
    main()
