"""Unmarked clips of the embedded generator, for tables that should hold on generated media too.

`python -m bench.watermark.generated --out FOLDER`, then `python -m bench.watermark --media FOLDER`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import torch
from diffusers import DiffusionPipeline
from rich.progress import track

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
        clip = generate(pipeline, prompt, settings, seed)
        frames = (clip.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
        write_lossless(folder / f"{name}.mp4", frames, settings.fps)


def write_lossless(path: Path, frames: np.ndarray, fps: int) -> None:
    """A clip, uint8 [F, H, W, 3], as H.264 from which every pixel comes back as it was."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=fps, options={"crf": "0", "preset": "veryfast"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "rgb24"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
