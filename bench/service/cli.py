"""`python -m bench.service KIND`: prints a table, writes JSON under bench/out/service."""

from __future__ import annotations

import argparse
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.service import bulk, chaos, claim, makespan, openapi, polls, simulate, uploads
from bench.service.postgres import postgres_binaries, postgres_server

OUT = Path("bench/out/service")
CLAIM_MS, POLL_MS, UPLOAD_MIB, BULK_SPEED_UP = 10.0, 50.0, 100, 1.7
"""The bars: claim and poll at the 99th percentile; memory that a hundred uploads may add; bulk verification
with two readers instead of one."""


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
    one.add_argument("--engine", choices=("local", "ray"), default="local")
    one.set_defaults(run=_chaos)
    two = kinds.add_parser("claim", help="a claim in a long queue")
    two.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    two.add_argument("--queued", type=int, default=100_000)
    two.add_argument("--tenants", type=int, default=100)
    two.add_argument("--claims", type=int, default=1000)
    two.set_defaults(run=_claim)
    three = kinds.add_parser("polls", help="polls at a fixed rate, of a service that runs")
    three.add_argument("url")
    three.add_argument("--rate", type=int, default=1000)
    three.add_argument("--seconds", type=float, default=30)
    three.set_defaults(run=_polls)
    four = kinds.add_parser("uploads", help="parallel uploads to a service that runs")
    four.add_argument("url")
    four.add_argument("pid", type=int, help="process id of its API process")
    four.add_argument("--parallel", type=int, default=100)
    four.add_argument("--bytes", type=int, default=20 * 2**20)
    four.set_defaults(run=_uploads)
    seven = kinds.add_parser("openapi", help="schemathesis over the OpenAPI document")
    seven.add_argument("--cases", type=int, default=10_000)
    seven.add_argument("--examples", type=int, default=50, help="generated per operation and phase")
    seven.add_argument("--seed", type=int, default=1)
    seven.set_defaults(run=_openapi)
    five = kinds.add_parser("bulk", help="bulk verification with Ray, by number of readers")
    five.add_argument("--files", type=int, default=1000)
    five.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    five.set_defaults(run=_bulk)
    seven = kinds.add_parser("makespan", help="the simulation against the service, full queue")
    seven.add_argument("--jobs", type=int, default=60)
    seven.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    seven.add_argument("--generator", choices=("stub", "embedded"), default="stub")
    seven.add_argument("--engine", choices=("local", "ray"), default="local")
    seven.set_defaults(run=_makespan)
    six = kinds.add_parser("simulate", help="throughput and waiting by number of workers, to 1,000 GPUs")
    six.add_argument("--measured", type=Path, help="service times in seconds, one a line; else a log-normal")
    six.add_argument("--plot", type=Path, help="also draw it into this file")
    six.set_defaults(run=_simulate)
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
                ray=asked.engine == "ray",
            )
        )
        if outcome.faults:
            (asked.out / "chaos.log").write_bytes((home / "serve.log").read_bytes())
    values = chaos.as_json(outcome)
    show("Chaos", [values])
    keep(asked.out / f"chaos-{outcome.database}-{outcome.generator}-{outcome.engine}.json", values)
    return 1 if outcome.faults else 0


def _claim(asked: argparse.Namespace) -> int:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-claim-")))
        url = _postgres(stack) if asked.database == "postgresql" else f"sqlite:///{home}/assay.db"
        values = claim.run(url, queued=asked.queued, owners=asked.tenants, claims=asked.claims)
    return _report(asked, values, f"claim-{asked.database}", bool(values["wall_p99_ms"] <= CLAIM_MS))  # type: ignore[operator]


def _polls(asked: argparse.Namespace) -> int:
    values = polls.run(asked.url, rate=asked.rate, seconds=asked.seconds)
    good = values["p99_ms"] <= POLL_MS and not values["errors"]  # type: ignore[operator]
    return _report(asked, values, "polls", bool(good))


def _uploads(asked: argparse.Namespace) -> int:
    values = uploads.run(asked.url, asked.pid, parallel=asked.parallel, size=asked.bytes)
    return _report(asked, values, "uploads", bool(values["grown_mib"] <= UPLOAD_MIB))  # type: ignore[operator]


def _openapi(asked: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="assay-openapi-") as folder:
        home = Path(folder)
        values = openapi.run(home, cases=asked.cases, examples=asked.examples, seed=asked.seed)
        for name in ("schemathesis.log", "serve.log"):
            (asked.out / name).write_bytes((home / name).read_bytes())
    return _report(asked, values, "openapi", not values["failures"])


def _bulk(asked: argparse.Namespace) -> int:
    values = bulk.run(files=asked.files, workers=tuple(asked.workers))
    return _report(asked, values, "bulk", bool(values["speed_up"] >= BULK_SPEED_UP))  # type: ignore[operator]


def _makespan(asked: argparse.Namespace) -> int:
    embedded, ray = asked.generator == "embedded", asked.engine == "ray"
    rows = makespan.run(jobs=asked.jobs, workers=tuple(asked.workers), embedded=embedded, ray=ray)
    show("Makespan", rows)
    keep(asked.out / f"makespan-{asked.generator}-{asked.engine}.json", rows)
    return 0


def _simulate(asked: argparse.Namespace) -> int:
    times = simulate.read_times(asked.measured) if asked.measured else simulate.assumed_times()
    rows = simulate.sweep(times)
    show("Simulated", rows)
    keep(asked.out / "simulate.json", rows)
    if asked.plot:
        simulate.plot(rows, asked.plot)
    return 0


def _report(asked: argparse.Namespace, values: dict[str, object], name: str, good: bool) -> int:
    show(name, [values])
    keep(asked.out / f"{name}.json", values)
    return 0 if good else 1


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
