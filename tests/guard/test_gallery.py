"""Protected faces: the store, the error rates, and the whole path from pixels to a pseudonym."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from skimage import data

from guard import (
    BackendError,
    Consent,
    Decision,
    FaceDetection,
    Guard,
    GuardRequest,
    MtcnnFaces,
    Picture,
    SignedConsents,
    Stage,
    issue_consent,
    parse_policy,
)
from guard.calibration import MIN_TAIL, Calibration
from guard.consent import Binding
from guard.gallery import Enrolled, FaceMatcher, open_gallery, seal_gallery
from guard.testing import run_tests
from tests.guard.conftest import NOW

KEY, DIMENSIONS = bytes(range(32)), 64
RNG = np.random.default_rng(5)


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def strangers(count: int, dimensions: int = DIMENSIONS) -> NDArray[np.float32]:
    return unit(RNG.standard_normal((count, dimensions)))


def sealed(templates: NDArray[np.float32], model_id: str = "model@1") -> bytes:
    people = [Enrolled(f"p{n}", "self-enrolled", row) for n, row in enumerate(templates)]
    return seal_gallery(people, model_id=model_id, key=KEY, token_bytes=os.urandom)


def test_a_gallery_comes_back_and_finds_its_people() -> None:
    templates = strangers(50)
    gallery = open_gallery(sealed(templates), key=KEY)
    assert (len(gallery), gallery.people, gallery.model_id) == (50, 50, "model@1")
    assert gallery.search(templates[[3, 7]], 0.9) == {"p3", "p7"}
    assert gallery.search(strangers(5), 0.9) == frozenset()
    assert gallery.search(templates[:0], 0.9) == frozenset()


def test_the_file_shows_nothing_without_its_key() -> None:
    templates = strangers(4)
    data_ = sealed(templates)
    assert b"p0" not in data_
    assert b"self-enrolled" not in data_
    assert templates[0].tobytes()[:8] not in data_
    with pytest.raises(BackendError, match="another key"):
        open_gallery(data_, key=bytes(32))
    with pytest.raises(BackendError, match="32 bytes"):
        open_gallery(data_, key=b"short")


@pytest.mark.parametrize("at", [0, 20, 40, -1])
def test_a_changed_file_does_not_open(at: int) -> None:
    changed = bytearray(sealed(strangers(3)))
    changed[at] ^= 1
    with pytest.raises(BackendError):
        open_gallery(bytes(changed), key=KEY)


def test_stored_templates_are_not_those_of_the_model() -> None:
    templates = strangers(3)
    first, other = open_gallery(sealed(templates), key=KEY), open_gallery(sealed(templates), key=KEY)
    assert not np.allclose(first._rotated, templates, atol=0.1)
    assert np.allclose(first._rotated, other._rotated)  # the rotation is of the key, the nonce of the file
    assert np.allclose(first._rotated @ first._rotated.T, templates @ templates.T, atol=1e-4)


@pytest.mark.parametrize("rows", [np.zeros((0, 4)), np.ones((2, 4)), np.zeros((2, 4))])
def test_what_are_no_templates_is_refused(rows: NDArray[np.float32]) -> None:
    with pytest.raises(BackendError, match="norm 1"):
        sealed(rows.astype(np.float32))


# ---------------------------------------------------------------- error rates


def test_rates_are_of_uploads_whatever_the_size_of_the_gallery() -> None:
    people = strangers(1500)
    pairs = (people @ people.T)[np.triu_indices(1500, 1)]
    calibration = Calibration.measure("model@1", pairs)
    gallery = open_gallery(sealed(strangers(400)), key=KEY)
    threshold = calibration.threshold(0.05, comparisons=len(gallery))
    wrong = sum(bool(gallery.search(row[None], threshold)) for row in strangers(4000))
    assert 0.02 <= wrong / 4000 <= 0.08
    assert calibration.threshold(0.05, comparisons=40_000) > threshold


def test_the_tail_is_fitted_where_measurements_end() -> None:
    people = strangers(600)
    pairs = (people @ people.T)[np.triu_indices(600, 1)]
    calibration = Calibration.measure("model@1", pairs)
    rates = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6]
    thresholds = [calibration.threshold(rate, comparisons=1) for rate in rates]
    assert thresholds == sorted(thresholds)
    assert thresholds[-1] > float(pairs.max()) * 0.99
    more = strangers(3000)
    fresh = (more @ more.T)[np.triu_indices(3000, 1)]
    assert np.mean(fresh >= thresholds[3]) <= 2e-5


def test_rates_that_the_measurements_do_not_support_are_refused() -> None:
    calibration = Calibration.measure("m", RNG.standard_normal(1000) / 10)
    with pytest.raises(BackendError, match="measure more people"):
        calibration.threshold(1e-5, comparisons=10_000)
    for rate, comparisons in [(0.0, 1), (1.0, 1), (0.1, 0)]:
        with pytest.raises(BackendError, match="between 0 and 1"):
            calibration.threshold(rate, comparisons=comparisons)
    with pytest.raises(BackendError, match=str(MIN_TAIL)):
        Calibration.measure("m", np.zeros(10))


def test_calibrations_are_files() -> None:
    calibration = Calibration.measure("m", RNG.standard_normal(1000) / 10)
    again = Calibration.from_json(calibration.to_json())
    assert again.threshold(0.01, comparisons=5) == pytest.approx(
        calibration.threshold(0.01, comparisons=5), 1e-4
    )
    for text in (
        "",
        "[]",
        '{"format": "x"}',
        calibration.to_json().replace("calibration 1", "calibration 9"),
    ):
        with pytest.raises(BackendError, match="not a face calibration"):
            Calibration.from_json(text)


# ---------------------------------------------------------------- the whole path


class RandomEmbedder:
    """A fixed random projection of the face's pixels: no recogniser, but one for equal pictures."""

    model_id = "random-projection@1"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self._net = np.random.default_rng(0).standard_normal((DIMENSIONS, 24 * 24))

    def embed(self, pixels: NDArray[np.uint8], faces: Sequence[FaceDetection]) -> NDArray[np.float32]:
        import cv2

        rows = []
        for face in faces:
            left, top, right, bottom = (max(0, round(value)) for value in face.box)
            grey = cv2.cvtColor(pixels[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
            small = cv2.resize(grey, (24, 24), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
            rows.append(self._net @ ((small - small.mean()) / (small.std() + 1e-6)))
        return unit(np.array(rows))


@pytest.fixture(scope="module")
def matcher() -> FaceMatcher:
    detector, embedder = MtcnnFaces(), RandomEmbedder()
    astronaut = np.asarray(data.astronaut(), np.uint8)
    (template,) = embedder.embed(astronaut, detector.detect(astronaut))
    people = [Enrolled("collins", "self-enrolled", template)]
    people += [Enrolled(f"p{n}", "self-enrolled", row) for n, row in enumerate(strangers(99))]
    gallery = open_gallery(
        seal_gallery(people, model_id=embedder.model_id, key=KEY, token_bytes=os.urandom), key=KEY
    )
    others = strangers(500)
    pairs = (others @ others.T)[np.triu_indices(500, 1)]
    return FaceMatcher(detector, embedder, gallery, Calibration.measure(embedder.model_id, pairs))


def test_an_enrolled_face_is_known_again_in_a_copy(matcher: FaceMatcher) -> None:
    astronaut = np.asarray(data.astronaut(), np.uint8)
    copy = np.clip(astronaut.astype(np.float64) * 0.9 + 8, 0, 255).astype(np.uint8)
    assert matcher.matched(copy, wrong_person_at_most=0.001) == {"collins"}


def test_pictures_without_people_match_nobody(matcher: FaceMatcher) -> None:
    for name in ("chelsea", "coffee", "rocket"):
        pixels = np.asarray(getattr(data, name)(), np.uint8)
        assert matcher.matched(pixels, wrong_person_at_most=0.001) == frozenset()


def test_another_face_is_not_taken_for_her(matcher: FaceMatcher) -> None:
    turned = np.ascontiguousarray(
        np.asarray(data.astronaut(), np.uint8)[:, ::-1]
    )  # this embedder sees another
    assert "collins" not in matcher.matched(turned, wrong_person_at_most=0.001)


def test_parts_of_different_models_do_not_fit(matcher: FaceMatcher) -> None:
    other = Calibration("other@1", matcher.calibration.comparisons, matcher.calibration.largest)
    with pytest.raises(BackendError, match="different models"):
        FaceMatcher(matcher.detector, matcher.embedder, matcher.gallery, other)


def test_nothing_of_a_stranger_is_kept(matcher: FaceMatcher, tmp_path: Path) -> None:
    before = len(matcher.gallery)
    matcher.matched(np.asarray(data.astronaut(), np.uint8), wrong_person_at_most=0.001)
    assert len(matcher.gallery) == before
    assert not any(tmp_path.iterdir())


# ---------------------------------------------------------------- rules and consent

POLICY = """\
policy: test.people
version: 1.0.0
unchecked_stages: [prompt, adapter, output]
rules:
  - id: protected
    title: A protected person without consent
    stage: reference
    severity: critical
    mode: enforce
    when:
      all:
        - {face_matches: protected-people, wrong_person_at_most: 1 in 1000 uploads}
        - consent: missing
    then: block
    reason: PERSON.NO_CONSENT
    tests:
      - block: {face_matches: enrolled}
      - block: {face_matches: enrolled, consent: expired}
      - allow: {face_matches: enrolled, consent: valid}
      - allow: {face_matches: nobody}
"""
ISSUER = Ed25519PrivateKey.generate()
HOURS = timedelta(hours=1)


def token(subject: str, *, tenant: str = "default", until: datetime = NOW + HOURS) -> str:
    consent = Consent(
        "c1", subject, "", tenant, ("generate",), NOW - HOURS, until, binding=Binding.FACE
    )  # fmt: skip
    return issue_consent(consent, ISSUER)


def decide(
    matcher: FaceMatcher | None, name: str, *tokens: str, revoked: frozenset[str] = frozenset()
) -> Decision:
    consents = SignedConsents((ISSUER.public_key(),), revoked=revoked)
    guard = Guard(
        parse_policy(POLICY, "people.yaml"), faces=None, consents=consents, clock=lambda: NOW, people=matcher
    )
    picture = Picture("reference", np.asarray(getattr(data, name)(), np.uint8), "0" * 64, tokens)
    return guard.evaluate(GuardRequest(Stage.REFERENCE, pictures=(picture,)))


def test_protected_people_need_their_own_consent(matcher: FaceMatcher) -> None:
    assert decide(matcher, "coffee").allowed
    assert not decide(matcher, "astronaut").allowed
    assert decide(matcher, "astronaut", token("collins")).allowed


@pytest.mark.parametrize(
    ("subject", "tenant", "until", "revoked"),
    [
        ("p3", "default", NOW + HOURS, frozenset()),  # somebody else's consent
        ("collins", "other", NOW + HOURS, frozenset()),
        ("collins", "default", NOW - HOURS / 2, frozenset()),
        ("collins", "default", NOW + HOURS, frozenset({"c1"})),
    ],
)
def test_other_consents_do_not_do(
    subject: str, tenant: str, until: datetime, revoked: frozenset[str], matcher: FaceMatcher
) -> None:
    given = token(subject, tenant=tenant, until=until)
    assert not decide(matcher, "astronaut", given, revoked=revoked).allowed


def test_answers_hold_no_score_and_no_pseudonym(matcher: FaceMatcher) -> None:
    text = json.dumps(decide(matcher, "astronaut").to_json())
    assert "collins" not in text
    assert "similarity" not in text


def test_without_a_gallery_the_rule_says_what_happens() -> None:
    decision = decide(None, "coffee")
    assert (decision.allowed, decision.reason) == (False, "GUARD.CHECK_FAILED")


def test_tests_inside_face_rules_run() -> None:
    policy = parse_policy(POLICY, "people.yaml")
    guard = Guard(policy, faces=None, consents=None, clock=lambda: NOW)
    assert run_tests(policy, guard).passed
    assert guard.missing_backends() == ("people",)
