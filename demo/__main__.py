"""Run the demonstration: ``python -m demo``. Exit 0 when every verdict equals its expectation."""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from demo.cases import Case, run_cases
from demo.house import running_house
from demo.report import write_html, write_json

HERE = Path(__file__).parent


def table(cases: list[Case]) -> Table:
    """The one table that the demonstration prints."""
    out = Table(title="Assay: one clip, and what the public does to it")
    for heading in ("case", "expected", "verdict", "log10 p", "seconds"):
        out.add_column(heading, justify="right" if heading in ("log10 p", "seconds") else "left")
    for case in cases:
        bound = "" if case.log10_p is None else f"{case.log10_p:.0f}"
        style = "green" if case.passed else "bold red"
        out.add_row(case.name, case.expected, f"[{style}]{case.verdict}[/]", bound, f"{case.seconds:.1f}")
    return out


def main() -> int:
    """Returns the exit code: 0 all as expected, 1 not."""
    console = Console(width=None if sys.stdout.isatty() else 132)
    folder = HERE / "out"
    cases: list[Case] = []
    with (
        console.status("starting a service on loopback with an empty data folder") as status,
        running_house(folder / "home") as house,
    ):
        status.update("asking for a named person")
        for case in run_cases(house, folder):
            cases.append(case)
            status.update(f"{len(cases)} cases done; last: {case.name}")
    write_json(cases, HERE / "report.json")
    write_html(cases, folder / "coffee.png", folder / "marked.png", HERE / "report.html")
    console.print(table(cases))
    console.print(f"Report: {HERE / 'report.html'}")
    return 0 if all(case.passed for case in cases) else 1


if __name__ == "__main__":
    sys.exit(main())
