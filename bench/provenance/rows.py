"""Results as JSON lines: written as they are measured, so that a stopped run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

Row = dict[str, Any]


@dataclass(frozen=True)
class Results:
    """One file of rows, each with a unique text under "case"."""

    path: Path

    def read(self) -> list[Row]:
        """The rows so far; a line cut off by a kill is dropped."""
        rows = []
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
        return rows

    def complete(self, title: str, cases: Iterable[str], measure: Callable[[str], Row]) -> list[Row]:
        """Measure the cases that have no row yet, with a progress bar, and return the rows of all `cases`."""
        wanted = list(cases)
        done = {row["case"] for row in self.read()}
        cut_off = self.path.exists() and not self.path.read_bytes().endswith(b"\n")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with self.path.open("a") as file, Progress(*columns, console=Console(stderr=True)) as bar:
            file.write("\n" if cut_off else "")
            task = bar.add_task(title, total=len(wanted), completed=len(done & set(wanted)))
            for case in wanted:
                if case in done:
                    continue
                file.write(json.dumps({"case": case, **measure(case)}) + "\n")
                file.flush()
                bar.advance(task)
        return [row for row in self.read() if row["case"] in set(wanted)]


def show(title: str, header: tuple[str, ...], lines: Iterable[tuple[object, ...]]) -> None:
    """Print a table."""
    table = Table(*header, title=title, box=None)
    for line in lines:
        table.add_row(*(str(cell) for cell in line))
    Console().print(table, markup=False)


def write_summary(path: Path, summary: Row) -> None:
    """Write the figures beside the rows."""
    path.write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n")
