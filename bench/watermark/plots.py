"""The plots of the report, as SVG text."""

import io
from collections import defaultdict
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.watermark.null import NullPair
from bench.watermark.runner import Cell
from bench.watermark.systems import DETECTION_LOG10_P

mpl.rcParams["svg.hashsalt"] = "assay"  # equal results give equal files
FAMILIES = (
    "jpeg",
    "h264 crf",
    "h265 crf",
    "crop",
    "resize",
    "rotate",
    "noise",
    "brightness",
    "perspective",
    "blur k",
)
"""Attacks with one strength each, drawn as curves."""


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def strength(attack: str, family: str) -> float | None:
    """The parameter of an attack of `family`, or None for any other attack."""
    label, _, value = attack.rpartition(" ")
    if label != family:
        return None
    try:
        return float(value)
    except ValueError:
        return None


def curves(cells: Sequence[Cell], kind: str, system: str = "assay") -> str:
    """Median and worst log10 p against the strength of each attack family."""
    series = _series([cell for cell in cells if cell.kind == kind and cell.system == system])
    if not series:
        return ""
    columns = min(5, len(series))
    lines = -(-len(series) // columns)
    figure = Figure(figsize=(3 * columns, 2.4 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis, (family, points) in zip(axes, series.items(), strict=False):
        _draw_curve(axis, family, points)
    for axis in axes[len(series) :]:
        axis.set_visible(False)
    return _svg(figure)


def _series(cells: Sequence[Cell]) -> dict[str, dict[float, list[float]]]:
    series: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        for family in FAMILIES:
            value = strength(cell.attack, family)
            if value is not None:
                series[family][value].append(cell.log10_p)
    return {family: points for family, points in series.items() if len(points) > 1}


def _draw_curve(axis: Axes, family: str, points: dict[float, list[float]]) -> None:
    order = sorted(points)
    axis.plot(order, [float(np.median(points[x])) for x in order], "o-", ms=3, label="median")
    axis.plot(order, [max(points[x]) for x in order], "s--", ms=3, label="worst")
    axis.axhline(DETECTION_LOG10_P, color="tab:red", lw=0.8)
    axis.set_yscale("symlog", linthresh=10)
    axis.set_title(family, fontsize=9)
    axis.tick_params(labelsize=7)
    axis.set_ylabel("log10 p", fontsize=7)
    axis.legend(fontsize=6)


def null_tail(pairs: Sequence[NullPair]) -> str:
    """Share of null p-values at or below each probability, against the bound (the diagonal)."""
    if not pairs:
        return ""
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axis = figure.subplots()
    levels = np.logspace(-6, 0, 61)
    for kind in dict.fromkeys(pair.kind for pair in pairs):
        values = 10.0 ** np.array([pair.log10_p for pair in pairs if pair.kind == kind])
        share = [(values <= level).mean() for level in levels]
        axis.step(levels, share, where="post", label=f"{kind} ({len(values)})")
    axis.plot(levels, levels, "k--", lw=0.8, label="bound")
    axis.set_xscale("log")
    axis.set_yscale("symlog", linthresh=1e-5)
    axis.set_xlabel("p")
    axis.set_ylabel("share of trials at or below p")
    axis.legend(fontsize=7)
    return _svg(figure)
