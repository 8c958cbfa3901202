"""How long do signing and reading C2PA take, and how much memory does a file of a gigabyte need?"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from bench.provenance.house import House, encode
from bench.provenance.rows import Row, show, write_summary
from provenance import read_manifest, sign_asset
from provenance.boxes import top_level_boxes
from watermark import MediaId

REPEATS: Final = 40
SECONDS: Final = 5
CALM: Final = 4
SIZE: Final = {"height": 720, "width": 1280}
BIG_BYTES: Final = 1 << 30
MIB: Final = 1 << 20
TIMED: Final = ("sign_calm", "sign", "sign_with_aigc", "read")
SIGN_MS, READ_MS, PEAK_MIB = 20.0, 50.0, 40.0
"""The bars: milliseconds for the clip, and memory that signing the big file adds to the process."""


def clip(folder: Path, grain: int = 12) -> Path:
    """A clip of 5 s of detail that moves. With all the `grain` (grey levels) it has 8 MB, as a camera's; a
    calm one has 1.6 MB, as a generator's."""
    path = folder / f"clip-{grain}.mp4"
    if not path.exists():
        rng = np.random.default_rng(7)
        rough = rng.integers(0, 256, (90, 200, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        frames = [rough[: SIZE["height"], 2 * i : 2 * i + SIZE["width"]] for i in range(12 * SECONDS)]
        noise = rng.integers(-grain, grain + 1, (*frames[0].shape,), dtype=np.int16)
        encode(np.stack([np.clip(f + noise, 0, 255).astype(np.uint8) for f in frames]), path)
    return path


def big(folder: Path, size: int) -> Path:
    """The same clip with its media box grown to `size`: what stands behind the samples is never shown."""
    path = folder / "big.mp4"
    small = clip(folder)
    last = list(top_level_boxes(small))[-1]
    if last.kind != b"mdat" or last.head != 8:
        raise RuntimeError(f"{small}: its media box is not the last one")
    content = small.read_bytes()
    with path.open("wb") as file:
        file.write(content[: last.start] + (size - last.start).to_bytes(4, "big") + content[last.start + 4 :])
        file.truncate(size)
    return path


def timed(action: Callable[[], object], repeats: int) -> dict[str, float]:
    """Milliseconds: of the clock at its best and in the middle, and of the processor in the middle."""
    wall, worked = [], []
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        action()
        wall.append(1000 * (time.perf_counter() - start))
        worked.append(1000 * (time.process_time() - busy))
    return {
        "least_ms": round(min(wall), 2),
        "median_ms": round(float(np.median(wall)), 2),
        "median_cpu_ms": round(float(np.median(worked)), 2),
    }


def grown(house_folder: Path, source: Path, target: Path) -> float:
    """MiB that signing and then reading `source` adds to the largest memory of a fresh process."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_sign_and_tell, (house_folder, source, target))


def _sign_and_tell(house_folder: Path, source: Path, target: Path) -> float:
    house = House(house_folder)
    facts = house.facts(MediaId(5), ".mp4", 12 * SECONDS)
    warm = target.with_name("warm.mp4")
    sign_asset(clip(source.parent), warm, facts, house.key, trust=house.trust)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew: imports had one
    before = _peak_kib()
    sign_asset(source, target, facts, house.key, trust=house.trust)
    return (_peak_kib() - before) / 1024


def _peak_kib() -> int:
    """Largest resident memory of this process, KiB (proc(5), VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def run(out: Path, repeats: int = REPEATS, big_bytes: int = BIG_BYTES) -> Row:
    """Measure, print the table, write the summary and return it."""
    house = House(out / "house")
    source, target = clip(out), out / "signed.mp4"
    facts = house.facts(MediaId(5), ".mp4", 12 * SECONDS)
    labelled = replace(facts, aigc_producer="studio")
    calm = clip(out, grain=CALM)
    summary: Row = {
        "clip_bytes": source.stat().st_size,
        "calm_bytes": calm.stat().st_size,
        "sign_calm": timed(lambda: sign_asset(calm, target, labelled, house.key, trust=house.trust), repeats),
        "sign": timed(lambda: sign_asset(source, target, facts, house.key, trust=house.trust), repeats),
        "sign_with_aigc": timed(
            lambda: sign_asset(source, target, labelled, house.key, trust=house.trust), repeats
        ),
        "read": timed(lambda: read_manifest(target, house.trust), repeats),
        "big_bytes": big_bytes,
    }
    large = big(out, big_bytes)
    start = time.perf_counter()
    summary["big_added_mib"] = round(grown(out / "house", large, out / "big-signed.mp4"), 1)
    summary["big_seconds"] = round(time.perf_counter() - start, 1)
    lines = [(name, *summary[name].values()) for name in TIMED]
    show("a clip of 5 s, 720p", ("what", "least ms", "median ms", "median processor ms"), lines)
    added = summary["big_added_mib"]
    print(f"signing and reading back {big_bytes / MIB:.0f} MiB adds {added} MiB to the process")
    write_summary(out / "speed.json", summary)
    for path in (large, out / "big-signed.mp4"):
        path.unlink(missing_ok=True)
    return summary


def met(summary: Row) -> bool:
    """Whether the bars are met; by the processor's time, so that a busy machine does not decide."""
    sign, read = summary["sign_with_aigc"]["median_cpu_ms"], summary["read"]["median_cpu_ms"]
    return bool(sign <= SIGN_MS and read <= READ_MS and summary["big_added_mib"] <= PEAK_MIB)
