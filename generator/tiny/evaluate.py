"""Measures whether text matters: a classifier learns on rendered clips and judges generated ones.

    python -m generator.tiny.evaluate --report report.json --sheet sheet.png

The prompts describe combinations of time, surface, palette, weather and relief that the generator never
trained on. The classifier never sees a generated clip; its accuracy on fresh rendered clips is reported too.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor, nn

from generator.tiny import TinySettings, load_settings, weights_folder
from generator.tiny.captions import write_caption
from generator.tiny.data import is_held_out
from generator.tiny.render import Grid, render
from generator.tiny.scene import (
    BALLOONS,
    BODIES,
    PALETTES,
    RELIEFS,
    SURFACES,
    TIMES,
    WEATHERS,
    Attributes,
    draw_attributes,
    draw_scene,
)

HEADS: Final[dict[str, tuple[str | bool, ...]]] = {
    "time": TIMES,
    "surface": SURFACES,
    "palette": PALETTES,
    "weather": WEATHERS,
    "relief": RELIEFS,
    "body": BODIES,
    "balloon": BALLOONS,
    "boat": (False, True),
    "birds": (False, True),
}
SMALL: Final = (60, 104)  # pixels the classifier sees
JUDGED_FRAMES: Final = 3  # per clip, evenly spread; their scores are added


class Judge(nn.Module):
    """A small convolutional classifier with one head per attribute; pictures [N, 3, 60, 104] in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 48, 72, 96)
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GroupNorm(6, b), nn.SiLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2))
        self.heads = nn.ModuleDict(
            {name: nn.Linear(96 * 4 * 7, len(values)) for name, values in HEADS.items()}
        )

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Scores [N, values] per attribute."""
        features = self.body(pictures * 2 - 1)
        return {name: head(features) for name, head in self.heads.items()}


def labels(seen: list[Attributes]) -> dict[str, Tensor]:
    """The index of each attribute's value [N]."""
    return {
        name: torch.tensor([values.index(getattr(a, name)) for a in seen]) for name, values in HEADS.items()
    }


@torch.no_grad()
def rendered_pictures(count: int, seed: int) -> tuple[Tensor, list[Attributes]]:
    """Fresh rendered pictures [count, 3, 60, 104] at moments of their own, and what they show."""
    rng = np.random.default_rng(seed)
    scenes = [draw_scene(rng) for _ in range(count)]
    pictures = []
    for start in range(0, count, 16):
        moment = torch.tensor([float(rng.uniform(0, 2))])
        grid = Grid.full(2 * SMALL[0], 2 * SMALL[1])
        pictures.append(F.avg_pool2d(render(scenes[start : start + 16], moment, grid)[:, 0], 2))
    return torch.cat(pictures), [scene.attributes for scene in scenes]


def _disturb(pictures: Tensor) -> Tensor:
    """Blur and noise, so that the judge looks at content and not at sharpness."""
    soft = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    mixed = torch.lerp(pictures, soft, torch.rand(len(pictures), 1, 1, 1))
    return mixed + torch.randn_like(mixed) * 0.02


def train_judge(count: int, epochs: int, seed: int) -> Judge:
    """A judge trained on `count` rendered pictures."""
    torch.manual_seed(seed)
    pictures, seen = rendered_pictures(count, seed)
    wanted, judge = labels(seen), Judge()
    steps = epochs * (count // 32)
    stepper = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.05)
    curve = torch.optim.lr_scheduler.OneCycleLR(stepper, 2e-3, total_steps=max(1, steps))
    for _ in range(steps):
        picks = torch.randint(count, (32,))
        scores = judge(_disturb(pictures[picks]))
        loss = torch.stack([F.cross_entropy(scores[name], wanted[name][picks]) for name in HEADS]).sum()
        stepper.zero_grad()
        torch.autograd.backward(loss)
        stepper.step()
        curve.step()
    return judge.eval()


@torch.no_grad()
def accuracy(judge: Judge, pictures: Tensor, seen: list[Attributes]) -> dict[str, float]:
    """Share of right answers per attribute; pictures [N, 3, 60, 104] or clips [N, frames, 3, 60, 104]."""
    clips = pictures if pictures.ndim == 5 else pictures[:, None]
    scores = judge(clips.flatten(0, 1))
    wanted = labels(seen)
    right = {}
    for name in HEADS:
        answer = scores[name].log_softmax(-1).view(*clips.shape[:2], -1).sum(1).argmax(-1)
        right[name] = float((answer == wanted[name]).float().mean())
    return right


def held_out_scenes(count: int, seed: int) -> list[Attributes]:
    """`count` different scenes, objects included, of combinations that the generator did not train on."""
    rng, chosen = np.random.default_rng(seed), dict[Attributes, None]()
    while len(chosen) < count:
        seen = draw_attributes(rng)
        if is_held_out(seen):
            chosen[seen] = None
    return list(chosen)


@dataclass(frozen=True)
class Outcome:
    """What the evaluation measured."""

    clips: int
    rendered: dict[str, float]
    generated: dict[str, float]
    all_four: float
    seconds_per_clip: float


def generate(pipeline: DiffusionPipeline, prompt: str, settings: TinySettings, seed: int) -> Tensor:
    """One clip [frames, 3, H, W] in [0, 1]."""
    made = pipeline(
        prompt=prompt,
        height=settings.height,
        width=settings.width,
        num_frames=settings.frames,
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance,
        max_sequence_length=settings.max_sequence_length,
        generator=torch.Generator().manual_seed(seed),
        output_type="pt",
    )
    clip: Tensor = made.frames[0]
    return clip.float()


def _judged(clip: Tensor) -> Tensor:
    picks = torch.linspace(0, len(clip) - 1, JUDGED_FRAMES).round().long()
    return F.interpolate(clip[picks], size=SMALL, mode="area")


def save_sheet(pictures: list[Tensor], path: Path, columns: int = 4) -> None:
    """Writes pictures [3, H, W] in [0, 1] as one grid."""
    blank = torch.zeros_like(pictures[0])
    padded = pictures + [blank] * (-len(pictures) % columns)
    rows = [torch.cat(padded[i : i + columns], 2) for i in range(0, len(padded), columns)]
    whole = (torch.cat(rows, 1).permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8)
    Image.fromarray(whole.numpy()).save(path, quality=90)


def evaluate(judge: Judge, clips: int, seed: int, sheet: Path | None, *, rendered: int = 400) -> Outcome:
    """Generates one clip for each of `clips` held-out combinations and judges it; the judge itself is checked
    on `rendered` fresh pictures.
    """
    pipeline = DiffusionPipeline.from_pretrained(str(weights_folder()), dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    settings, rng, seen = load_settings(), np.random.default_rng(seed), held_out_scenes(clips, seed)
    judged, pictures, start = [], [], time.monotonic()
    for i, attributes in enumerate(seen):
        clip = generate(pipeline, write_caption(attributes, rng, complete=True), settings, seed + i)
        judged.append(_judged(clip))
        pictures.append(F.interpolate(clip[len(clip) // 2][None], size=(240, 416), mode="area")[0])
        print(f"{i + 1}/{len(seen)}", flush=True)
    seconds = (time.monotonic() - start) / len(seen)
    if sheet is not None:
        save_sheet(pictures[:24], sheet)
    generated = accuracy(judge, torch.stack(judged), seen)
    four = sum(generated[name] for name in ("time", "surface", "palette", "weather")) / 4
    checked = accuracy(judge, *rendered_pictures(rendered, seed + 1))
    return Outcome(len(seen), checked, generated, four, round(seconds, 1))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=101)
    options = parser.parse_args()
    judge = train_judge(options.pictures, options.epochs, options.seed + 7)
    outcome = evaluate(judge, options.clips, options.seed, options.sheet)
    text = json.dumps(asdict(outcome), indent=2)
    options.report.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
