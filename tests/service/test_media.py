"""Finished files in a folder and in a bucket: a real S3 server on loopback, the real client."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import boto3
import httpx
import pytest
from fastapi.testclient import TestClient
from moto.server import ThreadedMotoServer

from service.api.app import create_app
from service.api.content import byte_range
from service.api.state import ApiState
from service.errors import ConfigurationError, Problem, StorageError
from service.jobs import FAILED, QUEUED, Lease
from service.keys import create_keys
from service.production import Producer
from service.serve import build_state
from service.settings import Settings
from service.store.media import PART_BYTES, MediaStore, is_disk_full, open_media_store
from service.wiring import Services, open_services
from service.worker import Worker
from tests.service.conftest import MODEL, Clock, new_job
from tests.service.test_jobs import record_of

BUCKET = "assay-media"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server of our own."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty bucket, and the variables by which the client finds it."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": s3,
    }.items():
        monkeypatch.setenv(name, value)
    httpx.post(f"{s3}/moto-api/reset")
    made = boto3.resource("s3").Bucket(BUCKET)
    made.create()
    return made


@pytest.fixture(params=["folder", "bucket"])
def media(request: pytest.FixtureRequest, tmp_path: Path) -> MediaStore:
    url = ""
    if request.param == "bucket":
        request.getfixturevalue("bucket")
        url = f"s3://{BUCKET}/media"
    (tmp_path / "work").mkdir()
    return open_media_store(url, folder=tmp_path / "media", work=tmp_path / "work")


def make(media: MediaStore, attempt: int, data: bytes) -> str:
    """A file as an attempt makes and keeps it; returns its name."""
    path = media.workspace("video_1", attempt) / "0123.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    name = media.name("video_1", attempt, path)
    media.keep(path, name)
    return name


def test_a_file_is_kept_read_and_removed(media: MediaStore, tmp_path: Path) -> None:
    data = bytes(range(256)) * 40
    name = make(media, 1, data)
    assert media.size(name) == len(data)
    assert b"".join(media.read(name, 100, 300)) == data[100:300]
    with media.local(name) as path:
        assert (path.name, path.read_bytes()) == ("0123.mp4", data)
    media.fetch(name, tmp_path / "copies" / "one")
    assert (tmp_path / "copies" / "one").read_bytes() == data
    media.remove("video_1")
    media.remove("video_1")
    assert media.size(name) is None
    media.probe()
    assert media.check()


def test_what_attempts_left_is_removed_and_the_published_file_is_not(media: MediaStore) -> None:
    names = [make(media, attempt, b"x") for attempt in (1, 2, 3)]
    media.prune("video_1", kept="2", until=2)
    assert [media.size(name) for name in names] == [None, 1, 1]
    left = [path for path in media.work.rglob("*") if path.is_file()]
    assert [path.parent.name for path in left] == ([] if media.folder else ["3"])


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b"])
def test_a_name_never_leaves_the_store(media: MediaStore, name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        media.size(name)


def test_a_large_file_goes_to_the_bucket_in_parts(bucket: Any, tmp_path: Path) -> None:
    media = open_media_store(f"s3://{BUCKET}", folder=tmp_path, work=tmp_path)
    data = b"".join(bytes([index]) * PART_BYTES for index in range(2)) + b"end"
    name = make(media, 1, data)
    stored = bucket.Object(name)
    assert stored.content_length == len(data)
    assert stored.e_tag.strip('"').endswith("-3")  # S3 counts the parts of an upload in its tag
    assert b"".join(media.read(name, PART_BYTES - 1, len(data))) == data[PART_BYTES - 1 :]


def test_a_bucket_signs_addresses_of_its_own(bucket: Any, tmp_path: Path) -> None:
    media = open_media_store(f"s3://{BUCKET}/x", folder=tmp_path, work=tmp_path)
    name = make(media, 1, b"data")
    address = media.link(name, 60, filename="a.mp4") or ""
    answer = httpx.get(address)
    assert (answer.status_code, answer.content) == (200, b"data")
    assert answer.headers["content-disposition"] == 'attachment; filename="a.mp4"'
    local = open_media_store("", folder=tmp_path / "media", work=tmp_path)
    assert local.link(name, 60, filename="a.mp4") is None


def test_a_store_that_does_not_answer_is_told_apart(bucket: Any, tmp_path: Path) -> None:
    media = open_media_store("s3://no-such-bucket", folder=tmp_path, work=tmp_path)
    with pytest.raises((StorageError, OSError)):
        media.probe()
    with pytest.raises(ConfigurationError, match="ASSAY_MEDIA_URL=nonsense://x"):
        open_media_store("nonsense://x", folder=tmp_path, work=tmp_path)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes=0-3", (0, 4)),
        ("bytes=4-", (4, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=8-99", (8, 10)),
        ("bytes=-", (0, 10)),
        ("bytes=0-1,4-5", (0, 10)),
        ("lines=1-2", (0, 10)),
    ],
)
def test_ranges(header: str, found: tuple[int, int]) -> None:
    assert byte_range(header, 10) == found


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=5-4", "bytes=-0"])
def test_a_range_outside_of_the_file(header: str) -> None:
    with pytest.raises(Problem) as caught:
        byte_range(header, 10)
    assert (caught.value.status, caught.value.headers["content-range"]) == (416, "bytes */10")


def services_at(tmp_path: Path, clock: Clock, **changes: Any) -> Services:
    settings = Settings(home=tmp_path / "home", auth="keys", **changes)
    create_keys(settings.keys, now=datetime.now(UTC))
    return open_services(settings, clock=clock)


def publish(services: Services, data: bytes, tenant: str = "ada") -> str:
    """A finished job with a file in the store; returns its id."""
    job, _ = services.jobs.submit(new_job(tenant))
    lease = services.jobs.claim("w", MODEL)
    assert lease is not None
    path = services.media.workspace(job.id, lease.fence) / f"{job.medium.hex}.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    name = services.media.name(job.id, lease.fence, path)
    services.media.keep(path, name)
    proof = {"media_id": job.medium.hex, "manifest": None, "sha256": "00"}
    result = {"file": name, "mime": "video/mp4", "bytes": len(data), "provenance": proof}
    services.jobs.publish(lease, record_of(lease), result)
    return job.id


def key_of(state: ApiState, tenant: str) -> dict[str, str]:
    _, secret = state.services.api_keys.issue(tenant, ("generate",))
    return {"authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_signed_link_gives_the_file_to_anybody_until_it_ends(
    kind: str, bucket: Any, tmp_path: Path, clock: Clock
) -> None:
    changes = {} if kind == "folder" else {"media_url": f"s3://{BUCKET}/m"}
    services = services_at(tmp_path, clock, public_url="https://assay.example/", **changes)
    state = build_state(services)
    client = TestClient(create_app(state))
    job_id = publish(services, b"0123456789")
    ada, bob = key_of(state, "ada"), key_of(state, "bob")
    assert client.get(f"/v1/videos/{job_id}/content").status_code == 401
    assert client.get(f"/v1/videos/{job_id}/content", headers=bob).status_code == 404
    assert client.post(f"/v1/videos/{job_id}/links", json={}, headers=bob).status_code == 404
    made = client.post(f"/v1/videos/{job_id}/links", json={"seconds": 60}, headers=ada).json()
    assert made["url"].startswith(f"https://assay.example/v1/videos/{job_id}/content?variant=video&expires=")
    assert made["expires_at"] == int(clock().timestamp()) + 60
    path = made["url"].removeprefix("https://assay.example")
    whole, part = client.get(path), client.get(path, headers={"range": "bytes=2-4"})
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-disposition"].startswith("attachment; filename=")
    for changed in (
        path.replace("variant=video", "variant=thumbnail"),
        path[:-1] + ("0" if path[-1] != "0" else "1"),
        path.replace(job_id, "video_2"),
        path.replace("expires=", "expires=1"),
        path[:-1] + "%C3%A1",
    ):
        assert client.get(changed).json()["reason"] in ("bad_link", "not_found"), changed
    clock.forward(timedelta(seconds=61))
    assert client.get(path).json()["reason"] == "bad_link"


def test_a_download_is_sent_on_to_the_bucket_where_that_is_wanted(
    bucket: Any, tmp_path: Path, clock: Clock
) -> None:
    services = services_at(tmp_path, clock, media_url=f"s3://{BUCKET}", media_redirect=True)
    state = build_state(services)
    client = TestClient(create_app(state), follow_redirects=False)
    answer = client.get(f"/v1/videos/{publish(services, b'data')}/content", headers=key_of(state, "ada"))
    assert answer.status_code == 307
    assert httpx.get(answer.headers["location"]).content == b"data"


def test_retention_is_the_tenants_own(tmp_path: Path, clock: Clock) -> None:
    services = services_at(tmp_path, clock)
    services.tenants.set_limits("pro", retention_hours=72)
    usual, longer = publish(services, b"1"), publish(services, b"2", "pro")
    clock.forward(timedelta(hours=24))
    services.sweep()
    kept = [services.jobs.find(*who) for who in (("ada", usual), ("pro", longer))]
    assert [job and job.result is not None for job in kept] == [False, True]
    assert [path.name for path in services.settings.media.iterdir()] == [longer]
    clock.forward(timedelta(hours=48))
    services.sweep()
    assert list(services.settings.media.iterdir()) == []


def test_a_file_that_cannot_be_removed_is_tried_again(tmp_path: Path, clock: Clock) -> None:
    services = services_at(tmp_path, clock)
    job_id = publish(services, b"1")
    clock.forward(timedelta(hours=24))

    def fail(name: str) -> None:
        raise StorageError(f"{name}: away")

    assert services.jobs.expire(fail) == []
    assert services.jobs.get("ada", job_id).result is not None
    assert services.jobs.expire(services.media.remove) == [job_id]
    assert services.jobs.expire(fail) == []


def test_a_tenant_keeps_no_more_than_its_quota(tmp_path: Path, clock: Clock) -> None:
    services = services_at(tmp_path, clock, max_stored_bytes_per_tenant=10)
    publish(services, b"12345")
    job_id = publish(services, b"123456")
    assert services.jobs.stored_bytes("ada") == 11
    with pytest.raises(Problem, match="10 bytes that you may keep") as caught:
        services.jobs.submit(new_job())
    assert (caught.value.status, caught.value.code, caught.value.retry) == (429, "insufficient_quota", False)
    services.jobs.submit(new_job("bob"))
    services.tenants.set_limits("ada", max_stored_bytes=20)
    services.jobs.submit(new_job())
    services.tenants.set_limits("ada", max_stored_bytes=10)
    services.jobs.delete("ada", job_id)
    services.sweep()
    assert services.jobs.stored_bytes("ada") == 5
    services.jobs.submit(new_job())


class Fails:
    """A producer whose disk is full."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def produce(self, lease: Lease, **_: Any) -> None:
        raise self.error

    def clean(self, lease: Lease) -> None:
        """Nothing was made."""


def wrapped(number: int) -> Exception:
    try:
        try:
            raise OSError(number, "No space left on device")
        except OSError as error:
            raise RuntimeError("clip.mp4: could not be written") from error
    except RuntimeError as error:
        return error


@pytest.mark.parametrize("error", [wrapped(errno.ENOSPC), StorageError("the bucket does not answer")])
def test_a_full_disk_loses_no_job(tmp_path: Path, clock: Clock, error: Exception) -> None:
    services = services_at(tmp_path, clock)
    job, _ = services.jobs.submit(new_job())
    worker = Worker(services, cast(Producer, Fails(error)), "w")
    for _ in range(services.settings.max_attempts - 1):
        lease = services.jobs.claim("w", MODEL)
        assert lease is not None
        worker.work(lease)
        assert services.jobs.get("ada", job.id).status == QUEUED
    lease = services.jobs.claim("w", MODEL)
    assert lease is not None
    worker.work(lease)
    assert (services.jobs.get("ada", job.id).status, services.jobs.get("ada", job.id).error_code) == (
        FAILED,
        "disk_full",
    )
    assert [one.id for one in services.jobs.dead()] == [job.id]
    assert services.jobs.revive(job.id)


def test_without_room_no_job_is_taken_and_none_is_lost(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    services = services_at(tmp_path, clock, min_free_bytes=2**60, poll_seconds=0.01)
    job, _ = services.jobs.submit(new_job())
    worker = Worker(services, cast(Producer, Fails(RuntimeError("never called"))), "w")
    for _ in range(3):
        worker._turn()
    assert services.jobs.get("ada", job.id).status == QUEUED
    assert [record.getMessage()[:15] for record in caplog.records] == ["no job is taken"]
    client = TestClient(create_app(build_state(services)))
    assert "ASSAY_MIN_FREE_BYTES" in client.get("/readyz").json()["stages"]["storage"]["detail"]


def test_other_faults_are_no_full_disk() -> None:
    assert is_disk_full(wrapped(errno.EDQUOT))
    assert not is_disk_full(wrapped(errno.EACCES))
