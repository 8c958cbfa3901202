"""`python -m bench.service KIND`: prints a table, writes JSON under bench/out/service."""

from __future__ import annotations

import argparse
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.service import chaos
from bench.service.postgres import postgres_binaries, postgres_server

OUT = Path("bench/out/service")


def main(arguments: list[str] | None = None) -> int:
    """Run one measurement. Exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.service", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("chaos", help="jobs survive kill -9")
    one.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    one.add_argument("--generator", choices=("stub", "embedded"), default="stub")
    one.add_argument("--jobs", type=int, default=200)
    one.add_argument("--kills", type=int, default=20)
    one.add_argument("--workers", type=int, default=2)
    one.add_argument("--seed", type=int, default=1)
    one.set_defaults(run=_chaos)
    asked = parser.parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    code: int = asked.run(asked)
    return code


def _chaos(asked: argparse.Namespace) -> int:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-chaos-")))
        url = f"sqlite:///{home}/assay.db"
        if asked.database == "postgresql":
            url = _postgres(stack)
        outcome = chaos.run(
            chaos.Plan(
                home=home,
                database_url=url,
                jobs=asked.jobs,
                kills=asked.kills,
                seed=asked.seed,
                embedded=asked.generator == "embedded",
                workers=asked.workers,
            )
        )
        if outcome.faults:
            (asked.out / "chaos.log").write_bytes((home / "serve.log").read_bytes())
    values = chaos.as_json(outcome)
    show("Chaos", [values])
    keep(asked.out / f"chaos-{outcome.database}-{outcome.generator}.json", values)
    return 1 if outcome.faults else 0


def _postgres(stack: ExitStack) -> str:
    binaries = postgres_binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL server on this machine (Debian: apt install postgresql)")
    return stack.enter_context(postgres_server(binaries, durable=True))


def show(title: str, rows: list[dict[str, object]]) -> None:
    """One column per run."""
    table = Table("", *(str(number + 1) for number in range(len(rows))), title=title)
    for name in rows[0]:
        table.add_row(name, *(str(row[name]) for row in rows))
    Console().print(table)


def keep(path: Path, values: object) -> None:
    """Write results as JSON."""
    path.write_text(json.dumps(values, indent=1) + "\n")
    print(f"written to {path}")
