"""Marks in latents against marks in pixels, at the same PSNR, through the same attacks.

`python -m bench.latent --vae FOLDER --media FOLDER --out FILE [--corrections 0 20] [--only NAME]`.
FOLDER holds `taef2_encoder.pth` and `taef2_decoder.pth`. Pictures are cut to 512 x 512, encoded, and marked
in three ways: the late embedder on the decode, the latent one forward only, and with corrections through the
decoder. PSNR is that of the marked decode against the plain one. Every trial is one line of FILE; a run that
is stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from bench.latent.taef2 import LATENT_CHANNELS, Taef2
from bench.watermark import attacks as a
from bench.watermark.attacks import Attack, Frames
from bench.watermark.media import Medium, find_media
from bench.watermark.metrics import psnr
from bench.watermark.systems import media_id_of, ring_of, to_frames
from watermark import Detector, Mark, Strength
from watermark.latent import LatentEmbedder, Response, calibrate

PSNR = 40.0
KEY, MESSAGE = 0, 0
STILLS: tuple[Attack, ...] = (
    a.Identity(),
    a.Reencode("h264", 23),
    a.Reencode("h264", 28),
    a.Jpeg(40),
    a.Webp(50),
    a.Resize(0.32),
    a.Crop(0.55),
    a.HorizontalFlip(),
    a.Blur(17),
    a.Median(5),
    a.Noise(0.05),
    a.Brightness(0.5),
    a.Brightness(1.5),
    a.Contrast(1.5),
    a.Saturation(0.5),
    a.Hue(0.1),
    a.Gamma(2.0),
    a.TextOverlay(),
    a.Erase(0.25),
    a.Rotate(10.0),
)
CLIPS: tuple[Attack, ...] = (a.Identity(), a.Reencode("h264", 23), a.Reencode("h264", 28))


def to_pictures(decoded: Tensor) -> Frames:
    """[F, 3, H, W] in [-1, 1] as uint8 [F, H, W, 3]."""
    return to_frames(decoded.clamp(-1, 1) / 2 + 0.5)


def one_by_one(call: Any, batch: Tensor) -> Tensor:
    """A module on a batch, one picture in memory at a time."""
    return torch.cat([call(one) for one in torch.split(batch, 1)])


def marked_ways(
    vae: Taef2, embedder: LatentEmbedder, frames: Frames, corrections: Iterable[int]
) -> Iterator[tuple[str, Frames, Frames, dict[str, float]]]:
    """(way, plain, marked, what it cost) for each way of marking one medium."""
    pixels = torch.from_numpy(frames.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        latents = one_by_one(vae.encode, pixels)
        start = time.process_time()
        decoded = one_by_one(vae.decode, latents)
        once = time.process_time() - start
    plain, is_clip = to_pictures(decoded), len(frames) > 1
    mark = Mark(ring_of(KEY).subkey(0), media_id_of(MESSAGE), Strength(psnr_floor=PSNR))
    yield "late", plain, to_pictures(mark.apply_to_decoded(decoded, clip=is_clip)), {}
    for steps in corrections:
        start = time.process_time()
        done = [
            embedder.apply(one, mark, vae.decode, psnr=PSNR, corrections=steps)
            for one in torch.split(latents, 1)
        ]
        cost = (time.process_time() - start) / once
        with torch.no_grad():
            marked = one_by_one(vae.decode, torch.cat([each.latents for each in done]))
        facts = {
            "cosine": float(np.mean([each.cosine for each in done])),
            "gain": float(np.mean([each.gain for each in done])),
            "decodes": float(np.mean([each.decodes for each in done])),
            "cost": cost,
        }
        yield f"latent {steps}", plain, to_pictures(marked), facts


def trials(
    medium: Medium, ways: Iterable[tuple[str, Frames, Frames, dict[str, float]]]
) -> Iterator[dict[str, Any]]:
    """One row per way and attack."""
    detector = Detector([ring_of(KEY)])
    for way, plain, marked, facts in ways:
        for attack in CLIPS if len(marked) > 1 else STILLS:
            found = detector.detect(attack.apply(marked, seed=1))
            right = found.media_id == media_id_of(MESSAGE)
            row = {"medium": medium.name, "clip": len(marked) > 1, "way": way, "attack": attack.name}
            quality = min(psnr(p[None], m[None]) for p, m in zip(plain, marked, strict=True))
            yield {**row, "right": right, "log10_p": found.log10_p, "psnr": round(quality, 2), **facts}


def measured(vae: Taef2) -> tuple[Response, float]:
    """A calibration, and the CPU seconds that it took."""
    start = time.process_time()
    response = calibrate(vae.decode, LATENT_CHANNELS)
    return response, time.process_time() - start


def table(rows: list[dict[str, Any]]) -> Table:
    """Recovered and weakest log10 p by attack and way."""
    ways = sorted({row["way"] for row in rows}, key=lambda way: (way != "late", len(way), way))
    out = Table("attack", *ways)
    cells: dict[tuple[bool, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        cells[row["clip"], row["attack"], row["way"]].append(row)
    for clip, attack in dict.fromkeys((row["clip"], row["attack"]) for row in rows):
        line = []
        for way in ways:
            here = cells[clip, attack, way]
            right = [row["log10_p"] for row in here if row["right"]]
            line.append(f"{len(right)} of {len(here)} ({np.median(right) if right else math.nan:.0f})")
        out.add_row(("clip: " if clip else "") + attack, *line)
    for fact in ("psnr", "cosine", "gain", "decodes", "cost"):
        values = [[row[fact] for row in rows if row["way"] == way and fact in row] for way in ways]
        out.add_row(fact, *(f"{min(v) if fact == 'psnr' else np.mean(v):.2f}" if v else "" for v in values))
    return out


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.latent", description=__doc__)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--media", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--corrections", type=int, nargs="+", default=[0, 20])
    parser.add_argument("--frames", type=int, default=8, help="of each clip")
    parser.add_argument("--height", type=int, default=480, help="of each clip")
    parser.add_argument("--only", nargs="*", help="media by name")
    args = parser.parse_args(argv)
    vae = Taef2.load(args.vae)
    seconds: list[float] = []

    def measure() -> Response:
        response, taken = measured(vae)
        seconds.append(taken)
        return response

    embedder = LatentEmbedder.cached(args.out.parent, vae.digest, measure)
    rows = [json.loads(line) for line in args.out.read_text().splitlines()] if args.out.exists() else []
    done = {row["medium"] for row in rows}
    media = find_media(args.media, side=512, frames=args.frames, height=args.height)
    left = [m for m in media if m.name not in done and (not args.only or m.name in args.only)]
    for medium in track(left, "media", console=Console(stderr=True)):
        fresh = list(trials(medium, partial(marked_ways, vae, embedder)(medium.load(), args.corrections)))
        with args.out.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in fresh)
        rows += fresh
    Console().print(table(rows))
    if seconds:
        Console().print(f"calibration {seconds[0]:.1f} s CPU, explains {embedder.response.explained:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
