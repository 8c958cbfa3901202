"""Protected faces: the store, the error rates, and the whole path from pixels to a pseudonym."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from skimage import data

from guard import (
    BackendError,
    Consent,
    Decision,
    FaceBackend,
    FaceDetection,
    Guard,
    GuardRequest,
    Picture,
    SignedConsents,
    Stage,
    issue_consent,
    parse_policy,
)
from guard.calibration import MIN_TAIL, Calibration
from guard.consent import Binding
from guard.gallery import Enrolled, FaceMatcher, new_gallery, open_gallery, seal_gallery
from guard.hashes import hash_of
from guard.templates import FaceReader, open_detector, open_embedder
from guard.testing import run_tests
from tests.guard import tiny_faces
from tests.guard.conftest import NOW
from tests.guard.tiny_faces import scene

KEY, DIMENSIONS = bytes(range(32)), 64
RNG = np.random.default_rng(5)


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def strangers(count: int, dimensions: int = DIMENSIONS) -> NDArray[np.float32]:
    return unit(RNG.standard_normal((count, dimensions)))


def sealed(templates: NDArray[np.float32], model_id: str = "model@1") -> bytes:
    people = [Enrolled(f"p{n}", "self-enrolled", row) for n, row in enumerate(templates)]
    return seal_gallery(people, model_id=model_id, key=KEY, token_bytes=Random(5).randbytes)


def test_a_gallery_comes_back_and_finds_its_people() -> None:
    templates = strangers(50)
    gallery = open_gallery(sealed(templates), key=KEY)
    assert (len(gallery), len(gallery.people), gallery.model_id) == (50, 50, "model@1")
    assert gallery.people["p3"] == ("self-enrolled", 1)
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

ADA, BOB, STRANGER = 1, 2, 9


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> FaceReader:
    folder = tmp_path_factory.mktemp("models")
    detector = open_detector(tiny_faces.yunet(folder / "yunet.onnx"))
    return FaceReader(detector, open_embedder(tiny_faces.sface(folder / "sface.onnx")))


@pytest.fixture(scope="module")
def matcher(reader: FaceReader) -> FaceMatcher:
    people = [Enrolled("ada", "self-enrolled", reader.only_face(scene(ADA)))]
    people += [Enrolled("bob", "victim request", reader.only_face(scene(BOB)))]
    people += [Enrolled(f"p{n}", "self-enrolled", row) for n, row in enumerate(strangers(98, 128))]
    others = np.concatenate([reader.read(scene(*range(at, at + 4))).templates for at in range(100, 180, 4)])
    pairs = (others @ others.T)[np.triu_indices(len(others), 1)]
    gallery = new_gallery(people, model_id=reader.model_id, key=KEY)
    return FaceMatcher(reader, gallery, Calibration.measure(reader.model_id, pairs))


def test_an_enrolled_face_is_known_again_in_other_pictures(matcher: FaceMatcher) -> None:
    assert matcher.matched(scene(ADA, noise=3), wrong_person_at_most=0.01) == {"ada"}
    darker = np.asarray(scene(STRANGER, ADA) * 0.9 + 8, np.uint8)
    assert matcher.matched(darker, wrong_person_at_most=0.01) == {"ada"}
    assert matcher.matched(scene(BOB, ADA), wrong_person_at_most=0.01) == {"ada", "bob"}


def test_strangers_and_pictures_without_people_match_nobody(matcher: FaceMatcher) -> None:
    assert matcher.shown(scene(), wrong_person_at_most=0.01) == ()
    assert matcher.shown(scene(STRANGER), wrong_person_at_most=0.01) == (frozenset(),)


def test_a_face_too_small_to_compare_is_nobody_and_counts(matcher: FaceMatcher) -> None:
    small = FaceReader(_Shrunk(matcher.reader.detector), matcher.reader.embedder)
    shown = FaceMatcher(small, matcher.gallery, matcher.calibration).shown(
        scene(ADA), wrong_person_at_most=0.01
    )
    assert shown == (frozenset(),)


class _Shrunk:
    """Says of every face that it is small."""

    def __init__(self, detector: FaceBackend) -> None:
        self.model_id = detector.model_id
        self._detector = detector

    def detect(self, pixels: NDArray[np.uint8]) -> list[FaceDetection]:
        found = self._detector.detect(pixels)
        return [FaceDetection((*face.box[:2], face.box[0] + 20, face.box[1] + 20), 1.0) for face in found]


def test_parts_of_different_models_do_not_fit(matcher: FaceMatcher, tmp_path: Path) -> None:
    other = Calibration("other@1", matcher.calibration.comparisons, matcher.calibration.largest)
    with pytest.raises(BackendError, match="do not belong together"):
        FaceMatcher(matcher.reader, matcher.gallery, other)
    embedder = open_embedder(tiny_faces.sface(tmp_path / "other.onnx", seed=1))
    with pytest.raises(BackendError, match="do not belong together"):
        FaceMatcher(FaceReader(matcher.reader.detector, embedder), matcher.gallery, matcher.calibration)


def test_nothing_of_a_stranger_is_kept(matcher: FaceMatcher) -> None:
    before = matcher.gallery.people
    matcher.matched(scene(STRANGER), wrong_person_at_most=0.01)
    assert matcher.gallery.people == before


def test_people_join_and_leave(matcher: FaceMatcher) -> None:
    gallery = matcher.gallery.with_person(Enrolled("cy", "self-enrolled", matcher.reader.only_face(scene(3))))
    again = open_gallery(gallery.seal(KEY, os.urandom), key=KEY)
    assert again.people["cy"] == ("self-enrolled", 1)
    bigger = FaceMatcher(matcher.reader, again, matcher.calibration)
    assert bigger.matched(scene(3, ADA), wrong_person_at_most=0.01) == {"cy", "ada"}
    smaller = FaceMatcher(matcher.reader, again.without("cy"), matcher.calibration)
    assert smaller.matched(scene(3, ADA), wrong_person_at_most=0.01) == {"ada"}
    with pytest.raises(BackendError, match="nobody is enrolled as 'cy'"):
        matcher.gallery.without("cy")
    with pytest.raises(BackendError, match="of one length"):
        gallery.with_person(Enrolled("dan", "self-enrolled", strangers(1, 64)[0]))
    with pytest.raises(BackendError, match="a pseudonym has"):
        gallery.with_person(Enrolled("", "self-enrolled", strangers(1, 128)[0]))


def test_who_is_enrolled_must_be_alone_in_the_picture(reader: FaceReader) -> None:
    with pytest.raises(BackendError, match="shows 0 faces"):
        reader.only_face(scene())
    with pytest.raises(BackendError, match="shows 2 faces"):
        reader.only_face(scene(ADA, BOB))
    small = FaceReader(_Shrunk(reader.detector), reader.embedder)
    with pytest.raises(BackendError, match="smaller than 40 pixels"):
        small.only_face(scene(ADA))


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
    matcher: FaceMatcher | None,
    pixels: NDArray[np.uint8],
    *tokens: str,
    revoked: frozenset[str] = frozenset(),
    faces: FaceBackend | None = None,
    policy: str = POLICY,
) -> Decision:
    consents = SignedConsents((ISSUER.public_key(),), revoked=revoked)
    guard = Guard(
        parse_policy(policy, "people.yaml"), faces=faces, consents=consents, clock=lambda: NOW, people=matcher
    )
    picture = Picture("reference", pixels, "0" * 64, tokens)
    return guard.evaluate(GuardRequest(Stage.REFERENCE, pictures=(picture,)))


def test_protected_people_need_their_own_consent(matcher: FaceMatcher) -> None:
    assert decide(matcher, scene()).allowed
    assert decide(matcher, scene(STRANGER)).allowed
    assert not decide(matcher, scene(ADA)).allowed
    assert decide(matcher, scene(ADA), token("ada")).allowed
    assert decide(matcher, scene(ADA, noise=4), token("ada")).allowed  # another file, the same person
    assert not decide(matcher, scene(ADA, BOB), token("ada")).allowed
    assert decide(matcher, scene(ADA, BOB), token("ada"), token("bob")).allowed


ANY_FACE = POLICY.replace("{face_matches: protected-people, wrong_person_at_most: 1 in 1000 uploads}",
                          "face: present").replace("face_matches: enrolled", "face: present").replace(
                              "face_matches: nobody", "face: none")  # fmt: skip


def test_a_consent_does_not_cover_a_stranger_beside_its_person(matcher: FaceMatcher) -> None:
    seen = matcher.reader.detector
    assert decide(matcher, scene(ADA), token("ada"), faces=seen, policy=ANY_FACE).allowed
    assert not decide(matcher, scene(ADA, STRANGER), token("ada"), faces=seen, policy=ANY_FACE).allowed
    assert not decide(matcher, scene(STRANGER), token("ada"), faces=seen, policy=ANY_FACE).allowed
    # The rate is written for a gallery: what a calibration does not support is refused, not guessed.
    assert decide(None, scene(ADA), token("ada"), faces=seen, policy=ANY_FACE).reason == "GUARD.CHECK_FAILED"


def test_a_consent_for_copies_needs_no_model(matcher: FaceMatcher) -> None:
    photo = np.asarray(data.chelsea(), np.uint8)
    listed = hash_of(photo) or ""
    consent = Consent("c9", "ada", "", "default", ("generate",), NOW - HOURS, NOW + HOURS,
                      Binding.COPIES, listed)  # fmt: skip
    signed = issue_consent(consent, ISSUER)
    faces = _Everywhere()
    copy = cv2.imdecode(cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)
    assert decide(None, np.asarray(copy, np.uint8), signed, faces=faces, policy=ANY_FACE).allowed
    other = np.asarray(data.coffee(), np.uint8)
    assert not decide(None, other, signed, faces=faces, policy=ANY_FACE).allowed
    assert not decide(None, np.full((64, 64, 3), 9, np.uint8), signed, faces=faces, policy=ANY_FACE).allowed


class _Everywhere:
    """Sees a face in every picture."""

    model_id = "everywhere"

    def detect(self, pixels: NDArray[np.uint8]) -> list[FaceDetection]:
        return [FaceDetection((0.0, 0.0, 64.0, 64.0), 1.0)]


@pytest.mark.parametrize(
    ("subject", "tenant", "until", "revoked"),
    [
        ("bob", "default", NOW + HOURS, frozenset()),  # somebody else's consent
        ("ada", "other", NOW + HOURS, frozenset()),
        ("ada", "default", NOW - HOURS / 2, frozenset()),
        ("ada", "default", NOW + HOURS, frozenset({"c1"})),
    ],
)
def test_other_consents_do_not_do(
    subject: str, tenant: str, until: datetime, revoked: frozenset[str], matcher: FaceMatcher
) -> None:
    given = token(subject, tenant=tenant, until=until)
    assert not decide(matcher, scene(ADA), given, revoked=revoked).allowed


def test_answers_hold_no_score_and_no_pseudonym(matcher: FaceMatcher) -> None:
    text = json.dumps(decide(matcher, scene(ADA)).to_json())
    assert '"ada"' not in text
    assert "similarity" not in text


def test_without_a_gallery_the_rule_says_what_happens() -> None:
    decision = decide(None, scene())
    assert (decision.allowed, decision.reason) == (False, "GUARD.CHECK_FAILED")


def test_tests_inside_face_rules_run() -> None:
    policy = parse_policy(POLICY, "people.yaml")
    guard = Guard(policy, faces=None, consents=None, clock=lambda: NOW)
    assert run_tests(policy, guard).passed
    assert guard.missing_backends() == ("people",)
