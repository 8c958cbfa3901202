"""Throughput and waiting by number of workers, to 1,000 GPUs: a discrete-event simulation of the queue.

Jobs arrive as a Poisson stream, wait for a worker, are claimed, run for a time drawn from the measured ones,
and are published. Workers die at random, their jobs start again elsewhere after the death was noticed, and a
new worker loads the model first. Claims and publications are served by a database that does so many things at
once; heartbeats of busy workers and looks of idle ones take their share of it. Priorities, tenants and
cancelled jobs are left out: they change who waits, not how long the queue is.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np

WORKERS = (1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000)
LOADS = (0.7, 0.9)
"""Share of the workers' time that is asked for."""
JOBS_PER_WORKER, FEWEST_JOBS, MOST_JOBS = 40, 4_000, 40_000
ARRIVAL, START, MADE, END, DEATH, BACK = range(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Seconds, unless a name says otherwise. What the database takes: `python -m bench.service claim`."""

    workers: int
    claim: float = 0.004
    publish: float = 0.004
    heartbeat: float = 0.001
    heartbeat_every: float = 1.0
    look: float = 0.002
    look_every: float = 0.5
    database_parallel: int = 4
    """Transactions that the database serves at once: 1 for SQLite."""
    between_failures: float = 24 * 3600.0
    """Mean time until one worker dies."""
    noticed: float = 1.0
    """From a death to the release of its lease: Ray and the supervisor tell at once."""
    load: float = 120.0
    """A new worker loads the model for so long."""


@dataclass(slots=True)
class Run:
    """What came out of one simulation."""

    waits: list[float] = field(default_factory=list)
    seconds: float = 0.0
    done: int = 0
    restarted: int = 0
    database_busy: float = 0.0

    def wait(self, share: float) -> float:
        """Seconds between arrival and first start, at a percentile."""
        return float(np.percentile(self.waits, share)) if self.waits else 0.0


class Database:
    """Serves `parallel` transactions at once, each longer for what heartbeats and looks take of it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._free = [0.0] * fleet.database_parallel
        self.busy = 0.0

    def serve(self, now: float, cost: float, busy_workers: int) -> float:
        """When a transaction that comes at `now` is done."""
        begin = max(now, heapq.heappop(self._free))
        end = begin + cost / max(1e-3, 1 - self.background(busy_workers))
        heapq.heappush(self._free, end)
        self.busy += cost
        return end

    def background(self, busy: int) -> float:
        """Share of the database that heartbeats of `busy` workers and looks of the others take."""
        fleet = self._fleet
        looks = (fleet.workers - busy) * fleet.look / fleet.look_every
        beats = busy * fleet.heartbeat / fleet.heartbeat_every
        return (looks + beats) / fleet.database_parallel


class Simulation:
    """One fleet and its queue. `rate`: jobs a second; 0 queues all jobs at the start."""

    def __init__(self, fleet: Fleet, times: Sequence[float], *, jobs: int, rate: float, seed: int) -> None:
        self._fleet, self._times, self._chance = fleet, times, random.Random(seed)
        self._database = Database(fleet)
        self._events: list[tuple[float, int, int, int]] = []
        self._count = 0
        self._queue: deque[int] = deque()
        self._idle = fleet.workers
        self._arrived: list[float] = []
        self._started: set[int] = set()
        self._out = Run()
        self._shared = 0.0  # seconds of the whole database that heartbeats and looks took
        moment = 0.0
        for job in range(jobs):
            moment += self._chance.expovariate(rate) if rate else 0.0
            self._arrived.append(moment)
            self._at(moment, ARRIVAL, job)

    def run(self) -> Run:
        """Until every job is done."""
        then = 0.0
        while self._events and self._out.done < len(self._arrived):
            now, _, kind, job = heapq.heappop(self._events)
            self._shared += (now - then) * self._database.background(self._fleet.workers - self._idle)
            then = now
            if kind == ARRIVAL:
                self._queue.append(job)
            elif kind == START:
                self._begin(now, job)
            elif kind == MADE:
                busy = self._fleet.workers - self._idle
                self._at(self._database.serve(now, self._fleet.publish, busy), END, job)
            elif kind == END:
                self._out.done += 1
                self._out.seconds = now
                self._idle += 1
            elif kind == DEATH:
                self._out.restarted += 1
                self._queue.appendleft(job)
            else:
                self._idle += 1
            while self._idle and self._queue:
                self._idle -= 1
                end = self._database.serve(now, self._fleet.claim, self._fleet.workers - self._idle)
                self._at(end, START, self._queue.popleft())
        slots = self._fleet.database_parallel * max(then, 1e-9)
        self._out.database_busy = self._database.busy / slots + self._shared / max(then, 1e-9)
        return self._out

    def _begin(self, now: float, job: int) -> None:
        if job not in self._started:
            self._started.add(job)
            self._out.waits.append(now - self._arrived[job])
        takes = self._chance.choice(self._times)
        dies = self._chance.expovariate(1 / self._fleet.between_failures)
        if dies < takes:
            self._at(now + dies + self._fleet.noticed, DEATH, job)
            self._at(now + dies + self._fleet.noticed + self._fleet.load, BACK, job)
        else:
            self._at(now + takes, MADE, job)

    def _at(self, moment: float, kind: int, job: int) -> None:
        self._count += 1
        heapq.heappush(self._events, (moment, self._count, kind, job))


def read_times(path: Path) -> list[float]:
    """Measured seconds per job, one a line. Raises `ValueError` for a line that is no number above 0."""
    times = [float(line) for line in path.read_text().split()]
    if not times or min(times) <= 0:
        raise ValueError(f"{path}: needs at least one time, all above 0")
    return times


def assumed_times(median: float = 90.0, spread: float = 0.3, count: int = 2000, seed: int = 1) -> list[float]:
    """A log-normal stand-in for a large model, where nothing was measured."""
    return [float(value) for value in np.random.default_rng(seed).lognormal(np.log(median), spread, count)]


def sweep(times: Sequence[float], fleet: Fleet | None = None, *, seed: int = 1) -> list[dict[str, object]]:
    """One row per number of workers: jobs an hour with a full queue, waiting at each load, the database."""
    base = fleet or Fleet(workers=1)
    return [_row(replace(base, workers=workers), times, seed) for workers in WORKERS]


def _row(fleet: Fleet, times: Sequence[float], seed: int) -> dict[str, object]:
    mean = sum(times) / len(times)
    jobs = min(MOST_JOBS, max(FEWEST_JOBS, JOBS_PER_WORKER * fleet.workers))
    full = Simulation(fleet, times, jobs=jobs, rate=0.0, seed=seed).run()
    row: dict[str, object] = {
        "workers": fleet.workers,
        "jobs_per_h": round(3600 * full.done / full.seconds),
        "of_ideal": round(full.done / full.seconds * mean / fleet.workers, 3),
    }
    for load in LOADS:
        some = Simulation(fleet, times, jobs=jobs, rate=load * fleet.workers / mean, seed=seed).run()
        name = f"at_{load:.0%}".replace("%", "")
        row[f"{name}_wait_p50_s"] = round(some.wait(50), 1)
        row[f"{name}_wait_p99_s"] = round(some.wait(99), 1)
        row[f"{name}_restarts"] = some.restarted
        row[f"{name}_database"] = round(some.database_busy, 3)
    return row


def plot(rows: Sequence[dict[str, object]], path: Path) -> None:
    """Throughput against the ideal, and waiting at each load, over the number of workers."""
    mpl.use("Agg")
    from matplotlib import pyplot

    workers = [_number(row, "workers") for row in rows]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4))
    ideal = _number(rows[0], "jobs_per_h") / _number(rows[0], "of_ideal")
    left.loglog(workers, [ideal * count for count in workers], color="#bbbbbb", label="ideal")
    left.loglog(workers, [_number(row, "jobs_per_h") for row in rows], "o-", label="simulated", markersize=3)
    left.set(xlabel="workers", ylabel="jobs an hour, full queue")
    for load in LOADS:
        name = f"at_{load:.0%}".replace("%", "") + "_wait_p99_s"
        waits = [_number(row, name) for row in rows]
        right.semilogx(workers, waits, "o-", label=f"{load:.0%} load", markersize=3)
    right.set(xlabel="workers", ylabel="wait, 99th percentile, s")
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.grid(visible=True, alpha=0.2)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _number(row: dict[str, object], name: str) -> float:
    return float(str(row[name]))
