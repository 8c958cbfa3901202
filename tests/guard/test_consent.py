"""Consent tokens: signed, bound to a picture, a tenant and purposes, for a time, and revocable."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from guard import Consent, ConsentError, Guard, GuardRequest, Picture, SignedConsents, Stage, issue_consent
from tests.guard.conftest import NOW
from tests.guard.test_engine import PICTURE, Faces

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
CONSENT = Consent(
    "c-1",
    "subject-7",
    PICTURE.sha256,
    "default",
    ("generate",),
    NOW - timedelta(days=1),
    NOW + timedelta(days=1),
)
VERIFIER = SignedConsents((OTHER.public_key(), KEY.public_key()), revoked={"c-2"})


def reason(token: str, **use: object) -> str:
    with pytest.raises(ConsentError) as caught:
        verify(token, **use)
    return caught.value.reason


def verify(token: str, **use: object) -> Consent:
    asked = {"tenant": "default", "purpose": "generate", "sha256": PICTURE.sha256, "now": NOW, **use}
    return VERIFIER.verify(token, **asked)  # type: ignore[arg-type]


def test_what_was_issued_is_read_back() -> None:
    assert verify(issue_consent(CONSENT, KEY)) == CONSENT
    assert verify(issue_consent(CONSENT, KEY), sha256=PICTURE.sha256.upper()) == CONSENT


def test_a_consent_covers_only_what_it_names() -> None:
    token = issue_consent(CONSENT, KEY)
    assert reason(token, tenant="other") == "tenant"
    assert reason(token, purpose="train") == "purpose"
    assert reason(token, sha256="cd" * 32) == "picture"
    assert reason(token, now=NOW + timedelta(days=2)) == "expired"
    assert reason(token, now=NOW - timedelta(days=2)) == "early"
    assert reason(issue_consent(replace(CONSENT, id="c-2"), KEY)) == "revoked"


def test_a_token_of_an_unknown_issuer_is_refused() -> None:
    assert reason(issue_consent(CONSENT, Ed25519PrivateKey.generate())) == "unsigned"


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_token_is_refused(at: int, change: int) -> None:
    payload, signature = issue_consent(CONSENT, KEY).split(".")
    data = bytearray(base64.urlsafe_b64decode(payload + "=="))
    data[at % len(data)] ^= change
    changed = base64.urlsafe_b64encode(bytes(data)).rstrip(b"=").decode()
    assert reason(f"{changed}.{signature}") == "unsigned"


@given(st.text(max_size=80))
def test_nonsense_is_malformed_or_unsigned(token: str) -> None:
    assert reason(token) in {"malformed", "unsigned"}


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"subject_is": "face"},
        {"purposes": None},
        {"not_after": "soon"},
        {"not_after": "2027-01-01"},
        {"id": None},
    ],
)
def test_signed_nonsense_is_malformed(changes: dict[str, object]) -> None:
    payload = json.loads(base64.urlsafe_b64decode(issue_consent(CONSENT, KEY).split(".")[0] + "=="))
    payload = {k: v for k, v in {**payload, **changes}.items() if v is not None}
    data = json.dumps(payload).encode()
    parts = [
        base64.urlsafe_b64encode(part).rstrip(b"=").decode()
        for part in (data, KEY.sign(b"assay consent 1\0" + data))
    ]
    assert reason(".".join(parts)) == "malformed"


def test_a_long_token_is_refused_unread() -> None:
    assert reason("a" * 5000 + ".b") == "malformed"


def test_the_guard_asks_for_consent_for_this_picture(guard: Guard) -> None:
    guard = guard.with_backends(Faces(1.0), VERIFIER)
    good = Picture("reference", PICTURE.pixels, PICTURE.sha256, ("junk", issue_consent(CONSENT, KEY)))
    other = Picture("reference", PICTURE.pixels, "cd" * 32, good.consents)
    assert guard.evaluate(GuardRequest(Stage.REFERENCE, pictures=(good,))).allowed
    assert not guard.evaluate(GuardRequest(Stage.REFERENCE, pictures=(other,))).allowed
    assert not guard.evaluate(GuardRequest(Stage.REFERENCE, pictures=(good, other))).allowed
    assert not guard.evaluate(GuardRequest(Stage.REFERENCE, pictures=(good,), tenant="other")).allowed
