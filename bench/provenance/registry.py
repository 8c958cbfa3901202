"""How long does a byBinding look-up take among ten million records?"""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import track

from bench.provenance.rows import Row, show, write_summary
from service.store.database import open_database
from service.store.records import SqlRegistry
from watermark import MediaId

COUNT: Final = 10_000_000
LOOKUPS: Final = 20_000
BATCH: Final = 100_000
MANIFEST_BYTES: Final = 64
"""Stand-in for a manifest of 13 kB, which the look-up never reads: SQLite keeps long ones in pages of their
own."""
_STEP: Final = 0x9E3779B97F4A7C15 & ((1 << 48) - 1) | 1
"""Odd, so that number -> number * step mod 2^48 gives every id once, in no order."""


def media_id(number: int) -> int:
    """Id of record `number`: spread over the 48 bits as drawn ones are."""
    return number * _STEP % (1 << 48)


def fill(path: Path, count: int) -> None:
    """Write records until there are `count`; a run that was stopped goes on, one with another count does
    not."""
    open_database(f"sqlite:///{path}").close()
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-500000")
    done = connection.execute("SELECT count(*) FROM records").fetchone()[0]
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.000000")
    blob = bytes(MANIFEST_BYTES)
    batches = range(done, count, BATCH)
    every = np.sort(np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_STEP) % np.uint64(1 << 48))
    for start in track(batches, "records", console=Console(stderr=True)):
        ids = every[start : start + BATCH].tolist()  # in order: SQLite only appends
        with connection:
            connection.executemany("INSERT INTO media_ids VALUES (?, ?)", [(i, now) for i in ids])
            connection.executemany(
                "INSERT INTO records"
                " (media_id, key_id, manifest_label, manifest, digests, tenant, created_at)"
                " VALUES (?, '0.0', ?, ?, '{}', 'bench', ?)",
                [(i, f"urn:c2pa:{i:012x}-0000-4000-8000-{i:012x}", blob, now) for i in ids],
            )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def measure(path: Path, count: int, lookups: int) -> dict[str, list[float]]:
    """Milliseconds of look-ups of known and of unknown ids, through the registry that the service uses."""
    registry = SqlRegistry(open_database(f"sqlite:///{path}"), clock=lambda: datetime.now(UTC))
    rng = np.random.default_rng(1)
    numbers = rng.integers(1, count + 1, lookups)
    asked = {
        "known": [media_id(int(number)) for number in numbers],
        "unknown": [media_id(int(number) + count) for number in numbers],
    }
    times: dict[str, list[float]] = {}
    for name, ids in asked.items():
        times[name], times[f"{name}, processor time"] = [], []
        for value in ids:
            start, worked = time.perf_counter(), time.thread_time()
            label = registry.label_of(MediaId(value))
            times[name].append(1000 * (time.perf_counter() - start))
            times[f"{name}, processor time"].append(1000 * (time.thread_time() - worked))
            if (label is None) is (name == "known"):
                raise RuntimeError(f"{value:012x}: {name}, but the registry says {label}")
    return times


def run(out: Path, count: int = COUNT, lookups: int = LOOKUPS) -> Row:
    """Fill the registry, measure, print the table, write the summary and return it."""
    path = out / "registry.db"
    fill(path, count)
    times = measure(path, count, lookups)
    shares = {name: np.percentile(values, (50, 95, 99)) for name, values in times.items()}
    lines = [(name, lookups, *(f"{value:.3f}" for value in shares[name])) for name in shares]
    show(f"byBinding among {count:,} records", ("id", "look-ups", "p50 ms", "p95 ms", "p99 ms"), lines)
    summary: Row = {
        "records": count,
        "megabytes": path.stat().st_size >> 20,
        "p50_ms": {name: round(float(values[0]), 3) for name, values in shares.items()},
        "p99_ms": {name: round(float(values[2]), 3) for name, values in shares.items()},
    }
    write_summary(out / "registry.json", summary)
    return summary
