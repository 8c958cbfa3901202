"""Draws the loss curves of training logs (needs matplotlib, a development dependency).

python -m generator.tiny.curves runs/transformer/transformer.jsonl runs/decoder/decoder.jsonl -o curves.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def read_log(path: Path) -> tuple[list[int], list[float]]:
    """Steps and losses of a JSON-lines log."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row["step"] for row in rows], [row["loss"] for row in rows]


def draw_curves(logs: list[Path], target: Path) -> None:
    """One panel per log, losses on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(logs), figsize=(5 * len(logs), 3.2), squeeze=False)
    for axis, log in zip(axes[0], logs, strict=True):
        axis.semilogy(*read_log(log))
        axis.set(title=log.stem, xlabel="step", ylabel="loss")
        axis.grid(alpha=0.3, which="both")
    figure.tight_layout()
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", type=Path, nargs="+")
    parser.add_argument("-o", "--target", type=Path, required=True)
    options = parser.parse_args()
    draw_curves(options.logs, options.target)


if __name__ == "__main__":
    main()
