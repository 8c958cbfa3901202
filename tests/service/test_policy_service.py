"""The guard in service: decisions written down, refusals appealed, policies taken up while it runs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from guard import parse_policy
from guard.bundle import sign_bundle
from guard.history import read_log
from guard.log import verify_log
from guard.vault import OpenVault
from service.api.app import create_app
from service.api.state import ApiState
from service.cli.policy import app as policy_commands
from service.errors import ConfigurationError
from service.keys import create_keys
from service.recording import log_key
from service.serve import build_state
from service.settings import Settings
from service.store.appeals import WINDOW, AppealError, AppealStore
from service.store.database import Database
from service.store.decisions import DecisionLog
from service.wiring import open_services
from tests.guard.conftest import NOW, POLICY, guard_of, prompt
from tests.service.conftest import Clock
from tests.service.test_access import bearer
from tests.service.waiting import until

VAULT = X25519PrivateKey.generate()
ISSUER = Ed25519PrivateKey.generate()
REFUSED = "press photo of Amy Klobuchar"
LOOSER = POLICY.replace("version: 1.0.0", "version: 1.1.0").replace("[Amy Klobuchar, ", "[")


def pem(key: X25519PrivateKey | Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    (home / "keys").mkdir(parents=True)
    create_keys(home / "keys", now=datetime.now(UTC))
    for name, key in (("vault.pub", VAULT), ("issuer.pub", ISSUER)):
        (tmp_path / name).write_bytes(pem(key))
    (tmp_path / "p.yaml").write_text(POLICY, "utf-8")
    return Settings(
        home=home,
        auth="keys",
        policy=tmp_path / "p.yaml",
        vault_key=tmp_path / "vault.pub",
        policy_poll_seconds=0.01,
    )


@pytest.fixture
def state(settings: Settings) -> ApiState:
    return build_state(open_services(settings))


@pytest.fixture
def client(state: ApiState) -> TestClient:
    return TestClient(create_app(state), raise_server_exceptions=False)


def refuse(state: ApiState, client: TestClient, tenant: str = "ada") -> dict[str, object]:
    """The body of a refusal."""
    answer = client.post("/v1/videos", json={"prompt": REFUSED}, headers=bearer(state, tenant, "generate"))
    assert answer.status_code == 400
    body: dict[str, object] = answer.json()
    return body


def test_decisions_go_into_the_sealed_log_and_prompts_into_the_vault(
    state: ApiState, client: TestClient, settings: Settings
) -> None:
    refused = refuse(state, client)
    (past,) = read_log(settings.decision_log)
    assert (past.id, past.outcome) == (refused["decision_id"], "block")
    assert verify_log(settings.decision_log, log_key(settings)).sound
    assert b"Klobuchar" not in settings.decision_log.read_bytes()
    opened = OpenVault(settings.vault, VAULT).read(None, who="ada", why="test", now=NOW)
    assert opened[past.id].texts[0].value == REFUSED
    state.services.sweep()
    assert list(settings.vault.glob("2*.jsonl"))
    replace(state.services, clock=lambda: datetime.now(UTC) + timedelta(days=40)).sweep()
    assert list(settings.vault.glob("2*.jsonl")) == []


def test_what_cannot_be_written_down_is_not_decided(
    state: ApiState, client: TestClient, settings: Settings
) -> None:
    settings.decision_log.mkdir()
    answer = client.post("/v1/videos", json={"prompt": "a cat"}, headers=bearer(state, "ada", "generate"))
    assert (answer.status_code, answer.json()["reason"]) == (503, "guard_unavailable")


def test_a_refusal_says_how_to_appeal_and_an_appeal_is_decided_once(
    state: ApiState, client: TestClient
) -> None:
    ada, bob, judge = (
        bearer(state, name, scope)
        for name, scope in (("ada", "generate"), ("bob", "generate"), ("eve", "admin"))
    )
    refused = refuse(state, client)
    assert (refused["reason"], refused["stage"]) == ("PERSON.PUBLIC_FIGURE", "guard")
    assert refused["tell_user"] == {"en": "No officials.", "de": "Keine Amtspersonen."}
    link = refused["appeal"]
    assert isinstance(link, dict)
    assert (link["href"], link["decision_id"], link["by"]) == ("/v1/appeals", refused["decision_id"], "human")
    asked = {"decision_id": refused["decision_id"], "statement": "It is a painting."}
    assert client.post("/v1/appeals", json=asked, headers=bob).status_code == 404
    filed = client.post("/v1/appeals", json=asked, headers=ada)
    assert (filed.status_code, filed.json()["status"]) == (201, "open")
    again = client.post("/v1/appeals", json=asked, headers=ada)
    assert (again.status_code, again.json()["reason"]) == (409, "already_appealed")
    path = f"/v1/appeals/{filed.json()['id']}"
    assert client.get(path, headers=bob).status_code == 404
    assert client.get("/v1/appeals", headers=bob).json()["data"] == []
    assert client.get("/v1/appeals/queue", headers=ada).status_code == 403
    (waiting,) = client.get("/v1/appeals/queue", headers=judge).json()["data"]
    assert (waiting["tenant"], waiting["statement"]) == ("ada", "It is a painting.")
    verdict = {"outcome": "reversed", "note": "Satire."}
    assert client.post(f"{path}/decide", json=verdict, headers=ada).status_code == 403
    assert client.post(f"{path}/decide", json=verdict, headers=judge).json()["status"] == "reversed"
    assert client.post(f"{path}/decide", json=verdict, headers=judge).status_code == 409
    assert client.post("/v1/appeals/nothing/decide", json=verdict, headers=judge).status_code == 404
    assert client.get(path, headers=ada).json()["note"] == "Satire."
    found = client.get("/v1/appeals/statistics", headers=judge).json()
    assert (found["filed"], found["decided"], found["reversal_rate"]) == (1, 1, 1.0)
    assert found["by_reason"] == {"PERSON.PUBLIC_FIGURE": {"decided": 1, "reversed": 1}}


def test_appeals_end_after_six_months_and_only_refusals_have_any(database: Database, clock: Clock) -> None:
    guard = guard_of(parse_policy(POLICY, "p.yaml"))
    log, store = DecisionLog(database), AppealStore(database, clock=clock)
    allowed, refused = (guard.evaluate(prompt(text, tenant="ada")) for text in ("a cat", REFUSED))
    for decision in (allowed, refused):
        log.add(decision)
    for decision_id, reason in ((allowed.decision_id, "not_refused"), ("x", "unknown_decision")):
        with pytest.raises(AppealError) as caught:
            store.file("ada", decision_id, "Why?")
        assert caught.value.reason == reason
    clock.now = refused.at + WINDOW + timedelta(seconds=1)
    with pytest.raises(AppealError, match="183 days"):
        store.file("ada", refused.decision_id, "Why?")
    clock.now = refused.at + WINDOW
    filed = store.file("ada", refused.decision_id, "Why?")
    clock.forward(timedelta(hours=3))
    store.decide(filed.id, "upheld", "", "eve")
    found = store.statistics()
    assert (found.filed, found.decided, found.reversed, found.median_hours) == (1, 1, 0, 3.0)
    assert store.statistics(since=clock.now).filed == 0
    assert store.page("ada", open_only=False, limit=5, after=filed.id) == []


def test_a_changed_policy_is_taken_up_and_a_bad_one_is_not(
    state: ApiState, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    path = settings.policy
    assert path is not None
    assert not state.guard.silent().evaluate(prompt(REFUSED)).allowed
    path.write_text(POLICY.replace("severity: high", "severty: high"), "utf-8")
    until(lambda: state.guard is not None and "stays in force" in caplog.text)
    assert state.guard.policy.version == "1.0.0"
    good = LOOSER.replace("block: press photo of Amy Klobuchar", "block: press photo of Jack Reed")
    path.write_text(good, "utf-8")
    until(lambda: state.guard.policy.version == "1.1.0")
    assert state.guard.silent().evaluate(prompt(REFUSED)).allowed


def test_with_issuers_nothing_but_a_signed_bundle_is_taken(settings: Settings, tmp_path: Path) -> None:
    signed = replace(settings, policy_issuers=tmp_path / "issuer.pub", policy=tmp_path / "p.bundle")
    sign_bundle(tmp_path / "p.yaml", tmp_path / "p.bundle", ISSUER)
    state = build_state(open_services(signed))
    assert state.guard.policy.label == "test.small@1.0.0"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        build_state(open_services(replace(signed, policy=tmp_path / "p.yaml")))
    sign_bundle(tmp_path / "p.yaml", tmp_path / "p.bundle", Ed25519PrivateKey.generate())
    with pytest.raises(ConfigurationError, match="not signed by a known issuer"):
        build_state(open_services(signed))


def command(settings: Settings, *arguments: str) -> tuple[int, str]:
    environ = {"ASSAY_HOME": str(settings.home), "ASSAY_POLICY": str(settings.policy), "COLUMNS": "200"}
    result = CliRunner(env=environ).invoke(policy_commands, arguments, standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.output


def test_commands_explain_replay_compare_and_report(
    state: ApiState, client: TestClient, settings: Settings, tmp_path: Path
) -> None:
    decision = str(refuse(state, client)["decision_id"])
    client.post("/v1/videos", json={"prompt": "a cat"}, headers=bearer(state, "bob", "generate"))
    (tmp_path / "key").mkdir()
    code, out = command(settings, "vault", "keys", str(tmp_path / "pair"))
    assert (code, (tmp_path / "pair" / "vault.key").stat().st_mode & 0o777) == (0, 0o600)
    assert command(settings, "vault", "keys", str(tmp_path / "pair"))[0] == 2
    private = VAULT.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "vault.key").write_bytes(private)
    vault = ("--vault", str(settings.vault), "--vault-key", str(tmp_path / "vault.key"))
    log = str(settings.decision_log)
    assert command(settings, "log", "verify")[1].endswith("2 lines, sound\n")

    code, out = command(settings, "explain", decision)
    assert (code, "Klobuchar" in out) == (0, False)
    assert "official fired: block" in out
    assert "the prompt itself is not in the log" in out
    code, out = command(settings, "explain", decision, *vault)
    assert code == 0
    assert "at 15-28 'Amy Klobuchar'" in out
    assert "official blocks" in out
    assert command(settings, "explain", "nothing")[0] == 1
    assert json.loads(command(settings, "explain", decision, "--json")[1])["decision_id"] == decision

    (tmp_path / "new.yaml").write_text(LOOSER, "utf-8")
    new = str(tmp_path / "new.yaml")
    code, out = command(settings, "replay", log, "--with", new)
    assert code == 2
    code, out = command(settings, "replay", log, "--with", new, *vault)
    assert code == 1
    assert "2 of 2 decisions replayed: 1 would change (1 block to allow)" in out
    assert command(settings, "replay", log, "--with", str(settings.policy), *vault)[0] == 0
    code, out = command(settings, "diff", str(settings.policy), new, "--on", log, *vault, "--json")
    assert (code, json.loads(out)["rule_before"]) == (1, "official")

    code, out = command(settings, "report", "--json")
    body = json.loads(out)
    assert (code, body["decisions"], body["outcomes"]) == (0, 2, {"allow": 1, "block": 1})
    assert "STATEMENT_CATEGORY_SCAMS_AND_FRAUD" in command(settings, "report")[1]
