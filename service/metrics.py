"""What Prometheus reads: counts and times of this machine's processes, gauges of the whole installation.

API process and workers add to files in one folder, which `assay serve` makes and names in
`PROMETHEUS_MULTIPROC_DIR` before this module is imported (that is when `prometheus_client` looks); without it
a process counts for itself. Labels are bounded: routes as declared, never paths, tenants or prompts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from service.settings import METRICS_FOLDER

if TYPE_CHECKING:
    from service.wiring import Services

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
STAGE_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
REQUEST_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)
_REGISTRY: Final = CollectorRegistry()

REQUESTS: Final = Histogram(
    "assay_http_request_seconds",
    "HTTP requests by route and status.",
    ("method", "route", "status"),
    buckets=REQUEST_BUCKETS,
    registry=_REGISTRY,
)
DECISIONS: Final = Counter(
    "assay_decisions",
    "Decisions of the guard by stage and outcome.",
    ("stage", "outcome"),
    registry=_REGISTRY,
)
STAGES: Final = Histogram(
    "assay_stage_seconds",
    "Seconds that a stage of a job took.",
    ("stage", "model"),
    buckets=STAGE_BUCKETS,
    registry=_REGISTRY,
)
RUNS: Final = Counter(
    "assay_runs",
    "Attempts at jobs by how they ended: completed, or the code of the failure.",
    ("model", "outcome"),
    registry=_REGISTRY,
)
VERDICTS: Final = Counter("assay_verdicts", "Verifications by verdict.", ("verdict",), registry=_REGISTRY)


class _Installation:
    """Gauges that are read from the database and the disk when they are asked for."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        services = self._services
        jobs = GaugeMetricFamily("assay_jobs", "Jobs by status.", labels=("status",))
        for status, count in services.jobs.counts().items():
            jobs.add_metric((status,), count)
        yield jobs
        window = timedelta(seconds=services.settings.lease_seconds)
        yield _gauge("assay_workers", "Workers seen of late.", len(services.workers.alive(window)))
        oldest = services.jobs.oldest_queued()
        yield _gauge(
            "assay_oldest_queued_seconds", "Age of the oldest job that waits.", _age(services, oldest)
        )
        yield _gauge("assay_stored_bytes", "What all finished files take up.", services.jobs.stored_bytes())
        yield _gauge("assay_free_bytes", "Free disk where files are made.", services.media.free())


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _age(services: Services, moment: datetime | None) -> float:
    return 0.0 if moment is None else max(0.0, (services.clock() - moment).total_seconds())


def exposition(services: Services) -> bytes:
    """Everything, in Prometheus' text format."""
    counted = _REGISTRY
    if METRICS_FOLDER in os.environ:
        counted = CollectorRegistry()
        MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
    installation = CollectorRegistry()
    installation.register(_Installation(services))
    return generate_latest(counted) + generate_latest(installation)
