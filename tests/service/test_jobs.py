"""Durable jobs: claimed once, taken over once, published once, on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from provenance import Record
from service.errors import JobCancelledError, LeaseLostError, Problem
from service.jobs import COMPLETED, FAILED, IN_PROGRESS, QUEUED, JobLimits, JobStore, Lease
from service.jobs.submission import RETRY_WINDOW
from service.store.database import Database
from service.store.records import SqlRegistry
from service.store.tables import media_ids
from tests.service.conftest import LEASE, MODEL, NOW, Clock, new_job

RESULT = {"file": "x/1/x.mp4", "mime": "video/mp4", "bytes": 3, "provenance": {}}


def record_of(lease: Lease) -> Record:
    return Record(
        media_id=lease.job.medium,
        key_id="0.3",
        manifest_label=f"urn:c2pa:{lease.job.id}",
        manifest=b"manifest",
        fingerprint=None,
        created_at=NOW,
        tenant=lease.job.tenant,
        digests={"prompt": "hmac-sha256:" + "0" * 64},
    )


def claim(jobs: JobStore, worker: str = "w1") -> Lease:
    lease = jobs.claim(worker, MODEL)
    assert lease is not None
    return lease


def test_a_job_goes_from_queued_to_completed(jobs: JobStore, database: Database, clock: Clock) -> None:
    job, new = jobs.submit(new_job())
    assert new
    assert (job.status, job.progress, job.created_at) == (QUEUED, 0, NOW)
    lease = claim(jobs)
    assert (lease.job.id, lease.fence, lease.job.attempts) == (job.id, 1, 1)
    jobs.heartbeat(lease, 40)
    assert jobs.get("ada", job.id).progress == 40
    jobs.publish(lease, record_of(lease), RESULT)
    done = jobs.get("ada", job.id)
    assert (done.status, done.progress, done.result) == (COMPLETED, 100, RESULT)
    assert done.expires_at == clock.now + timedelta(hours=24)
    assert SqlRegistry(database, clock=clock).by_media_id(job.medium) == record_of(lease)
    assert jobs.claim("w1", MODEL) is None
    assert jobs.counts() == {QUEUED: 0, IN_PROGRESS: 0, COMPLETED: 1, FAILED: 0}


def test_an_expired_lease_is_taken_over_and_the_first_worker_can_write_nothing(
    jobs: JobStore, database: Database, clock: Clock
) -> None:
    job, _ = jobs.submit(new_job())
    stale = claim(jobs, "dead")
    assert jobs.claim("w2", MODEL) is None
    clock.forward(LEASE)
    fresh = claim(jobs, "w2")
    assert (fresh.job.id, fresh.fence, fresh.job.attempts) == (job.id, 2, 2)
    with pytest.raises(LeaseLostError):
        jobs.heartbeat(stale, 99)
    with pytest.raises(LeaseLostError):
        jobs.publish(stale, record_of(stale), RESULT)
    jobs.fail(stale, "x", "y")
    jobs.give_back(stale)
    assert jobs.get("ada", job.id).status == IN_PROGRESS
    assert SqlRegistry(database, clock=clock).by_media_id(job.medium) is None
    jobs.publish(fresh, record_of(fresh), RESULT)
    assert jobs.get("ada", job.id).status == COMPLETED


def test_a_failed_publication_leaves_neither_record_nor_completion(
    jobs: JobStore, database: Database, clock: Clock
) -> None:
    first, second = (jobs.submit(new_job())[0] for _ in range(2))
    lease, other = claim(jobs), claim(jobs)
    jobs.publish(lease, record_of(lease), RESULT)
    from provenance import RegistryError

    with pytest.raises(RegistryError):
        jobs.publish(other, record_of(lease), RESULT)
    assert {jobs.get("ada", job.id).status for job in (first, second)} == {COMPLETED, IN_PROGRESS}
    assert SqlRegistry(database, clock=clock).by_media_id(other.job.medium) is None


def test_heartbeats_keep_a_lease(jobs: JobStore, clock: Clock) -> None:
    jobs.submit(new_job())
    lease = claim(jobs)
    for _ in range(5):
        clock.forward(LEASE / 2)
        jobs.heartbeat(lease)
    assert jobs.claim("w2", MODEL) is None


def test_a_job_that_kills_its_workers_is_not_started_a_fourth_time(jobs: JobStore, clock: Clock) -> None:
    job, _ = jobs.submit(new_job())
    for attempt in range(3):
        assert claim(jobs, f"w{attempt}").job.attempts == attempt + 1
        clock.forward(LEASE)
    assert jobs.claim("w4", MODEL) is None
    dead = jobs.get("ada", job.id)
    assert (dead.status, dead.error_code) == (FAILED, "attempts_exhausted")


def test_a_worker_that_is_stopped_costs_no_attempt(jobs: JobStore) -> None:
    jobs.submit(new_job())
    for _ in range(5):
        jobs.give_back(claim(jobs))
    assert claim(jobs).job.attempts == 1


def test_the_lease_of_a_dead_worker_ends_at_once(jobs: JobStore) -> None:
    jobs.submit(new_job())
    claim(jobs, "dead")
    assert jobs.release_worker("dead") == 1
    assert claim(jobs, "w2").fence == 2


def test_a_worker_that_was_told_to_end_costs_no_attempt(jobs: JobStore) -> None:
    jobs.submit(new_job())
    claim(jobs, "slow")
    assert jobs.release_worker("slow", told=True) == 1
    assert claim(jobs, "w2").job.attempts == 1


def test_order_is_priority_then_fair_share_then_age(jobs: JobStore, clock: Clock) -> None:
    for name, tenant, priority in (
        ("big0", "big", 0), ("big1", "big", 0), ("big2", "big", 0), ("small0", "small", 0), ("vip0", "vip", 5)
    ):  # fmt: skip
        jobs.submit(new_job(tenant, priority=priority, digest=name))
        clock.forward(timedelta(seconds=1))
    order = []
    while (lease := jobs.claim("w", MODEL)) is not None:
        order.append(lease.job.request_digest)
        clock.forward(timedelta(seconds=1))
    assert order == ["vip0", "big0", "small0", "big1", "big2"]


def test_one_tenant_cannot_hold_every_worker(database: Database, clock: Clock) -> None:
    jobs = JobStore(database, JobLimits(max_running=2, max_priority=9), clock=clock)
    for tenant in ("big", "big", "big", "small"):
        jobs.submit(new_job(tenant))
    assert sorted(claim(jobs).job.tenant for _ in range(3)) == ["big", "big", "small"]
    assert jobs.claim("w", MODEL) is None


def test_a_full_queue_says_so(database: Database, clock: Clock) -> None:
    jobs = JobStore(database, JobLimits(max_queued=2), clock=clock)
    jobs.submit(new_job())
    jobs.submit(new_job())
    with pytest.raises(Problem) as caught:
        jobs.submit(new_job())
    assert (caught.value.status, caught.value.reason, caught.value.retry) == (429, "queue_full", True)
    jobs.submit(new_job("bob"))


def test_the_same_idempotency_key_is_the_same_job(jobs: JobStore) -> None:
    asked = new_job(idempotency_key="k1")
    first, new = jobs.submit(asked)
    again, again_new = jobs.submit(asked)
    assert (first.id, new, again_new) == (again.id, True, False)
    assert jobs.submit(new_job("bob", idempotency_key="k1"))[1]
    with pytest.raises(Problem) as caught:
        jobs.submit(new_job(idempotency_key="k1"))
    assert caught.value.status == 422


def test_many_clients_with_one_key_get_one_job(jobs: JobStore) -> None:
    asked = new_job(idempotency_key="k1")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: jobs.submit(asked), range(16)))
    assert len({job.id for job, _ in answers}) == 1
    assert sum(new for _, new in answers) == 1


def test_many_workers_claim_each_job_once(jobs: JobStore) -> None:
    wanted = {jobs.submit(new_job(f"t{index % 3}"))[0].id for index in range(12)}

    def work(name: int) -> list[str]:
        claimed = []
        while (lease := jobs.claim(f"w{name}", MODEL)) is not None:
            jobs.publish(lease, record_of(lease), RESULT)
            claimed.append(lease.job.id)
        return claimed

    with ThreadPoolExecutor(4) as pool:
        claimed = [job for jobs_of_one in pool.map(work, range(4)) for job in jobs_of_one]
    assert sorted(claimed) == sorted(wanted)


def test_an_automatic_retry_is_the_first_job(jobs: JobStore, clock: Clock) -> None:
    job, _ = jobs.submit(new_job(digest="d"))
    again = new_job(digest="d", automatic=True)
    assert jobs.submit(again)[0].id == job.id
    assert jobs.submit(new_job("bob", digest="d", automatic=True))[1]
    clock.forward(RETRY_WINDOW + timedelta(seconds=1))
    assert jobs.submit(again)[1]
    assert jobs.submit(new_job(digest="d"))[1]  # sent twice on purpose


def test_a_retry_that_overtakes_the_request_it_repeats(jobs: JobStore, clock: Clock) -> None:
    arrived = clock.now
    clock.forward(timedelta(seconds=1))
    retry, new = jobs.submit(new_job(digest="d", automatic=True, arrived_at=clock.now))
    assert new
    assert jobs.submit(new_job(digest="d", arrived_at=arrived))[0].id == retry.id
    clock.forward(timedelta(seconds=1))
    assert jobs.submit(new_job(digest="d", arrived_at=clock.now))[1]


def test_a_deleted_job_that_waits_never_starts(jobs: JobStore) -> None:
    job, _ = jobs.submit(new_job())
    jobs.delete("ada", job.id)
    assert jobs.claim("w", MODEL) is None
    with pytest.raises(Problem) as caught:
        jobs.get("ada", job.id)
    assert caught.value.status == 404


def test_a_deleted_job_that_runs_is_told_to_stop(jobs: JobStore, clock: Clock) -> None:
    job, _ = jobs.submit(new_job())
    lease = claim(jobs)
    jobs.delete("ada", job.id)
    with pytest.raises(JobCancelledError):
        jobs.heartbeat(lease)
    clock.forward(LEASE)
    assert jobs.claim("w2", MODEL) is None  # its worker died before it could stop: nobody starts it again


def test_a_cancelled_job_stays_visible_as_failed(jobs: JobStore) -> None:
    waiting, _ = jobs.submit(new_job())
    cancelled = jobs.cancel("ada", waiting.id)
    assert (cancelled.status, cancelled.error_code) == (FAILED, "cancelled")
    jobs.submit(new_job())
    lease = claim(jobs)
    jobs.cancel("ada", lease.job.id)
    with pytest.raises(JobCancelledError):
        jobs.heartbeat(lease)


def test_tenants_do_not_see_each_other(jobs: JobStore) -> None:
    job, _ = jobs.submit(new_job())
    assert jobs.find("bob", job.id) is None
    assert jobs.page("bob", "video") == ([], False)
    with pytest.raises(Problem):
        jobs.delete("bob", job.id)
    assert jobs.get("ada", job.id).status == QUEUED


@pytest.mark.parametrize("newest_first", [True, False])
def test_pages_show_every_job_once_and_in_order(jobs: JobStore, clock: Clock, newest_first: bool) -> None:
    made = []
    for index in range(7):
        made.append(jobs.submit(new_job())[0].id)
        if index % 2:
            clock.forward(timedelta(seconds=1))
    seen: list[str] = []
    more, after = True, None
    while more:
        found, more = jobs.page("ada", "video", after=after, limit=3, newest_first=newest_first)
        seen += [job.id for job in found]
        after = seen[-1]
    assert sorted(seen) == sorted(made)
    created = [jobs.get("ada", job).created_at for job in seen]
    assert created == sorted(created, reverse=newest_first)
    with pytest.raises(Problem):
        jobs.page("ada", "video", after="video_nobody")


def test_media_ids_are_never_used_twice(database: Database, clock: Clock) -> None:
    """A source of randomness that repeats itself is noticed, also after the first job was deleted."""
    drawn = iter([b"\1" * 4, b"\2" * 16, b"\1" * 4, b"\3" * 4, b"\4" * 16])
    jobs = JobStore(database, JobLimits(), clock=clock, token_bytes=lambda count: next(drawn)[:count])
    first, _ = jobs.submit(new_job())
    jobs.delete("ada", first.id)
    second, _ = jobs.submit(new_job())
    assert (first.medium.hex, second.medium.hex) == ("0000" + "01" * 4, "0000" + "03" * 4)
    with database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(media_ids)) == 2


def test_finished_files_expire(jobs: JobStore, clock: Clock) -> None:
    jobs.submit(new_job())
    lease = claim(jobs)
    jobs.publish(lease, record_of(lease), RESULT)
    removed: list[str] = []
    assert jobs.expire(removed.append) == []
    clock.forward(timedelta(hours=24))
    assert jobs.expire(removed.append) == removed == [lease.job.id]
    assert jobs.expire(removed.append) == []
    assert jobs.get("ada", lease.job.id).result is None
