"""The simulation against the service: a full queue worked off by 1 and by 2 workers.

Service times are taken from the run with the fewest workers, as a simulation of a larger fleet has them; what
is compared is how long the last job took to end.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

from bench.service.chaos import Deployment, Plan
from bench.service.simulate import Fleet, Simulation
from service.keys import create_keys

TRIES = 20
"""Simulations of which the mean is shown."""


def run(*, jobs: int, workers: tuple[int, ...], embedded: bool, ray: bool) -> list[dict[str, object]]:
    """One row per number of workers: seconds measured, simulated, and their ratio."""
    rows: list[dict[str, object]] = []
    times: list[float] = []
    for count in workers:
        seconds, taken = _measure(jobs, count, embedded=embedded, ray=ray)
        times = times or taken
        fleet = Fleet(workers=count, database_parallel=1)
        tries = [
            Simulation(fleet, times, jobs=jobs, rate=0.0, seed=seed).run().seconds for seed in range(TRIES)
        ]
        simulated = sum(tries) / TRIES
        rows.append(
            {
                "workers": count,
                "jobs": jobs,
                "job_s": round(sum(taken) / len(taken), 3),
                "measured_s": round(seconds, 2),
                "simulated_s": round(simulated, 2),
                "measured_over_simulated": round(seconds / simulated, 3),
            }
        )
    return rows


def _measure(jobs: int, workers: int, *, embedded: bool, ray: bool) -> tuple[float, list[float]]:
    """Seconds from the first start to the last end, and of each job."""
    with tempfile.TemporaryDirectory(prefix="assay-makespan-") as name:
        home = Path(name)
        create_keys(home / "keys", now=datetime.now(UTC))
        plan = Plan(
            home=home,
            database_url=f"sqlite:///{home}/assay.db",
            jobs=jobs,
            kills=0,
            seed=1,
            embedded=embedded,
            workers=workers,
            ray=ray,
        )
        deployment = Deployment(plan)
        try:
            _until_all_workers_live(deployment, workers)
            for index in range(jobs):
                asked = {"prompt": f"a boat on a calm sea, number {index}"}
                httpx.post(f"{deployment.url}/v1/videos", json=asked, timeout=60).raise_for_status()
            spans = _spans(home, jobs)
        finally:
            deployment.stop()
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    return last - first, [end - start for start, end in spans]


def _until_all_workers_live(deployment: Deployment, workers: int) -> None:
    end = time.monotonic() + 600
    while time.monotonic() < end:
        try:
            stages = httpx.get(f"{deployment.url}/readyz", timeout=20).json()["stages"]
            if stages["worker"]["detail"] == f"{workers} alive":
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise RuntimeError(f"{workers} workers did not start")


def _spans(home: Path, jobs: int) -> list[tuple[float, float]]:
    query = "SELECT started_at, completed_at FROM jobs WHERE status = 'completed'"
    while True:
        with sqlite3.connect(f"file:{home}/assay.db?mode=ro", uri=True, timeout=10) as connection:
            rows = connection.execute(query).fetchall()
        connection.close()
        if len(rows) == jobs:
            return [(_seconds(start), _seconds(end)) for start, end in rows]
        time.sleep(0.5)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
