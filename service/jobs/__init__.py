"""Durable jobs: a row is the truth, a lease says who works on it, a fence number refuses latecomers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

from service.jobs.claiming import Claiming
from service.jobs.demand import Demand, Demanding
from service.jobs.leases import Leasing
from service.jobs.model import (
    ATTEMPTS_CODE,
    CANCELLED_CODE,
    COMPLETED,
    DISK_FULL_CODE,
    FAILED,
    IN_PROGRESS,
    QUEUED,
    Job,
    JobLimits,
    Lease,
    NewJob,
)
from service.jobs.reading import Reading, present
from service.jobs.submission import Submission
from service.store.database import Database

__all__ = [
    "ATTEMPTS_CODE",
    "CANCELLED_CODE",
    "COMPLETED",
    "DISK_FULL_CODE",
    "FAILED",
    "IN_PROGRESS",
    "QUEUED",
    "Demand",
    "Job",
    "JobLimits",
    "JobStore",
    "Lease",
    "NewJob",
    "present",
]


class JobStore(Submission, Claiming, Leasing, Reading, Demanding):
    """All reads and writes of the job table, one part per reader of it: clients, workers, operators,
    fleets."""

    def __init__(
        self,
        database: Database,
        limits: JobLimits,
        *,
        clock: Callable[[], datetime],
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        super().__init__(database, limits, clock=clock, token_bytes=token_bytes)
