"""The report: one JSON file of figures and one HTML file that needs nothing beside it."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from bench.speed import Timing
from bench.watermark import plots
from bench.watermark.attacks import Frames
from bench.watermark.flicker import FlickerRow
from bench.watermark.null import NullPair
from bench.watermark.runner import Cell
from bench.watermark.security import SecurityRow
from bench.watermark.suite import Promise
from bench.watermark.summary import AttackRow, by_attack, misses, quality, tail, verdicts

TEMPLATE = "report.html.j2"


@dataclass(frozen=True)
class Results:
    """All that a report is made of; whatever was not run is empty."""

    build: str
    cells: Sequence[Cell] = ()
    promises: Sequence[Promise] = ()
    null: Sequence[NullPair] = ()
    security: Sequence[SecurityRow] = ()
    speed: Sequence[Timing] = ()
    sheets: dict[str, Frames] = field(default_factory=dict)
    flicker: Sequence[FlickerRow] = ()


def figures(results: Results) -> dict[str, Any]:
    """The figures of a report as plain JSON values."""
    return {
        "build": results.build,
        "quality": [asdict(row) for row in quality(results.cells)],
        "attacks": [asdict(row) for row in by_attack(results.cells)],
        "promises": [asdict(row) | {"kept": row.kept} for row in verdicts(results.cells, results.promises)],
        "misses": [asdict(cell) for cell in misses(results.cells, results.promises)],
        "null": [asdict(row) for row in tail(results.null)],
        "null_messages": sum(pair.found for pair in results.null),
        "security": security_table(results.security),
        "flicker": [asdict(row) | {"kept": row.kept} for row in results.flicker],
        "speed": [asdict(timing) | {"ratio": timing.ratio} for timing in results.speed],
    }


def security_table(rows: Sequence[SecurityRow]) -> list[dict[str, Any]]:
    """Share of attempts in which the message was read, per attack and number of outputs."""
    groups: dict[tuple[str, int], list[SecurityRow]] = {}
    for row in rows:
        groups.setdefault((row.attack, row.outputs), []).append(row)
    return [
        {
            "attack": attack,
            "outputs": outputs,
            "attempts": len(group),
            "message_share": sum(row.message for row in group) / len(group),
            "psnr": float(np.median([row.psnr for row in group])),
            "best_log10_p": min(row.log10_p for row in group),
        }
        for (attack, outputs), group in groups.items()
    ]


def heat(cells: Sequence[Cell], kind: str, system: str = "assay") -> dict[str, Any]:
    """Recovery by attack (rows) and medium (columns) for the heat map."""
    chosen = [cell for cell in cells if cell.kind == kind and cell.system == system]
    media = list(dict.fromkeys(cell.medium for cell in chosen))
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in chosen:
        groups.setdefault((cell.attack, cell.medium), []).append(cell)
    rows = []
    for attack in dict.fromkeys(cell.attack for cell in chosen):
        found = [groups.get((attack, medium)) for medium in media]
        rows.append({"attack": attack, "shares": [_share(group) for group in found]})
    return {"media": media, "rows": rows}


def _share(group: list[Cell] | None) -> float | None:
    return None if not group else sum(cell.recovered for cell in group) / len(group)


def comparison(rows: Sequence[AttackRow], kind: str) -> dict[str, Any]:
    """Recovery and bit accuracy of every system by attack."""
    chosen = [row for row in rows if row.kind == kind]
    systems = list(dict.fromkeys(row.system for row in chosen))
    table = {(row.attack, row.system): row for row in chosen}
    attacks = list(dict.fromkeys(row.attack for row in chosen))
    lines = [
        {"attack": attack, "cells": [table.get((attack, name)) for name in systems]} for attack in attacks
    ]
    return {"systems": systems, "lines": lines}


def png_uri(picture: Frames) -> str:
    """A picture as a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def render(results: Results) -> str:
    """The HTML of a report."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    rows = by_attack(results.cells)
    kinds = [kind for kind in ("image", "video") if any(cell.kind == kind for cell in results.cells)]
    return environment.get_template(TEMPLATE).render(
        figures=figures(results),
        kinds=kinds,
        heat={kind: heat(results.cells, kind) for kind in kinds},
        comparison={kind: comparison(rows, kind) for kind in kinds},
        curves={kind: plots.curves(results.cells, kind) for kind in kinds},
        null_plot=plots.null_tail(results.null),
        sheets={name: png_uri(picture) for name, picture in results.sheets.items()},
    )


def write_report(results: Results, folder: Path) -> Path:
    """Write `report.json` and `report.html` into `folder`; returns the path of the HTML."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(figures(results), indent=1) + "\n")
    page = folder / "report.html"
    page.write_text(render(results), encoding="utf-8")
    return page
