"""Tampered copies of our own outputs: how many are still reported as made here and intact? None may be."""

from __future__ import annotations

import tempfile
import zlib
from collections import Counter
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path
from typing import Final

import numpy as np

from bench.provenance.forgeries import FORGERIES, Case
from bench.provenance.house import MIMES, House
from bench.provenance.rows import Results, Row, show, write_summary
from provenance import ReadError, Verdict, read_manifest
from watermark import MediaError

SUFFIXES: Final = (".png", ".jpg", ".webp", ".mp4", ".avif", ".mov")
SIZE: Final = {"height": 256, "width": 384}
FRAMES: Final = 8
COUNT: Final = 500


def cases(count: int) -> list[str]:
    """`count` names, "way/suffix/number": every way on every format before any is repeated."""
    ways = (
        f"{way.__name__}/{suffix}/{number}"
        for number in range(count)
        for way, suffix in product(FORGERIES, SUFFIXES)
    )
    return list(islice(ways, count))


def measure(house: House, case: str) -> Row:
    """Forge one copy and verify it as an upload."""
    name, suffix, number = case.split("/")
    way: Callable[[Case], bytes] = next(way for way in FORGERIES if way.__name__ == name)
    frames = 1 if MIMES[suffix].startswith("image/") else FRAMES
    victim, other = (house.output(n, suffix, frames=frames, **SIZE) for n in (int(number) % 3, 3))
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(zlib.crc32(case.encode()))
        content = way(Case(house, victim, other, rng, Path(folder)))
        while content == victim.path.read_bytes():
            content = way(Case(house, victim, other, rng, Path(folder)))
        path = Path(folder) / f"upload{suffix}"
        path.write_bytes(content)
        try:
            verdict = str(house.judge(path).verdict)
        except (ReadError, MediaError) as error:
            verdict = f"refused: {type(error).__name__}"
        c2pa = read_manifest(path, house.trust)
    return {
        "way": name,
        "format": suffix[1:],
        "verdict": verdict,
        "c2pa_alone": str(c2pa.state),
        "c2pa_alone_is_ours": c2pa.label == victim.record.manifest_label and c2pa.state.intact,
    }


def run(out: Path, count: int = COUNT) -> Row:
    """Measure what is missing, print the table, write the summary and return it."""
    house = House(out / "house")
    rows = Results(out / "tamper.jsonl").complete("tamper", cases(count), lambda case: measure(house, case))
    lines = []
    for way in dict.fromkeys(row["way"] for row in rows):
        own = [row for row in rows if row["way"] == way]
        verdicts = Counter(row["verdict"].partition(":")[0] for row in own)
        alone = sum(row["c2pa_alone_is_ours"] for row in own)
        told = ", ".join(f"{name} {n}" for name, n in verdicts.most_common())
        lines.append((way.replace("_", " "), len(own), verdicts[str(Verdict.MADE_HERE)], alone, told))
    show("tampered copies", ("way", "copies", "made_here", "C2PA alone: ours, intact", "verdicts"), lines)
    summary = {
        "copies": len(rows),
        "made_here": sum(row["verdict"] == Verdict.MADE_HERE for row in rows),
        "c2pa_alone_ours_intact": sum(row["c2pa_alone_is_ours"] for row in rows),
        "by_way": {line[0]: {"copies": line[1], "made_here": line[2], "verdicts": line[4]} for line in lines},
    }
    write_summary(out / "tamper.json", summary)
    print(f"{summary['made_here']} of {summary['copies']} tampered copies reported as made here")
    return summary
