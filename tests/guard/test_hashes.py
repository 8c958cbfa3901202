"""Known pictures: copies are found, other pictures are not, and rules see both."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from guard import GuardRequest, Outcome, Picture, PolicyError, Stage, parse_policy
from guard.hashes import HashIndex, hashes_to_list
from guard.testing import run_tests
from tests.guard.conftest import guard_of

Pixels = NDArray[np.uint8]


def picture(name: str) -> Pixels:
    pixels = np.asarray(getattr(data, name)(), np.uint8)
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else np.stack([pixels] * 3, 2))


PICTURES = {name: picture(name) for name in ("astronaut", "chelsea", "coffee", "camera", "rocket")}
LISTED = hashes_to_list(PICTURES["astronaut"])
INDEX = HashIndex(LISTED)


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer), np.uint8)


def scaled(pixels: Pixels, share: float) -> Pixels:
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((round(image.width * share), round(image.height * share))), np.uint8)


def crop(pixels: Pixels, share: float) -> Pixels:
    height, width = pixels.shape[:2]
    top, left = round(height * share / 2), round(width * share / 2)
    return pixels[top : height - top, left : width - left]


COPIES = {
    "itself": PICTURES["astronaut"],
    "jpeg 10": jpeg(PICTURES["astronaut"], 10),
    "half size": scaled(PICTURES["astronaut"], 0.5),
    "mirrored": PICTURES["astronaut"][:, ::-1],
    "turned": np.rot90(PICTURES["astronaut"]),
    "upside down, mirrored, jpeg": jpeg(np.ascontiguousarray(PICTURES["astronaut"][::-1, ::-1]), 40),
    "cropped 5 %": crop(PICTURES["astronaut"], 0.05),
    "cropped 15 %, mirrored": crop(PICTURES["astronaut"], 0.15)[:, ::-1],
    "cropped 20 %, jpeg": jpeg(np.ascontiguousarray(crop(PICTURES["astronaut"], 0.2)), 50),
    "brighter": np.clip(PICTURES["astronaut"].astype(np.int16) + 20, 0, 255).astype(np.uint8),
    "framed": np.pad(PICTURES["astronaut"], ((28, 28), (28, 28), (0, 0))),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found(name: str) -> None:
    assert INDEX.matches(np.ascontiguousarray(COPIES[name]))


@pytest.mark.parametrize("name", sorted(PICTURES.keys() - {"astronaut"}))
def test_other_pictures_are_not(name: str) -> None:
    assert not INDEX.matches(PICTURES[name])


def test_flat_pictures_have_no_hash_and_match_nothing() -> None:
    flat = np.full((64, 64, 3), 128, np.uint8)
    assert hashes_to_list(flat) == ()
    assert not HashIndex(["0" * 64, "f" * 64]).matches(flat)
    assert not HashIndex([]).matches(PICTURES["coffee"])


POLICY = f"""\
policy: test.hashes
version: 1.0.0
unchecked_stages: [prompt, adapter]
lists:
  known: {{kind: hashes, items: ["{LISTED[0]}"]}}
rules:
  - id: known-reference
    title: A picture from a hash list
    stage: reference
    severity: critical
    mode: enforce
    when: {{hash: known}}
    then: block
    reason: CUSTOM.KNOWN
    tests:
      - block: {{hash: listed}}
      - allow: {{hash: unlisted}}
  - id: known-output
    title: A frame from a hash list
    stage: output
    severity: critical
    mode: enforce
    when: {{hash: known}}
    then: block
    reason: CUSTOM.KNOWN
    tests:
      - block: {{hash: listed}}
      - allow: {{hash: unlisted}}
"""


@pytest.mark.parametrize("stage", [Stage.REFERENCE, Stage.OUTPUT])
@pytest.mark.parametrize(("name", "outcome"), [("astronaut", Outcome.BLOCK), ("coffee", Outcome.ALLOW)])
def test_rules_look_pictures_up(stage: Stage, name: str, outcome: Outcome) -> None:
    guard = guard_of(parse_policy(POLICY, "hashes.yaml"))
    found = Picture("picture", PICTURES[name], "0" * 64)
    assert guard.evaluate(GuardRequest(stage, pictures=(found,))).outcome is outcome


def test_tests_inside_hash_rules_run() -> None:
    policy = parse_policy(POLICY, "hashes.yaml")
    assert run_tests(policy, guard_of(policy)).passed


def test_hashes_that_are_none_are_refused() -> None:
    with pytest.raises(PolicyError, match="hashes are 64 characters"):
        parse_policy(POLICY.replace(LISTED[0], "abc"), "hashes.yaml")
