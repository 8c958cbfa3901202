"""Command line of the guard's bench."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.guard import adapters, faces, ideas, names, report, shipped, speed
from bench.guard.data import PEOPLE

PARTS = ("names", "ideas", "faces", "adapters", "speed")
_DATA = Path(__file__).parents[2].parent / "shared" / "data" / "prompts"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the bench; returns 1 where a bar is broken, 2 where the prompts are missing."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.guard", description="Recall and speed of the guard."
    )
    parser.add_argument("--data", type=Path, default=_DATA, help="folder with the prompt sets (jsonl)")
    parser.add_argument("--out", type=Path, required=True, help="folder for guard.json and guard.html")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args(argv)
    if not (arguments.data / f"{PEOPLE}.jsonl").exists():
        Console(stderr=True).print(f"no prompts in {arguments.data}; give their folder with --data")
        return 2
    log = Console(stderr=True)
    figures: dict[str, Any] = {}
    tables: list[report.ReportTable] = []
    plots: list[str] = []
    kept = True
    for part in arguments.parts:
        run = {"names": _names, "ideas": _ideas, "faces": _faces, "adapters": _adapters, "speed": _speed}[
            part
        ]
        figures[part], found, drawn, good = run(arguments.data, log)
        tables += found
        plots += drawn
        kept &= good
    for table in tables:
        report.show(*table)
    report.write(arguments.out, figures, tables, plots)
    return 0 if kept else 1


Answer = tuple[Any, list[report.ReportTable], list[str], bool]


def _names(data: Path, log: Console) -> Answer:
    rows = names.measure(data, lambda what: log.print(f"names: {what}", style="dim"))
    rows += shipped.shipped_lists(lambda what: log.print(f"list: {what}", style="dim"))
    mean = names.mean_recall(rows)
    figures = {
        "mean_recall_19_attacks": mean,
        "rows": [{**asdict(row), "share": row.share.to_json(), "kept": row.kept} for row in rows],
    }
    lines: list[tuple[object, ...]] = [
        (row.part, row.attack, row.language, row.share, "" if row.limit is None else f"{row.limit:.2%}",
         report.verdict(row.kept))
        for row in rows
    ]  # fmt: skip
    lines.append(("attack", "mean of 19", "English", f"{mean:.2%}", f"{names.MEAN_LEAST:.0%}",
                  report.verdict(mean >= names.MEAN_LEAST)))  # fmt: skip
    columns = ("part", "attack", "language", "share [95 %]", "bar", "")
    drawn = [
        report.forest(part, [(f"{r.attack}, {r.language}", r.share, r.limit) for r in rows if r.part == part])
        for part in ("attack", "second hand", "language", "shipped list")
    ]
    good = mean >= names.MEAN_LEAST and all(row.kept is not False for row in rows)
    return figures, [("Names", columns, lines)], drawn, good


def _ideas(data: Path, log: Console) -> Answer:
    rows = ideas.measure(data, lambda what: log.print(f"ideas: {what}", style="dim"))
    lines = [
        (row.source, row.idea, row.certainty, row.share, "" if row.limit is None else f"{row.limit:.2%}",
         report.verdict(row.kept))
        for row in rows
    ]  # fmt: skip
    figures = [{**asdict(row), "share": row.share.to_json(), "kept": row.kept} for row in rows]
    drawn = [
        report.forest(
            f"ideas, {source}",
            [(f"{r.idea}, {r.certainty}", r.share, r.limit) for r in rows if r.source == source],
        )
        for source in dict.fromkeys(row.source for row in rows)
    ]
    columns = ("source", "idea", "certainty", "share seen [95 %]", "bar", "")
    return figures, [("Ideas", columns, lines)], drawn, all(row.kept is not False for row in rows)


def _faces(data: Path, log: Console) -> Answer:
    rows = list(faces.measure(lambda what: log.print(f"faces: {what}", style="dim")))
    lines = [(row.pictures, row.certainty, row.share) for row in rows]
    figures = [{**asdict(row), "share": row.share.to_json()} for row in rows]
    return figures, [("Faces", ("pictures", "certainty", "share [95 %]"), lines)], [], True


def _adapters(data: Path, log: Console) -> Answer:
    rows = adapters.measure(lambda what: log.print(f"adapters: {what}", style="dim"))
    lines = [
        (
            row.file,
            row.reason,
            f"{row.milliseconds:.2f} ms",
            f"{adapters.LIMIT_MS:g} ms",
            report.verdict(row.kept),
        )
        for row in rows
    ]
    figures = [{**asdict(row), "kept": row.kept} for row in rows]
    columns = ("file", "refused because", "time", "bar", "")
    return figures, [("Hostile adapters", columns, lines)], [], all(row.kept for row in rows)


def _speed(data: Path, log: Console) -> Answer:
    rows = speed.measure(data, lambda what: log.print(f"speed: {what}", style="dim"))
    lines = [
        (row.name, f"{row.value:.3g} {row.unit}", f"{row.limit:g} {row.unit}", report.verdict(row.kept))
        for row in rows
    ]
    figures = [{**asdict(row), "kept": row.kept} for row in rows]
    return figures, [("Speed", ("figure", "measured", "bar", ""), lines)], [], all(row.kept for row in rows)
