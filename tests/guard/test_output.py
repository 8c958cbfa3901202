"""The frames that output rules look at, and findings that must last."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from guard import GuardRequest, Outcome, Picture, Stage, parse_policy
from guard.hashes import hashes_to_list
from guard.output import MAX_SCENES, frames_to_check, longest_run, scene_cuts
from tests.guard.conftest import guard_of

ASTRONAUT, COFFEE = (np.asarray(image(), np.uint8)[:400, :400] for image in (data.astronaut, data.coffee))


def clip(*scenes: tuple[NDArray[np.uint8], int]) -> NDArray[np.uint8]:
    """Scenes, each a slow pan over a picture."""
    return np.stack([scene[:256, n : n + 256] for scene, count in scenes for n in range(count)])


def test_every_scene_is_looked_at() -> None:
    frames = clip((COFFEE, 20), (ASTRONAUT, 3), (COFFEE, 25))
    assert scene_cuts(frames) == [20, 23]
    shown = frames_to_check(frames, 4)
    assert {0, 47} <= set(shown)
    assert any(20 <= number < 23 for number in shown)
    assert not any(20 <= number < 23 for number in np.linspace(0, 47, 4).round())


def test_pans_are_no_cuts_and_noise_has_few() -> None:
    assert scene_cuts(clip((ASTRONAUT, 60))) == []
    noise = np.random.default_rng(0).integers(0, 256, (80, 32, 32, 3), np.uint8)
    assert len(scene_cuts(noise)) < MAX_SCENES
    flashes = np.stack([np.full((32, 32, 3), 255 * (n % 2), np.uint8) for n in range(80)])
    assert len(scene_cuts(flashes)) < MAX_SCENES


def test_single_pictures_and_none() -> None:
    assert frames_to_check(clip((COFFEE, 1)), 8) == [0]
    assert frames_to_check(clip((COFFEE, 2)), 8) == [0, 1]
    assert frames_to_check(np.empty((0, 8, 8, 3), np.uint8), 8) == []


@pytest.mark.parametrize(("seen", "run"), [([], 0), ([3], 1), ([0, 2, 4], 1), ([0, 1, 3, 4, 5, 8], 3)])
def test_runs_are_of_neighbours(seen: list[int], run: int) -> None:
    assert longest_run(seen) == run


POLICY = f"""\
policy: test.output
version: 1.0.0
unchecked_stages: [prompt, reference, adapter]
lists:
  known: {{kind: hashes, items: ["{hashes_to_list(ASTRONAUT)[0]}"]}}
rules:
  - id: known-output
    title: A known picture
    stage: output
    severity: critical
    mode: enforce
    frames_in_a_row: 2
    when: {{hash: known}}
    then: block
    reason: CUSTOM.KNOWN
    tests:
      - block: {{hash: listed}}
      - allow: {{hash: unlisted}}
"""


@pytest.mark.parametrize(
    ("shown", "outcome"),
    [
        ([ASTRONAUT], Outcome.BLOCK),  # a picture has no neighbours
        ([COFFEE, ASTRONAUT, COFFEE], Outcome.ALLOW),
        ([COFFEE, ASTRONAUT, ASTRONAUT], Outcome.BLOCK),
        ([ASTRONAUT, COFFEE, ASTRONAUT, COFFEE], Outcome.ALLOW),
    ],
)
def test_a_finding_must_last(shown: list[NDArray[np.uint8]], outcome: Outcome) -> None:
    guard = guard_of(parse_policy(POLICY, "output.yaml"))
    pictures = tuple(Picture("output", pixels, "0" * 64) for pixels in shown)
    assert guard.evaluate(GuardRequest(Stage.OUTPUT, pictures=pictures)).outcome is outcome
