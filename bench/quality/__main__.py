"""`python -m bench.quality --out FOLDER [--clips 200] [--steps 8]`: false alarms and misses on clips of the
embedded generator. Continues where it was stopped: `clips.jsonl` holds one line per clip."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.quality.planted import PLANTS
from generator import System, load_system
from generator.quality import QualityRules, measure
from generator.sample import to_bytes
from generator.tiny.captions import write_caption
from generator.tiny.scene import draw_attributes
from watermark import KeyRing, Mark, MediaId

FRAMES = 9
"""The shortest clip of the embedded generator."""


def main() -> None:
    """Make clips, judge them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--steps", type=int, default=8)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    log = chosen.out / "clips.jsonl"
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    if len(done) < chosen.clips:
        system = load_system("assay-tiny", device="cpu", dtype=torch.float32)
        system.pipeline.set_progress_bar_config(disable=True)
        with log.open("a") as file:
            for seed in track(range(len(done), chosen.clips), description="clips"):
                row = judge(clip(system, seed, chosen.steps))
                done.append(row)
                file.write(json.dumps(row) + "\n")
                file.flush()
    _show(done[: chosen.clips], chosen.out / "quality.json", chosen.steps)


def clip(system: System, seed: int, steps: int) -> NDArray[np.uint8]:
    """One marked clip, uint8 [F, H, W, 3], of a scene and a seed that depend on `seed` alone."""
    rng = np.random.default_rng(seed)
    prompt = write_caption(draw_attributes(rng), rng)
    generator = torch.Generator("cpu").manual_seed(seed)
    made: Any = system.pipeline(
        prompt=prompt,
        num_frames=FRAMES,
        num_inference_steps=steps,
        generator=generator,
        output_type="pt",
    )
    ring = KeyRing.derive(bytes((i * 37 + 11) % 256 for i in range(32)) + b"\x00bench", deployment="bench")
    mark = Mark(ring.subkey(seed % ring.subkeys), MediaId(seed + 1))
    with torch.inference_mode():
        return to_bytes(mark.apply(made.frames[0]))


def judge(frames: NDArray[np.uint8]) -> dict[str, Any]:
    """The measurements of a clip, the rules that it breaks, and the plants that are missed in it."""
    started, rules = time.process_time(), QualityRules()
    report = measure(frames)
    seconds = time.process_time() - started
    missed = [name for name, plant in PLANTS.items() if not measure(plant(frames)).failures(rules)]
    return {
        "measured": asdict(report),
        "failures": list(report.failures(rules)),
        "missed": missed,
        "cpu_ms_per_frame": 1000 * seconds / len(frames),
    }


def _show(rows: list[dict[str, Any]], path: Path, steps: int) -> None:
    alarms = [row["failures"] for row in rows if row["failures"]]
    missed = {name: sum(name in row["missed"] for row in rows) for name in PLANTS}
    highest = {name: max(row["measured"][name] for row in rows) for name in rows[0]["measured"]}
    cost = float(np.median([row["cpu_ms_per_frame"] for row in rows]))
    table = Table(title=f"Quality control on {len(rows)} clips, {steps} steps")
    for heading in ("", "value"):
        table.add_column(heading)
    table.add_row("good clips accused", f"{len(alarms)} of {len(rows)}")
    for name, count in missed.items():
        table.add_row(f"planted {name}: missed", f"{count} of {len(rows)}")
    for name, value in highest.items():
        table.add_row(f"highest {name} of a good clip", f"{value:.2f}")
    table.add_row("CPU ms per frame, median", f"{cost:.1f}")
    Console().print(table)
    summary = {
        "clips": len(rows),
        "steps": steps,
        "accused": len(alarms),
        "why": alarms,
        "missed": missed,
        "highest": highest,
        "cpu_ms_per_frame": cost,
    }
    path.write_text(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
