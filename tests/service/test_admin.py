"""Operators: limits of tenants, rotation of keys, dead letters, the audit log, rate limits."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.rates import RateLimiter
from service.cli.app import run
from service.errors import Problem
from service.keys import create_keys
from service.serve import build_state
from service.settings import Settings
from service.store.audit import AuditLog
from service.store.database import Database
from service.store.tenants import KeyStore, TenantStore
from service.wiring import Services, open_services
from tests.service.conftest import MODEL, Clock, new_job


def test_a_rotated_key_lasts_as_long_as_the_overlap(database: Database, clock: Clock) -> None:
    store = KeyStore(database, clock=clock)
    old, old_secret = store.issue("ada", ("verify",), lifetime=timedelta(days=10))
    rotated = store.rotate(old.id, overlap=timedelta(hours=1))
    assert rotated is not None
    new, new_secret = rotated
    assert (new.tenant, new.scopes, new.expires_at) == ("ada", ("verify",), old.expires_at)
    assert store.check(old_secret) is not None
    clock.forward(timedelta(hours=1))
    assert store.check(old_secret) is None
    assert store.check(new_secret) is not None
    assert store.rotate(old.id, overlap=timedelta(0)) is None
    assert {key.id for key in store.keys("ada")} == {old.id, new.id}
    assert store.keys("bob") == []


def test_limits_of_tenants(database: Database, clock: Clock) -> None:
    store = TenantStore(database, clock=clock)
    store.set_limits("ada", weight=2.5, daily_credits=100)
    changed = store.set_limits("ada", max_running=1)
    assert (changed.weight, changed.daily_credits, changed.max_running) == (2.5, 100, 1)
    assert store.all() == [changed]
    for wrong in ({"weight": 0}, {"weight": None}, {"daily_credits": -1}, {"size": 1}):
        with pytest.raises(ValueError, match=r"weight|daily_credits|limit"):
            store.set_limits("ada", **wrong)


def test_the_audit_log_keeps_order(database: Database, clock: Clock) -> None:
    log = AuditLog(database, clock=clock)
    log.add("cli:root", "tenant.limit", tenant="ada", detail={"weight": 2})
    log.add("tenant:bob", "video.delete", tenant="bob", target="video_1", request_id="req_1")
    assert [entry.action for entry in log.newest()] == ["video.delete", "tenant.limit"]
    assert log.newest(tenant="ada")[0].detail == {"weight": 2}
    assert not hasattr(log, "delete")


def test_a_bucket_fills_evenly() -> None:
    now = [0.0]
    limiter = RateLimiter(6, clock=lambda: now[0])
    for _ in range(6):
        limiter.take("ada")
    limiter.take("bob")
    with pytest.raises(Problem) as caught:
        limiter.take("ada")
    assert (caught.value.status, caught.value.retry, caught.value.headers["retry-after"]) == (429, True, "10")
    now[0] = 10.0
    limiter.take("ada")
    RateLimiter(0, clock=lambda: now[0]).take("ada")


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    settings = Settings(home=tmp_path)
    create_keys(settings.keys, now=datetime.now(UTC))
    return open_services(settings)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_command_line(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    key, _ = services.api_keys.issue("ada")
    assert run(["admin", "limit", "ada", "--weight", "3", "--daily-credits", "9"]) == 0
    assert run(["admin", "limit", "ada", "--weight", "-1"]) == 2
    assert run(["admin", "rotate", key.id]) == 0
    assert run(["admin", "rotate", "key_none"]) == 2
    assert run(["admin", "keys", "--tenant", "ada"]) == 0
    limited, rotated, *keys = lines(capsys)
    assert (limited["weight"], limited["daily_credits"]) == (3.0, 9)
    assert str(rotated["key"]).startswith("assay_")
    assert [one["id"] for one in keys] == [key.id, rotated["id"]]
    job, _ = services.jobs.submit(new_job(credits=4))
    assert run(["admin", "tenants"]) == 0
    assert lines(capsys)[0]["credits_left"] == 5
    lease = services.jobs.claim("w", MODEL)
    assert lease is not None
    services.jobs.fail(lease, "internal_error", "x")
    assert run(["admin", "dead"]) == 0
    assert lines(capsys)[0]["id"] == job.id
    assert run(["admin", "revive", job.id]) == 0
    assert run(["admin", "revive", job.id]) == 2
    assert run(["admin", "cancel", "ada", job.id]) == 0
    capsys.readouterr()
    assert run(["admin", "audit"]) == 0
    actions = [entry["action"] for entry in lines(capsys)]
    assert actions == ["job.cancel", "job.revive", "key.rotate", "tenant.limit"]


def test_too_many_requests_are_told_to_wait(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, requests_per_minute=2)
    create_keys(settings.keys, now=datetime.now(UTC))
    state = build_state(open_services(settings))
    client = TestClient(create_app(state))
    answers = [client.get("/v1/videos") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["x-should-retry"] == "true"
    assert answers[2].json()["error"]["code"] == "rate_limit_exceeded"


def test_what_a_tenant_does_is_written_down(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    create_keys(settings.keys, now=datetime.now(UTC))
    state = build_state(open_services(settings))
    client = TestClient(create_app(state))
    made = client.post("/v1/videos", json={"prompt": "a boat on a calm sea"}).json()
    stopped = client.post(f"/v1/videos/{made['id']}/cancel").json()
    assert (stopped["status"], stopped["error"]["code"]) == ("failed", "cancelled")
    client.delete(f"/v1/videos/{made['id']}", headers={"x-request-id": "mine"})
    entries = state.services.audit.newest()
    assert [(one.action, one.target) for one in entries] == [
        ("video.delete", made["id"]),
        ("video.cancel", made["id"]),
    ]
    assert entries[0].request_id == "mine"
    assert "boat" not in str(entries)
