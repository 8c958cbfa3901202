"""What a job is: one row, its states, and the right of one worker to write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from watermark import MediaId

QUEUED, IN_PROGRESS, COMPLETED, FAILED = "queued", "in_progress", "completed", "failed"
"""The only states that clients of the `openai` SDK know; any other ends their polling."""
CANCELLED_CODE = "cancelled"
ATTEMPTS_CODE = "attempts_exhausted"
DISK_FULL_CODE = "disk_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row of `jobs`, as it was when read."""

    id: str
    tenant: str
    kind: str
    status: str
    priority: int
    progress: int
    model: str
    request: dict[str, Any]
    request_digest: str
    idempotency_key: str | None
    media_id: int
    decision_id: str | None
    credits: int
    from_retry: bool
    attempts: int
    quality_retries: int
    fence: int
    worker: str | None
    lease_until: datetime | None
    cancel_requested: bool
    error_code: str | None
    error_message: str | None
    result: dict[str, Any] | None
    stored_bytes: int
    traceparent: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    expires_at: datetime | None
    deleted_at: datetime | None

    @property
    def medium(self) -> MediaId:
        """The media id reserved for this job."""
        return MediaId(self.media_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What a client asks for, after the guard has passed it.

    `credits` are what it costs if it succeeds. `automatic`: the client's library sent it as a repetition of
    a request that it does not name; `arrived_at` is when the request came in.
    """

    tenant: str
    kind: str
    model: str
    request: Mapping[str, Any]
    digest: str
    idempotency_key: str | None = None
    decision_id: str | None = None
    priority: int = 0
    credits: int = 0
    automatic: bool = False
    arrived_at: datetime | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one worker to write one job, until another one takes it."""

    job: Job
    fence: int
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """Durations and counts; the settings of the same names say what they are for.

    A tenant's own row may say otherwise for `retention` and the last five. `daily_credits` and
    `max_stored_bytes` None: no limit.
    """

    lease: timedelta = timedelta(seconds=30)
    retention: timedelta = timedelta(hours=24)
    max_attempts: int = 3
    quality_retries: int = 2
    max_queued: int = 1000
    max_running: int = 8
    max_priority: int = 0
    daily_credits: int | None = None
    max_stored_bytes: int | None = None
