"""Keeps one lease alive while its job is made, and says when to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

from service.errors import JobCancelledError, LeaseLostError, ServiceError
from service.jobs import JobStore, Lease

log = logging.getLogger(__name__)

CHECK_SECONDS = 0.05
"""Between two looks at the row: less than the shortest step of a model, more than a look costs."""


class Watch:
    """A heartbeat from a thread of its own.

    `cancelled` is what the sampling loop asks between steps, and it looks: a job cancelled during one step
    does not begin the next. `progress` is what the loop tells. `stop_now` says that the process has to end.
    """

    def __init__(self, jobs: JobStore, lease: Lease, stop_now: Callable[[], bool], period: float) -> None:
        self._jobs = jobs
        self._lease = lease
        self._stop_now = stop_now
        self._period = period
        self._done = threading.Event()
        self._percent = 0
        self._checked = time.monotonic()
        self.verdict: ServiceError | None = None
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def cancelled(self) -> bool:
        """Whether to stop: the job is not wanted, is somebody else's, or the process ends."""
        if self.verdict is None and time.monotonic() - self._checked >= CHECK_SECONDS:
            self._checked = time.monotonic()
            self._ask(lambda: self._jobs.check(self._lease))
        return self.verdict is not None or self._stop_now()

    def progress(self, stage: str, fraction: float) -> None:
        """Sampling is nearly all of the time; what follows it is the last tenth."""
        if stage == "sample":
            self._percent = min(99, round(90 * fraction))
        elif stage != "guard":
            self._percent = max(self._percent, 90)

    def _beat(self) -> None:
        while not self._done.wait(self._period) and self.verdict is None:
            self._ask(lambda: self._jobs.heartbeat(self._lease, self._percent))

    def _ask(self, look: Callable[[], None]) -> None:
        try:
            look()
        except (LeaseLostError, JobCancelledError) as error:
            self.verdict = error
        except Exception:  # a database that is away for a moment must not end a good job
            log.warning("job %s: the database does not answer", self._lease.job.id, exc_info=True)
