"""Tables on the terminal, figures as JSON, and one HTML page with plots."""

import html
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from bench.guard.data import Share

mpl.rcParams["svg.hashsalt"] = "assay"  # equal results give equal files
ReportTable = tuple[str, Sequence[str], Sequence[Sequence[object]]]
_WIDTH = 120  # columns, where the terminal is not known
_STYLE = (
    "body{font:15px/1.5 system-ui;max-width:62rem;margin:2rem auto}td,th{padding:.1rem .8rem;text-align:left}"
)


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints one table."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*map(str, row))
    (Console() if sys.stdout.isatty() else Console(width=_WIDTH)).print(table)


def verdict(kept: bool | None) -> str:
    """Returns a word for a bar that is kept, broken, or not there."""
    return "" if kept is None else ("kept" if kept else "BROKEN")


def forest(title: str, rows: Sequence[tuple[str, Share, float | None]]) -> str:
    """Returns an SVG with one share and its interval per row, and the bar where there is one."""
    figure = Figure(figsize=(7.5, 0.28 * len(rows) + 0.9))
    axes = figure.subplots()
    for at, (_, share, limit) in enumerate(reversed(rows)):
        axes.plot([share.low, share.high], [at, at], color="#567", linewidth=2)
        axes.plot(share.value, at, "o", color="#123", markersize=4)
        if limit is not None:
            axes.plot(limit, at, "|", color="#c33", markersize=12)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in reversed(rows)], fontsize=8)
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(axis="x", alpha=0.3)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def write(
    folder: Path, figures: Mapping[str, Any], tables: Sequence[ReportTable], plots: Sequence[str]
) -> None:
    """Writes `guard.json` and `guard.html` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "guard.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", "utf-8")
    body = "".join(_table(*table) for table in tables) + "".join(plots)
    head = f"<!doctype html><meta charset=utf-8><title>Guard</title><style>{_STYLE}</style>"
    (folder / "guard.html").write_text(f"{head}<h1>Guard</h1>{body}\n", "utf-8")


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    lines = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(v))}</td>" for v in row) + "</tr>" for row in rows
    )
    return f"<h2>{html.escape(title)}</h2><table><tr>{head}</tr>{lines}</table>"
