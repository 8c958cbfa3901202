"""The worker process (`supervisor.WORKER`). Loads the system once and makes one job after another.

It ends when its parent does: the parent holds the other end of its standard input, and a worker
whose input closes gives its job back and stops.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType

from generator import Cancelled
from guard import PolicyViolation
from service.errors import ConfigurationError, JobCancelledError, LeaseLostError, ServiceError
from service.jobs import CANCELLED_CODE, JobStore, Lease
from service.production import Producer
from service.settings import Settings
from service.supervisor import EXIT_CONFIGURATION, worker_name
from service.wiring import Services, log_decision, open_services, start_logging

log = logging.getLogger(__name__)

MODERATION_CODE = "moderation_blocked"
JANITOR_PERIOD = timedelta(minutes=1)


class Watch:
    """Keeps one lease alive from a thread of its own, and knows when to stop.

    `cancelled` is what the sampling loop asks between steps; `progress` is what it tells.
    """

    def __init__(self, jobs: JobStore, lease: Lease, draining: threading.Event, period: float) -> None:
        self._jobs = jobs
        self._lease = lease
        self._draining = draining
        self._period = period
        self._done = threading.Event()
        self._percent = 0
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
        return self._draining.is_set() or self.verdict is not None

    def progress(self, stage: str, fraction: float) -> None:
        """Sampling is nearly all of the time; what follows it is the last tenth."""
        self._percent = min(99, round(90 * fraction)) if stage == "sample" else max(self._percent, 90)

    def _beat(self) -> None:
        while not self._done.wait(self._period):
            try:
                self._jobs.heartbeat(self._lease, self._percent)
            except (LeaseLostError, JobCancelledError) as error:
                self.verdict = error
                return
            except Exception:  # a database that is away for a moment must not end a good job
                log.warning("job %s: heartbeat failed", self._lease.job.id, exc_info=True)


class Worker:
    """Claims jobs and runs them until told to stop."""

    def __init__(self, services: Services, producer: Producer, name: str) -> None:
        self._services = services
        self._producer = producer
        self._name = name
        self.draining = threading.Event()

    def run(self) -> None:
        """Work until `draining` is set."""
        settings, workers = self._services.settings, self._services.workers
        workers.hello(self._name, settings.model)
        swept = None
        while not self.draining.is_set():
            workers.seen(self._name)
            now = self._services.clock()
            if swept is None or now - swept >= JANITOR_PERIOD:
                swept = now
                self._services.sweep()
            lease = self._services.jobs.claim(self._name)
            if lease is None:
                self.draining.wait(settings.poll_seconds)
            else:
                self.work(lease)
        workers.goodbye(self._name)

    def work(self, lease: Lease) -> None:
        """Run one job to its end: published, failed, or given back."""
        log.info("job %s: attempt %d", lease.job.id, lease.job.attempts)
        with Watch(
            self._services.jobs, lease, self.draining, self._services.settings.heartbeat_seconds
        ) as watch:
            try:
                self._producer.produce(lease, progress=watch.progress, cancelled=watch.cancelled)
            except LeaseLostError:
                log.warning("job %s: taken over by another worker", lease.job.id)
            except Cancelled:
                self._stopped(lease, watch.verdict)
            except PolicyViolation as violation:
                log_decision(self._services, violation.decision)
                self._services.jobs.fail(lease, MODERATION_CODE, _refusal(violation))
            except Exception as error:
                log.exception("job %s failed", lease.job.id)
                self._services.jobs.fail(lease, getattr(error, "reason", "internal_error"), _message(error))
        self._producer.clean(lease)

    def _stopped(self, lease: Lease, verdict: ServiceError | None) -> None:
        if isinstance(verdict, JobCancelledError):
            self._services.jobs.fail(lease, CANCELLED_CODE, "Cancelled while it ran.")
        elif verdict is None:
            self._services.jobs.give_back(lease)


def _refusal(violation: PolicyViolation) -> str:
    return f"The policy refused the result; decision {violation.decision.decision_id}."


def _message(error: Exception) -> str:
    """Errors of the product say what to do; others may quote the request, so their kind alone is shown."""
    known = hasattr(error, "reason") or isinstance(error, ServiceError)
    return (
        str(error)
        if known
        else f"The job failed with {type(error).__name__}; the worker's log has the details."
    )


def _stop_with_parent(stop: Callable[[], None]) -> None:
    """Call `stop` when standard input ends: the process that started this one is gone."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 64):  # not sys.stdin: its lock would be held at exit
            pass
        stop()

    threading.Thread(target=wait, name="parent", daemon=True).start()


def main() -> int:
    """Entry of the process. Exit code 2: it cannot work as configured, so it is not to be started again."""
    start_logging("worker")
    name = sys.argv[1] if len(sys.argv) > 1 else worker_name()
    try:
        services = open_services(Settings.from_env(os.environ))
        worker = Worker(services, Producer.load(services), name)
    except (ConfigurationError, ValueError) as error:
        log.error("%s", error)
        return EXIT_CONFIGURATION
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.draining.set())
    _stop_with_parent(worker.draining.set)
    worker.run()
    return 0
