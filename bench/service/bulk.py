"""How `assay verify --engine ray` scales with its readers, and whether its rows are the local engine's.

The files are 256-pixel crops of photographs that scikit-image carries, half of them marked, each with an id
of its own. The time is that of the whole command; what Ray takes to start is measured with one file and
shown beside it, since a run of a thousand files pays it once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import skimage.data
import torch

from service.keys import create_keys, rings
from service.settings import Settings
from watermark import Mark, MediaId, write_image

SIDE = 256
CHECKED = 20
"""Files whose rows are compared with those of the local engine."""


def run(*, files: int, workers: tuple[int, ...], seed: int = 1) -> dict[str, object]:
    """Verify `files` files with each number of workers; seconds, and how much faster the last is."""
    with tempfile.TemporaryDirectory(prefix="assay-bulk-") as name:
        home, media = Path(name) / "home", Path(name) / "media"
        create_keys(home / "keys", now=datetime.now(UTC))
        media.mkdir()
        _fill(media, Settings(home=home), files, seed)
        start, _ = _verify(home, [media / "00000.png"], "ray", workers[0])
        seconds: dict[int, float] = {}
        rows: list[dict[str, object]] = []
        for count in workers:
            seconds[count], rows = _verify(home, [media], "ray", count)
        _, local = _verify(home, sorted(media.iterdir())[:CHECKED], "local", 1)
    return {
        "files": files,
        "marks_found": sum(_is_marked(row) for row in rows),
        "in_order": [str(row["file"]) for row in rows] == sorted(str(row["file"]) for row in rows),
        "same_as_local": [_facts(row) for row in rows[:CHECKED]] == [_facts(row) for row in local],
        "start_s": round(start, 1),
        **{f"seconds_{count}": round(taken, 1) for count, taken in seconds.items()},
        "speed_up": round(seconds[workers[0]] / seconds[workers[-1]], 2),
    }


def _fill(folder: Path, settings: Settings, files: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    photographs = [skimage.data.coffee(), skimage.data.astronaut(), skimage.data.chelsea()]
    ring = rings(settings)[0]
    for index in range(files):
        photograph = photographs[index % len(photographs)]
        top, left = (int(chance.integers(0, size - SIDE)) for size in photograph.shape[:2])
        picture = np.ascontiguousarray(photograph[top : top + SIDE, left : left + SIDE])
        if index % 2 == 0:
            mark = Mark(ring.draw(lambda count: int(chance.integers(count))), MediaId(index + 1))
            frames = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
            marked = (mark.apply(frames)[0] * 255).round().clamp(0, 255).to(torch.uint8)
            picture = np.ascontiguousarray(marked.permute(1, 2, 0).numpy())
        write_image(folder / f"{index:05d}.png", picture)


def _verify(
    home: Path, paths: list[Path], engine: str, workers: int
) -> tuple[float, list[dict[str, object]]]:
    command = [sys.executable, "-m", "service.cli", "verify", *map(str, paths), "--json", "--engine", engine]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    environ = {**clean, "ASSAY_HOME": str(home), "OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    done = subprocess.run(
        [*command, "--workers", str(workers)], env=environ, stdout=subprocess.PIPE, check=False, text=True
    )
    taken = time.monotonic() - started
    if done.returncode not in (0, 1):
        raise RuntimeError(f"assay verify ended with {done.returncode}")
    return taken, [json.loads(line) for line in done.stdout.splitlines()]


def _is_marked(row: dict[str, object]) -> bool:
    """Whether the mark was found. Without records, as here, the verdict stays `no_evidence`."""
    mark = row["watermark"]
    return isinstance(mark, dict) and bool(mark["found"])


def _facts(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name != "judged_at"}
