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
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from generator import Cancelled, QualityError, SelfCheckError
from guard import PolicyViolation
from service.errors import (
    ConfigurationError,
    JobCancelledError,
    LeaseLostError,
    ServiceError,
    StorageError,
)
from service.jobs import CANCELLED_CODE, DISK_FULL_CODE, Lease
from service.logs import start_logging
from service.production import Producer, system_spec
from service.settings import LOG_FORMAT, Settings
from service.startup import started
from service.store.media import is_disk_full
from service.store.patience import AWAY, patiently
from service.supervisor import EXIT_CONFIGURATION, worker_name
from service.telemetry import JobTrace, open_tracer
from service.watch import Watch
from service.wiring import Services, log_decision, open_services

log = logging.getLogger(__name__)

MODERATION_CODE = "moderation_blocked"
NICENESS = 10
"""Making a clip takes minutes and an answer milliseconds: where both share processors, answers come first."""
JANITOR_PERIOD = timedelta(minutes=1)
COMPLAINT_SECONDS = 60.0
Load = Callable[[Services], Producer]
"""Loads what a worker makes jobs with."""


class Worker:
    """Claims jobs and runs them until told to stop."""

    def __init__(self, services: Services, producer: Producer, name: str) -> None:
        self._services = services
        self._producer = producer
        self._name = name
        self._model = system_spec(services.settings.model).name
        self._stop_at: float | None = None
        self._swept: float | None = None
        self._tracer = open_tracer(services.settings, "worker")
        self._doubted = False
        self._complained = 0.0
        self.draining = threading.Event()

    def retire(self) -> None:
        """Take no further job; the one that runs may end, however long it takes."""
        self.draining.set()

    def drain(self) -> None:
        """Take no further job; the one that runs has `drain_seconds` to end."""
        if self._stop_at is None:
            self._stop_at = time.monotonic() + self._services.settings.drain_seconds
        self.draining.set()

    def run(self) -> None:
        """Work until `drain` is called. A database that is away is waited for: the model stays loaded."""
        workers = self._services.workers
        patiently(lambda: workers.hello(self._name, self._model), sleep=self.draining.wait)
        while not self.draining.is_set():
            try:
                self._turn()
            except AWAY as error:
                log.warning("the database does not answer: %s", error.orig)
                self.draining.wait(self._services.settings.poll_seconds)
        self._services.signals.close()
        workers.goodbye(self._name)

    def work(self, lease: Lease) -> None:
        """Run one job to its end: published, failed, queued again, or given back."""
        log.info("job %s: attempt %d", lease.job.id, lease.job.attempts)
        period = self._services.settings.heartbeat_seconds
        with Watch(self._services.jobs, lease, self._must_stop, period) as watch:
            try:
                with JobTrace(self._tracer, lease.job, watch.progress) as spans:
                    self._producer.produce(lease, progress=spans.progress, cancelled=watch.cancelled)
            except LeaseLostError:
                log.warning("job %s: taken over by another worker", lease.job.id)
            except Cancelled:
                self._stopped(lease, watch.verdict)
            except PolicyViolation as violation:
                decision = violation
                patiently(lambda: log_decision(self._services, decision.decision))
                self._fail(lease, MODERATION_CODE, _refusal(violation))
            except (QualityError, SelfCheckError) as error:
                self._broken(lease, error)
            except Exception as error:
                self._failed(lease, error)
        patiently(lambda: self._producer.clean(lease))

    def _turn(self) -> None:
        """Look for a job once, and make it."""
        services, now = self._services, time.monotonic()
        services.workers.seen(self._name)
        if self._swept is None or now - self._swept >= JANITOR_PERIOD.total_seconds():
            self._swept = now
            services.sweep()
        lease = services.jobs.claim(self._name, self._model) if self._can_store() else None
        if lease is None:
            services.signals.wait(services.settings.poll_seconds, self.draining)
        else:
            self.work(lease)

    def _can_store(self) -> bool:
        """Whether there is room for another file. While there is none, jobs wait in the queue."""
        media, least = self._services.media, self._services.settings.min_free_bytes
        try:
            free = media.free()
            if free < least:
                raise StorageError(f"{free} bytes are free, ASSAY_MIN_FREE_BYTES is {least}")
            if self._doubted:
                media.probe()
        except (OSError, StorageError) as error:
            if not self._doubted or time.monotonic() - self._complained >= COMPLAINT_SECONDS:
                log.error("no job is taken: %s", error)
                self._complained = time.monotonic()
            self._doubted = True
            return False
        self._doubted = False
        return True

    def _failed(self, lease: Lease, error: Exception) -> None:
        """A store that is away or full puts the job back, for it is nobody's fault; all else ends it."""
        if isinstance(error, StorageError) or is_disk_full(error):
            log.error("job %s goes back to the queue: %s", lease.job.id, error)
            self._doubted = True
            if patiently(lambda: self._services.jobs.put_back(lease)):
                return
            self._fail(lease, DISK_FULL_CODE, "The storage did not take the file.")
            return
        log.error("job %s failed", lease.job.id, exc_info=error)
        self._fail(lease, getattr(error, "reason", "internal_error"), _message(error))

    def _must_stop(self) -> bool:
        return self._stop_at is not None and time.monotonic() >= self._stop_at

    def _broken(self, lease: Lease, error: QualityError | SelfCheckError) -> None:
        if patiently(lambda: self._services.jobs.retry_quality(lease)):
            log.warning("job %s: made again with another seed: %s", lease.job.id, error)
        else:
            self._fail(lease, error.reason, _message(error))

    def _stopped(self, lease: Lease, verdict: ServiceError | None) -> None:
        if isinstance(verdict, JobCancelledError):
            self._fail(lease, CANCELLED_CODE, "Cancelled while it ran.")
        elif verdict is None:
            patiently(lambda: self._services.jobs.give_back(lease))

    def _fail(self, lease: Lease, code: str, message: str) -> None:
        patiently(lambda: self._services.jobs.fail(lease, code, message))


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


def stop_with_parent(stop: Callable[[], None]) -> None:
    """Call `stop` when standard input ends: the process that started this one is gone."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 64):  # not sys.stdin: its lock would be held at exit
            pass
        stop()

    threading.Thread(target=wait, name="parent", daemon=True).start()


def load_worker(name: str, environ: Mapping[str, str], load: Load = Producer.load) -> Worker:
    """A worker with its model loaded. Raises `ConfigurationError` where it cannot work as configured."""
    try:
        services = open_services(Settings.from_env(environ))
        return Worker(services, load(services), name)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def main(load: Load = Producer.load) -> int:
    """Entry of the process. Exit code 2: it cannot work as configured, so it is not to be started again."""
    start_logging("worker", os.environ.get(LOG_FORMAT, "text"))
    name = sys.argv[1] if len(sys.argv) > 1 else worker_name()
    try:
        worker = load_worker(name, os.environ, load)
    except ConfigurationError as error:
        log.error("%s", error)
        return EXIT_CONFIGURATION
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.drain())
    stop_with_parent(worker.drain)
    started()
    os.nice(NICENESS)  # loaded by now: a worker that was killed is back as soon as the machine allows
    worker.run()
    return 0
