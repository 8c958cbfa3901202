"""How a job ends when making it fails: real job store and guard, a producer that fails as told."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from generator import Cancelled, QualityError
from guard import GuardRequest, Stage, Text
from service.errors import LeaseLostError
from service.jobs import FAILED, IN_PROGRESS, QUEUED, Lease
from service.keys import create_keys
from service.production import Producer
from service.settings import Settings
from service.wiring import Services, build_guard, open_services
from service.worker import Worker
from tests.service.conftest import MODEL, new_job


class Fails:
    """A producer whose jobs all end with `error`, after `before` was called with the job's lease."""

    def __init__(self, error: Exception, before: Callable[..., None] = lambda *_: None) -> None:
        self.error = error
        self.before = before

    def produce(self, lease: Lease, *, progress: Any, cancelled: Callable[[], bool]) -> None:
        progress("sample", 0.5)
        self.before(lease, cancelled)
        raise self.error

    def clean(self, lease: Lease) -> None:
        """Nothing was made."""


@pytest.fixture
def services(tmp_path: Path) -> Services:
    settings = Settings(home=tmp_path, heartbeat_seconds=0.02, lease_seconds=5)
    create_keys(settings.keys, now=datetime.now(UTC))
    return open_services(settings)


def run(services: Services, producer: Fails) -> tuple[Worker, str]:
    """One job through one worker; returns its id."""
    job, _ = services.jobs.submit(new_job())
    lease = services.jobs.claim("w", MODEL)
    assert lease is not None
    worker = Worker(services, cast(Producer, producer), "w")
    worker.work(lease)
    return worker, job.id


def wait_until_told(lease: Lease, cancelled: Callable[[], bool]) -> None:
    while not cancelled():
        time.sleep(0.01)


def test_a_known_failure_keeps_its_reason_and_its_advice(services: Services) -> None:
    _, job_id = run(services, Fails(QualityError("the clip is black; try another seed")))
    job = services.jobs.get("ada", job_id)
    assert (job.status, job.error_code) == (FAILED, "quality_check_failed")
    assert job.error_message == "the clip is black; try another seed"


def test_an_unknown_failure_does_not_quote_the_request(services: Services) -> None:
    _, job_id = run(services, Fails(ValueError("bad prompt: my secret")))
    job = services.jobs.get("ada", job_id)
    assert (job.status, job.error_code) == (FAILED, "internal_error")
    assert "secret" not in (job.error_message or "")


def test_a_refused_result_is_blocked_and_logged(services: Services) -> None:
    guard = build_guard(services.settings)
    asked = GuardRequest(Stage.PROMPT, (Text("prompt", "press photo of Angela Merkel"),), tenant="ada")
    with pytest.raises(Exception, match="decision") as caught:
        guard.enforce(asked)
    _, job_id = run(services, Fails(caught.value))
    job = services.jobs.get("ada", job_id)
    assert (job.status, job.error_code) == (FAILED, "moderation_blocked")
    assert len(services.decisions.reasons("ada")) == 1
    assert services.decisions.reasons("bob") == []


def test_a_job_that_was_cancelled_stops(services: Services) -> None:
    def cancel(lease: Lease, cancelled: Callable[[], bool]) -> None:
        services.jobs.cancel("ada", lease.job.id)
        wait_until_told(lease, cancelled)

    _, job_id = run(services, Fails(Cancelled("x"), cancel))
    assert services.jobs.get("ada", job_id).error_code == "cancelled"


def test_a_worker_that_drains_gives_its_job_back(services: Services) -> None:
    job, _ = services.jobs.submit(new_job())
    lease = services.jobs.claim("w", MODEL)
    assert lease is not None
    worker = Worker(services, cast(Producer, Fails(Cancelled("x"), wait_until_told)), "w")
    worker.drain()
    worker.work(lease)
    again = services.jobs.get("ada", job.id)
    assert (again.status, again.attempts) == (QUEUED, 0)


def test_a_worker_that_lost_its_lease_leaves_the_job_alone(services: Services) -> None:
    def taken_over(lease: Lease, cancelled: Callable[[], bool]) -> None:
        other = None
        while other is None:  # a heartbeat may come in between
            services.jobs.release_worker("w")
            other = services.jobs.claim("other", MODEL)
        wait_until_told(lease, cancelled)

    for error in (Cancelled("x"), LeaseLostError("x")):
        _, job_id = run(services, Fails(error, taken_over))
        job = services.jobs.get("ada", job_id)
        assert (job.status, job.worker, job.fence) == (IN_PROGRESS, "other", 2)
        services.jobs.cancel("ada", job_id)
        services.jobs.delete("ada", job_id)


def test_the_sweep_removes_what_is_old_and_nothing_else(services: Services) -> None:
    old = services.settings.scratch / "old"
    young = services.settings.scratch / "young"
    reference = services.settings.references / "0"
    for path in (old, young):
        path.touch()
    reference.mkdir()
    for path in (old, reference):
        os.utime(path, (0, 0))
    services.sweep()
    assert [path.exists() for path in (old, young, reference)] == [False, True, False]
