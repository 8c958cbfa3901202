"""Fair shares, priorities, credits, dead letters, retries for quality: on SQLite and on PostgreSQL."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from service.errors import Problem
from service.jobs import COMPLETED, FAILED, IN_PROGRESS, QUEUED, JobLimits, JobStore, Lease
from service.store.database import Database
from service.store.tables import charges, tenants
from tests.service.conftest import LEASE, MODEL, Clock, new_job
from tests.service.test_jobs import RESULT, claim, record_of


def served(jobs: JobStore, clock: Clock, count: int) -> list[str]:
    """Tenants of the next `count` jobs, each finished before the next is claimed."""
    order = []
    for _ in range(count):
        lease = claim(jobs)
        order.append(lease.job.tenant)
        jobs.publish(lease, record_of(lease), RESULT)
        clock.forward(timedelta(seconds=1))
    return order


def balance(database: Database) -> dict[str, int]:
    query = select(charges.c.state, func.sum(charges.c.credits)).group_by(charges.c.state)
    with database.reading() as connection:
        return {state: int(total) for state, total in connection.execute(query).all()}


def test_long_jobs_count_for_more(jobs: JobStore, clock: Clock) -> None:
    for _ in range(3):
        jobs.submit(new_job("long", credits=4))
    for _ in range(8):
        jobs.submit(new_job("short", credits=1))
    assert served(jobs, clock, 8).count("short") == 6  # four short ones for each long one, after the first


def test_a_weight_is_a_larger_share(jobs: JobStore, database: Database, clock: Clock) -> None:
    for _ in range(6):
        jobs.submit(new_job("half", credits=2))
        jobs.submit(new_job("whole", credits=2))
    with database.writing() as connection:
        connection.execute(update(tenants).where(tenants.c.name == "whole").values(weight=2.0))
    assert served(jobs, clock, 6).count("whole") == 4


def test_who_was_idle_has_saved_nothing_up(jobs: JobStore, clock: Clock) -> None:
    jobs.submit(new_job("late"))
    assert served(jobs, clock, 1) == ["late"]
    for _ in range(6):
        jobs.submit(new_job("busy"))
    served(jobs, clock, 4)
    for _ in range(3):
        jobs.submit(new_job("late"))
    assert served(jobs, clock, 4) == ["late", "busy", "late", "busy"]


def test_priorities_are_granted(jobs: JobStore, database: Database) -> None:
    jobs.submit(new_job(priority=-7))
    with pytest.raises(Problem) as caught:
        jobs.submit(new_job(priority=10))
    assert (caught.value.status, caught.value.reason) == (403, "priority_not_allowed")
    with database.writing() as connection:
        connection.execute(update(tenants).values(max_priority=10))
    low, high = (jobs.submit(new_job(priority=priority))[0].id for priority in (-5, 10))
    assert [claim(jobs).job.id for _ in range(2)] == [high, low]


def test_jobs_of_another_model_are_left_alone(jobs: JobStore) -> None:
    jobs.submit(new_job(model="other"))
    assert jobs.claim("w", MODEL) is None
    assert jobs.claim("w", "other") is not None


@pytest.fixture
def paid(database: Database, clock: Clock) -> JobStore:
    return JobStore(database, JobLimits(lease=LEASE, daily_credits=10), clock=clock)


def test_credits_are_spent_by_what_succeeds_alone(paid: JobStore, database: Database, clock: Clock) -> None:
    for cost in (4, 3, 3):
        paid.submit(new_job(credits=cost))
    with pytest.raises(Problem) as caught:
        paid.submit(new_job(credits=1))
    assert (caught.value.status, caught.value.code) == (429, "insufficient_quota")
    assert not caught.value.retry
    paid.submit(new_job("bob", credits=10))
    done, failed = claim(paid), claim(paid)
    while done.job.tenant != "ada":
        done, failed = failed, claim(paid)
    paid.publish(done, record_of(done), RESULT)
    paid.publish(done, record_of(done), RESULT)  # the answer to the first one was lost
    paid.fail(failed, "sampling_failed", "x")
    paid.fail(failed, "sampling_failed", "x")
    assert balance(database)["settled"] == done.job.credits
    assert balance(database)["released"] == failed.job.credits
    assert paid.credits_left("bob", clock.now) in (0, 10)


def test_a_cancelled_or_deleted_job_costs_nothing(paid: JobStore, clock: Clock) -> None:
    first, second = (paid.submit(new_job(credits=5))[0] for _ in range(2))
    assert paid.credits_left("ada", clock.now) == 0
    paid.cancel("ada", first.id)
    paid.delete("ada", second.id)
    assert paid.credits_left("ada", clock.now) == 10


def test_the_allowance_is_of_a_day(paid: JobStore, clock: Clock) -> None:
    paid.submit(new_job(credits=10))
    clock.forward(timedelta(days=1))
    paid.submit(new_job(credits=10))


def test_a_tenant_may_have_limits_of_its_own(paid: JobStore, database: Database) -> None:
    paid.submit(new_job(credits=1))
    with database.writing() as connection:
        connection.execute(update(tenants).values(daily_credits=100, max_queued=2))
    paid.submit(new_job(credits=50))
    with pytest.raises(Problem, match="2 jobs"):
        paid.submit(new_job())


def test_a_worker_that_publishes_late_is_told(jobs: JobStore, clock: Clock) -> None:
    jobs.submit(new_job())
    stale = claim(jobs, "a")
    clock.forward(LEASE)
    fresh = claim(jobs, "b")
    jobs.publish(fresh, record_of(fresh), RESULT)
    for lease in (stale, Lease(fresh.job, fresh.fence, "c")):
        with pytest.raises(Exception, match="no longer current"):
            jobs.publish(lease, record_of(lease), {**RESULT, "file": "other"})


def test_broken_pictures_are_made_again_with_another_seed(jobs: JobStore) -> None:
    request = {"prompt": "x", "seed": 1, "seed_drawn": True, "frames": 9, "fps": 12.0}
    job, _ = jobs.submit(new_job(request=request, credits=2))
    seeds = set()
    for _ in range(2):
        lease = claim(jobs)
        seeds.add(lease.job.request["seed"])
        assert jobs.retry_quality(lease)
    last = claim(jobs)
    assert len(seeds | {last.job.request["seed"]}) == 3
    assert (last.job.attempts, last.job.quality_retries) == (1, 2)
    assert not jobs.retry_quality(last)
    assert jobs.get("ada", job.id).status == IN_PROGRESS


def test_a_seed_that_the_client_chose_is_kept(jobs: JobStore) -> None:
    jobs.submit(new_job(request={"prompt": "x", "seed": 1, "seed_drawn": False}))
    assert not jobs.retry_quality(claim(jobs))


def test_dead_letters_can_be_revived(jobs: JobStore, database: Database, clock: Clock) -> None:
    job, _ = jobs.submit(new_job(credits=2))
    for _ in range(3):
        claim(jobs)
        clock.forward(LEASE)
    assert jobs.claim("w", MODEL) is None
    assert [dead.id for dead in jobs.dead()] == [job.id]
    assert jobs.revive(job.id)
    assert not jobs.revive(job.id)
    assert jobs.dead() == []
    assert jobs.get("ada", job.id).status == QUEUED
    lease = claim(jobs)
    jobs.publish(lease, record_of(lease), RESULT)
    assert jobs.get("ada", job.id).status == COMPLETED
    assert balance(database) == {"released": 2}


def test_a_refused_job_is_no_dead_letter(jobs: JobStore) -> None:
    job, _ = jobs.submit(new_job())
    jobs.fail(claim(jobs), "moderation_blocked", "x")
    assert jobs.get("ada", job.id).status == FAILED
    assert jobs.dead() == []
    assert not jobs.revive(job.id)
