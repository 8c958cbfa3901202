"""The vault, replays of past decisions, and reports."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from guard import Decision, Guard, GuardRequest, parse_policy
from guard.errors import LogError, VaultError
from guard.history import read_log
from guard.log import DecisionLog
from guard.replay import compare, replay
from guard.transparency import Appeals, count
from guard.vault import OpenVault, Vault, purge
from tests.guard.conftest import NOW, POLICY, guard_of, prompt

KEY = X25519PrivateKey.generate()
PROMPTS = ("press photo of Amy Klobuchar", "a cat", "press photo of Jack Reed", "statue of Todd Young")
STRICTER = POLICY.replace("- words: press", "- mentions: people").replace("version: 1.0.0", "version: 2.0.0")


class Kept:
    """A guard whose decisions went into a log and a vault."""

    def __init__(self, folder: Path) -> None:
        self.log, self.vault = folder / "d.log", folder / "vault"
        log, vault = DecisionLog(self.log, b"key"), Vault(self.vault, KEY.public_key())

        def record(request: GuardRequest, decision: Decision) -> None:
            log.append(decision)
            vault.keep(request, decision)

        policy = parse_policy(POLICY, "p.yaml")
        guard = Guard(policy, faces=None, consents=None, clock=lambda: NOW, handle_key=b"k", record=record)
        self.decisions = [guard.evaluate(prompt(text)) for text in PROMPTS]

    def requests(self, key: X25519PrivateKey = KEY) -> dict[str, GuardRequest]:
        return OpenVault(self.vault, key).read(None, who="ada", why="test", now=NOW)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_the_vault_gives_back_what_was_judged_and_notes_who_read(kept: Kept) -> None:
    requests = kept.requests()
    assert [requests[d.decision_id].texts[0].value for d in kept.decisions] == list(PROMPTS)
    one = OpenVault(kept.vault, KEY).read(
        frozenset({kept.decisions[1].decision_id}), who="bob", why="appeal 7", now=NOW
    )
    assert [request.texts[0].value for request in one.values()] == ["a cat"]
    notes = [json.loads(line) for line in (kept.vault / "access.jsonl").read_text().splitlines()]
    assert [(note["who"], note["why"]) for note in notes] == [("ada", "test"), ("bob", "appeal 7")]


def test_nothing_of_a_prompt_is_readable_without_the_key(kept: Kept) -> None:
    everything = b"".join(path.read_bytes() for path in (kept.log, *kept.vault.glob("*.jsonl")))
    assert not any(word in everything for word in (b"Klobuchar", b"press photo", b"cat", b"Reed"))
    with pytest.raises(VaultError, match="wrong key"):
        kept.requests(X25519PrivateKey.generate())


def test_an_entry_cannot_be_moved_to_another_decision(kept: Kept) -> None:
    (file,) = kept.vault.glob("2026-*.jsonl")
    first, second, *rest = [json.loads(line) for line in file.read_text().splitlines()]
    first["id"], second["id"] = second["id"], first["id"]
    file.write_text("\n".join(map(json.dumps, [first, second, *rest])))
    with pytest.raises(VaultError, match="cannot be opened"):
        kept.requests()
    file.write_text("nonsense\n")
    with pytest.raises(VaultError, match="not a line of a vault"):
        kept.requests()


def test_some_reasons_are_never_kept(tmp_path: Path) -> None:
    policy = parse_policy(POLICY.replace("PERSON.PUBLIC_FIGURE", "CHILD.SEXUAL"))
    decision = guard_of(policy).evaluate(prompt(PROMPTS[0]))
    assert decision.reason == "CHILD.SEXUAL"
    vault = Vault(tmp_path / "vault", KEY.public_key())
    assert not vault.keep(prompt(PROMPTS[0]), decision)
    assert not vault.keep(prompt(PROMPTS[0]), replace(decision, findings=(), shadow=decision.findings))
    assert not (tmp_path / "vault").exists()


def test_days_that_are_over_are_removed(kept: Kept) -> None:
    assert purge(kept.vault, now=NOW + timedelta(days=30)) == 0
    assert purge(kept.vault, now=NOW + timedelta(days=31)) == 1
    assert kept.requests() == {}


def test_a_replay_names_the_decisions_that_would_change(kept: Kept) -> None:
    past = list(read_log(kept.log))
    same = replay(past, kept.requests(), parse_policy(POLICY, "p.yaml"))
    assert (same.decisions, same.replayed, same.changes) == (4, 4, ())
    changed = replay(past, kept.requests(), parse_policy(STRICTER, "q.yaml"))
    assert [(c.before, c.after, c.rule_after, c.stricter) for c in changed.changes] == []
    looser = parse_policy(POLICY.replace("[Amy Klobuchar, ", "["), "r.yaml")
    (change,) = replay(past, kept.requests(), looser).changes
    assert (change.decision_id, change.before, change.after) == (
        kept.decisions[0].decision_id,
        "block",
        "allow",
    )
    assert (change.rule_before, change.rule_after, change.stricter) == ("official", "", False)


def test_two_policies_are_compared_on_past_requests(kept: Kept) -> None:
    past, requests = list(read_log(kept.log)), kept.requests()
    old, new = (
        parse_policy(POLICY),
        parse_policy(
            POLICY.replace("then: block\n    reason: PERSON.PUB", "then: review\n    reason: PERSON.PUB")
            .replace("block: press photo", "review: press photo")
            .replace("severity: high", "severity: medium")
        ),
    )
    result = compare(past, requests, old, new)
    assert dict(result.counts) == {("block", "review"): 2}
    assert compare(past[:2], {}, old, new).replayed == 0


def test_exceptions_are_replayed_at_their_own_time(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    request = prompt(PROMPTS[0], tenant="city-museum")
    decision = guard_of(parse_policy(POLICY)).evaluate(request)
    assert decision.exceptions == ("official/museum",)
    DecisionLog(kept.log, b"key").append(decision)
    Vault(kept.vault, KEY.public_key()).keep(request, decision)
    assert replay(read_log(kept.log), kept.requests(), parse_policy(POLICY)).changes == ()


def test_a_log_that_is_none_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("hello\n")
    with pytest.raises(LogError, match=r"x\.log:1: not a line"):
        list(read_log(tmp_path / "x.log"))
    with pytest.raises(LogError, match="cannot be read"):
        list(read_log(tmp_path / "missing.log"))


def test_a_report_counts_restrictions_by_reason_and_dsa_category(kept: Kept) -> None:
    appeals = Appeals(2, 1, 1, 3.5, {"PERSON.PUBLIC_FIGURE": (1, 1)})
    body = count(read_log(kept.log), appeals=appeals).to_json()
    assert body["decisions"] == 4
    assert body["outcomes"] == {"allow": 2, "block": 2}
    assert body["restrictions"]["by_reason"] == {"PERSON.PUBLIC_FIGURE": 2}
    assert body["restrictions"]["by_dsa_category"] == {"STATEMENT_CATEGORY_SCAMS_AND_FRAUD": 2}
    assert body["rules"] == {"official": 2}
    assert body["appeals"]["reversal_rate"] == 1.0
    empty = count(read_log(kept.log), since=datetime(2027, 1, 1, tzinfo=UTC)).to_json()
    assert (empty["decisions"], empty["period"]) == (0, [None, None])


def test_what_cannot_be_recorded_is_not_decided(tmp_path: Path) -> None:
    def record(request: GuardRequest, decision: Decision) -> None:
        raise LogError("the disk is full")

    guard = Guard(parse_policy(POLICY), faces=None, consents=None, clock=lambda: NOW, record=record)
    with pytest.raises(LogError):
        guard.evaluate(prompt("a cat"))
    assert guard.silent().evaluate(prompt("a cat")).allowed
