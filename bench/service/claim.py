"""How long a claim takes in a queue of a hundred thousand jobs."""

from __future__ import annotations

import secrets
import sys
import time
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import Connection, insert

from service.jobs import JobLimits, JobStore
from service.store.database import Database, open_database
from service.store.tables import jobs, media_ids, tenants

MODEL = "assay-tiny"
BATCH = 5_000
START = datetime(2026, 1, 1, tzinfo=UTC)


def run(url: str, *, queued: int, owners: int, claims: int) -> dict[str, object]:
    """Fill a fresh database with `queued` jobs of `owners` tenants, then claim and give up `claims` of them.

    Milliseconds of wall and of processor time per claim, which includes the commit.
    """
    database = open_database(url)
    _fill(database, queued, owners)
    store = JobStore(database, JobLimits(max_running=10**6), clock=lambda: datetime.now(UTC))
    wall, processor = [], []
    for index in range(claims):
        started, used = time.perf_counter(), time.thread_time()
        lease = store.claim(f"worker-{index % 8}", MODEL)
        wall.append(1000 * (time.perf_counter() - started))
        processor.append(1000 * (time.thread_time() - used))
        if lease is None:
            raise RuntimeError("the queue ran dry")
        store.fail(lease, "cancelled", "bench")
    database.close()
    return {
        "database": "postgresql" if url.startswith("postgresql") else "sqlite",
        "queued": queued,
        "tenants": owners,
        "claims": claims,
        **{f"wall_p{q}_ms": round(float(np.percentile(wall, q)), 2) for q in (50, 95, 99)},
        "cpu_p99_ms": round(float(np.percentile(processor, 99)), 2),
        "wall_max_ms": round(max(wall), 2),
    }


def _fill(database: Database, queued: int, owners: int) -> None:
    names = [f"tenant-{index:04d}" for index in range(owners)]
    with database.writing() as connection:
        connection.execute(insert(tenants), [{"name": name, "created_at": START} for name in names])
    for begin in range(0, queued, BATCH):
        with database.writing() as connection:
            _batch(connection, names, range(begin, min(begin + BATCH, queued)))
        print(f"{min(begin + BATCH, queued)} of {queued} queued", file=sys.stderr, flush=True)


def _batch(connection: Connection, names: list[str], numbers: range) -> None:
    connection.execute(insert(media_ids), [{"value": number, "reserved_at": START} for number in numbers])
    rows = [
        {
            "id": f"video_{secrets.token_hex(16)}",
            "tenant": names[number % len(names)],
            "kind": "video",
            "status": "queued",
            "priority": number % 3,
            "progress": 0,
            "model": MODEL,
            "request": {"prompt": "a boat on a calm sea", "frames": 25, "fps": 12.0},
            "request_digest": secrets.token_hex(32),
            "media_id": number,
            "credits": 3,
            "attempts": 0,
            "fence": 0,
            "cancel_requested": False,
            "created_at": START + timedelta(seconds=number),
        }
        for number in numbers
    ]
    connection.execute(insert(jobs), rows)
