"""Unmarked clips of the embedded generator, for tables that should hold on generated media too.

`python -m bench.watermark.generated --out FOLDER`, then `python -m bench.watermark --media FOLDER`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from rich.progress import track

from bench.watermark.attacks import ENCODERS, encode
from bench.watermark.systems import to_frames
from generator.convolutions import quicken
from generator.tiny import load_settings, weights_folder
from generator.tiny.evaluate import generate

SCENES = {
    "generated-balloon": "a red balloon over a blue sea at dusk",
    "generated-boat": "a white boat on a calm sea at noon",
    "generated-hills": "green hills in fog at dawn, birds",
}
FRAMES = 49


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the clips")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = DiffusionPipeline.from_pretrained(str(weights_folder()), dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    quicken(pipeline.vae)
    settings = replace(load_settings(), frames=FRAMES)
    for seed, (name, prompt) in enumerate(track(SCENES.items(), description="clips")):
        frames = to_frames(generate(pipeline, prompt, settings, seed))
        lossless = encode(frames, ENCODERS["h264rgb"], fps=settings.fps, crf="0")
        (folder / f"{name}.mp4").write_bytes(lossless)


if __name__ == "__main__":
    main()
