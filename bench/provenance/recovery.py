"""Durable credentials: is the right manifest found again for a stripped, re-encoded clip, and is a mark that
was carried over to another picture refuted?"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.provenance.house import Frames, House, encode, scene
from bench.provenance.rows import Results, Row, show, write_summary
from bench.watermark.security import add, average
from provenance import C2paState, Report, Verdict, read_manifest
from watermark import open_media

Plane = NDArray[np.float32]

COUNT: Final = 100
CRF: Final = 28
CLIP: Final = {"height": 256, "width": 448}
FRAMES: Final = 24
LIFTED_FROM: Final = 8
FORGERY_PSNR: Final = 40.0
"""dB between a forged picture and the foreign one: 5 dB more than the mark itself costs."""

_OURS: Final = (Verdict.MADE_HERE, Verdict.MADE_HERE_MANIFEST_RECOVERED)


def strip(house: House, case: str) -> Row:
    """Release clip `case`, encode its frames again without its manifest, verify what comes back."""
    output = house.output(int(case), ".mp4", frames=FRAMES, **CLIP)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.mp4"
        encode(np.stack(list(open_media(output.path).frames())), copy, crf=CRF)
        if read_manifest(copy, house.trust).state is not C2paState.ABSENT:
            raise RuntimeError("the copy still carries a manifest")
        report = house.judge(copy)
    return {
        "verdict": str(report.verdict),
        "recovered": report.manifest is not None,
        "right": report.manifest == output.record.manifest,
        **_mark(report),
    }


def transplant(house: House, case: str) -> Row:
    """Lift a pattern from eight pictures and put it on one that was not made here."""
    kind, number = case.rsplit(" ", 1)
    seeds = [1000 + LIFTED_FROM * int(number) + index for index in range(LIFTED_FROM)]
    foreign = scene(500_000 + int(number), frames=1, **CLIP)
    pattern = PATTERNS[kind](house, seeds)
    forged = add(foreign[0], pattern, FORGERY_PSNR)[None]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "forged.png"
        encode(forged, path)
        report = house.judge(path)
    return {"kind": kind, "verdict": str(report.verdict), "psnr": _psnr(foreign, forged), **_mark(report)}


def _true_pattern(house: House, seeds: list[int]) -> Plane:
    """Mean difference that the mark of one registered id makes in eight pictures: more than an attacker
    has."""
    output = house.output(seeds[0], ".png", frames=1, **CLIP)
    plains = [scene(seed, frames=1, **CLIP) for seed in seeds]
    marks = [house.marked(plain, output.media_id).astype(np.float32) - plain for plain in plains]
    return np.asarray(np.mean(marks, axis=0)[0], np.float32)


def _residual(house: House, seeds: list[int]) -> Plane:
    """What an attacker lifts from eight released pictures, each with its own id."""
    return average([house.output(seed, ".png", frames=1, **CLIP).marked[0] for seed in seeds])


def _residual_of_one_id(house: House, seeds: list[int]) -> Plane:
    """The same from eight pictures that carry one registered id, as the scenes of a clip do."""
    output = house.output(seeds[0], ".png", frames=1, **CLIP)
    plains = [scene(seed, frames=1, **CLIP) for seed in seeds]
    return average([house.marked(plain, output.media_id)[0] for plain in plains])


def _psnr(one: Frames, two: Frames) -> float:
    error = float(np.mean((one.astype(np.float32) - two) ** 2))
    return round(10 * float(np.log10(255**2 / max(error, 1e-9))), 1)


def _mark(report: Report) -> Row:
    detection = report.facts.evidence.detection
    found = detection is not None and detection.found
    return {"found": found, "log10_p": round(detection.log10_p, 1) if detection is not None else 0.0}


PATTERNS: Final[dict[str, Callable[[House, list[int]], Plane]]] = {
    "true pattern": _true_pattern,
    "lifted, one id": _residual_of_one_id,
    "lifted, eight ids": _residual,
}
"""How the pattern is come by, from the strongest attacker to the likeliest."""


def run(out: Path, count: int = COUNT) -> Row:
    """Measure what is missing of both parts, print the tables, write the summary and return it."""
    house = House(out / "house")
    stripped = _complete(out, "stripped", [str(n) for n in range(count)], lambda case: strip(house, case))
    names = [f"{kind} {n}" for kind in PATTERNS for n in range(count)]
    carried = _complete(out, "transplanted", names, lambda case: transplant(house, case))
    show(
        f"stripped and encoded again at CRF {CRF}",
        ("clips", "mark found", "manifest recovered", "the right one"),
        [(len(stripped), *(sum(row[key] for row in stripped) for key in ("found", "recovered", "right")))],
    )
    lines = []
    for kind in PATTERNS:
        own = [row for row in carried if row["kind"] == kind]
        verdicts = ", ".join(
            f"{name} {n}" for name, n in Counter(row["verdict"] for row in own).most_common()
        )
        refuted = sum(row["verdict"] not in _OURS for row in own)
        psnr = round(float(np.mean([row["psnr"] for row in own])), 1)
        lines.append((kind, len(own), psnr, sum(row["found"] for row in own), refuted, verdicts))
    show("patterns on foreign pictures", ("pattern", "pictures", "dB", "found", "refuted", "verdicts"), lines)
    summary = {
        "clips": len(stripped),
        "recovered": sum(row["recovered"] for row in stripped),
        "right": sum(row["right"] for row in stripped),
        "wrong": sum(row["recovered"] and not row["right"] for row in stripped),
        "transplants": {
            line[0]: {"pictures": line[1], "psnr": line[2], "found": line[3], "refuted": line[4]}
            for line in lines
        },
    }
    write_summary(out / "recovery.json", summary)
    return summary


def _complete(out: Path, name: str, cases: list[str], measure: Callable[[str], Row]) -> list[Row]:
    return Results(out / f"{name}.jsonl").complete(name, cases, measure)
