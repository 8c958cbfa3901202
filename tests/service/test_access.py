"""Who may call what, and what a broken part looks like from outside; the application in this process."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from generator import GeneratorError
from service.api.app import create_app
from service.api.problems import as_problem
from service.api.state import ApiState
from service.errors import IsolationError
from service.keys import create_keys
from service.serve import build_state
from service.settings import Settings
from service.wiring import open_services


@pytest.fixture
def state(tmp_path: Path) -> ApiState:
    settings = Settings(home=tmp_path, auth="keys")
    create_keys(settings.keys, now=datetime.now(UTC))
    return build_state(open_services(settings))


@pytest.fixture
def client(state: ApiState) -> TestClient:
    return TestClient(create_app(state), raise_server_exceptions=False)


def bearer(state: ApiState, tenant: str, *scopes: str) -> dict[str, str]:
    _, secret = state.services.api_keys.issue(tenant, scopes)
    return {"authorization": f"Bearer {secret}"}


def test_generating_needs_a_key_with_the_scope(state: ApiState, client: TestClient) -> None:
    for headers, status in (
        ({}, 401),
        ({"authorization": "Basic x"}, 401),
        ({"authorization": "Bearer assay_wrong"}, 401),
        (bearer(state, "ada", "verify"), 403),
        (bearer(state, "ada", "generate"), 200),
    ):
        answer = client.get("/v1/videos", headers=headers)
        assert answer.status_code == status
    assert client.get("/v1/videos").headers["www-authenticate"] == "Bearer"


def test_a_tenant_sees_its_own_jobs_alone(state: ApiState, client: TestClient) -> None:
    ada, bob = (bearer(state, tenant, "generate") for tenant in ("ada", "bob"))
    made = client.post("/v1/videos", json={"prompt": "a boat on a calm sea"}, headers=ada).json()
    assert client.get(f"/v1/videos/{made['id']}", headers=ada).status_code == 200
    assert client.get(f"/v1/videos/{made['id']}", headers=bob).status_code == 404
    assert client.delete(f"/v1/videos/{made['id']}", headers=bob).status_code == 404
    assert client.get("/v1/videos", headers=bob).json()["data"] == []


def test_deleting_forgets_the_prompt(state: ApiState, client: TestClient, tmp_path: Path) -> None:
    ada = bearer(state, "ada", "generate")
    made = client.post("/v1/videos", json={"prompt": "a secret lagoon"}, headers=ada).json()
    client.delete(f"/v1/videos/{made['id']}", headers=ada)
    state.services.database.close()
    with state.services.database.reading() as connection:
        dump = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    assert made["id"] in dump
    assert "lagoon" not in dump


def test_verification_is_public_unless_it_is_not(state: ApiState, client: TestClient) -> None:
    assert client.post("/v1/verify", content=b"text").json()["reason"] == "not_media"
    closed = replace(
        state,
        services=replace(state.services, settings=replace(state.services.settings, public_verify=False)),
    )
    private = TestClient(create_app(closed))
    assert private.post("/v1/verify", content=b"text").status_code == 401
    allowed = private.post("/v1/verify", content=b"text", headers=bearer(state, "ada", "verify"))
    assert allowed.json()["reason"] == "not_media"


def test_not_ready_without_a_worker(client: TestClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    stages = answer.json()["stages"]
    assert [name for name, stage in stages.items() if not stage["live"]] == ["worker"]


def test_a_queue_limit_tells_when_to_come_back(state: ApiState) -> None:
    limited = replace(state.services.settings, max_queued_per_tenant=1)
    client = TestClient(create_app(replace(state, services=open_services(limited))))
    ada = bearer(state, "ada", "generate")
    assert client.post("/v1/videos", json={"prompt": "a boat"}, headers=ada).status_code == 200
    full = client.post("/v1/videos", json={"prompt": "another boat"}, headers=ada)
    assert (full.status_code, full.headers["x-should-retry"], full.headers["retry-after"]) == (
        429,
        "true",
        "30",
    )


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (OSError(28, "No space left on device"), 507, "disk_full"),
        (OperationalError("SELECT", {}, Exception("gone")), 503, "database_unavailable"),
        (IsolationError("timeout", "too slow"), 422, "inspection_timeout"),
        (GeneratorError("x"), 500, "generation_failed"),
        (ZeroDivisionError("secret"), 500, "internal_error"),
    ],
)
def test_every_error_has_a_reason(error: Exception, status: int, reason: str) -> None:
    problem = as_problem(error)
    assert (problem.status, problem.reason) == (status, reason)
    assert "secret" not in problem.detail


def test_a_fault_of_the_program_is_a_problem_too(
    state: ApiState, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(state.services.jobs), "page", lambda *_, **__: 1 / 0)
    answer = client.get("/v1/videos", headers=bearer(state, "ada", "generate"))
    assert (answer.status_code, answer.json()["reason"]) == (500, "internal_error")
    assert "ZeroDivision" not in answer.text


def test_a_wrong_method_is_told_the_right_ones(client: TestClient) -> None:
    answer = client.options("/v1/videos/video_1")
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET")
    assert client.options("/v1/videos").headers["allow"] == "GET, POST"
    assert client.options("/v1/videos/characters").headers["allow"] == "POST"  # a word of ours is nobody's id


def test_the_document_names_the_type_of_errors(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path in document["paths"].values():
        for operation in path.values():
            assert list(operation["responses"]["4XX"]["content"]) == ["application/problem+json"]
            assert "422" not in operation["responses"]
