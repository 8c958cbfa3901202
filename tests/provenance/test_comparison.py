"""Copies agree with their record, other pictures do not, and what cannot be compared is said to be so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from skimage import data

from provenance import Match, compare, fingerprint_frames
from provenance.fingerprint import MAX_VIEWS, VIEW_LINES, Sampler, Views
from tests.provenance.makers import Frame
from watermark import Geometry
from watermark.geometry import Matrix, aligned

PHOTOS = {
    name: np.ascontiguousarray(getattr(data, name)()) for name in ("chelsea", "coffee", "astronaut", "rocket")
}


def _views(frame: Frame) -> Views:
    sampler = Sampler(fps=0, lines=VIEW_LINES, limit=MAX_VIEWS)
    sampler.look(np.ascontiguousarray(frame))
    return sampler.views()


@dataclass(frozen=True)
class Warp:
    """What was done to the picture, and where its pixels went."""

    change: Callable[[Frame], Frame]
    motion: Callable[[int, int], Matrix] = lambda rows, columns: np.eye(3)


def _crop(frame: Frame) -> Frame:
    rows, columns = frame.shape[:2]
    return frame[rows // 5 : rows // 5 + rows * 3 // 5, columns // 5 : columns // 5 + columns * 3 // 5]


def _turn(rows: int, columns: int) -> Matrix:
    return np.vstack([cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), 8, 1.0), [0, 0, 1]])


WARPS = {
    "same": Warp(lambda f: f),
    "negative colours turned": Warp(lambda f: np.roll(f, 1, axis=2)),
    "grey": Warp(lambda f: np.repeat(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)),
    "crop": Warp(_crop, lambda r, c: np.array([[1, 0, -(c // 5)], [0, 1, -(r // 5)], [0, 0, 1.0]])),
    "mirror": Warp(lambda f: f[:, ::-1], lambda r, c: np.array([[-1, 0, c - 1], [0, 1, 0], [0, 0, 1.0]])),
    "turn": Warp(lambda f: cv2.warpAffine(f, _turn(*f.shape[:2])[:2], f.shape[1::-1]), _turn),
    "blur": Warp(lambda f: cv2.GaussianBlur(f, (0, 0), 2)),
}


@pytest.mark.parametrize("warp", WARPS)
@pytest.mark.parametrize("photo", PHOTOS)
def test_copies_agree_and_other_pictures_do_not(photo: str, warp: str) -> None:
    original = PHOTOS[photo]
    rows, columns = original.shape[:2]
    views = _views(WARPS[warp].change(original))
    geometry = Geometry.of(WARPS[warp].motion(rows, columns) @ aligned(rows, columns))
    answers = {
        name: compare(fingerprint_frames([other], fps=0), views, geometry).match
        for name, other in PHOTOS.items()
    }
    assert answers.pop(photo) is Match.MATCH
    assert Match.MATCH not in answers.values()


def test_a_shared_horizon_is_no_agreement() -> None:
    """Two different seas under two different skies, parted by the same line."""
    rng = np.random.default_rng(3)

    def scene() -> Frame:
        rough = rng.integers(-25, 26, (30, 50, 1)).repeat(8, 0).repeat(8, 1)
        base = np.where(np.arange(240)[:, None, None] < 120, 200, 60)
        return np.broadcast_to(np.clip(base + rough, 0, 255), (240, 400, 3)).astype(np.uint8)

    one, other = scene(), scene()
    record = fingerprint_frames([one], fps=0)
    assert compare(record, _views(one), None).match is Match.MATCH
    assert compare(record, _views(other), None).match is Match.MISMATCH


def test_what_cannot_be_compared() -> None:
    flat = np.full((200, 300, 3), 90, np.uint8)
    record = fingerprint_frames([PHOTOS["coffee"]], fps=0)
    assert compare(fingerprint_frames([flat], fps=0), _views(flat), None).match is Match.NOT_COMPARABLE
    elsewhere = Geometry.of(np.array([[1, 0, 1e5], [0, 1, 1e5], [0, 0, 1.0]]))
    answer = compare(record, _views(PHOTOS["coffee"]), elsewhere)
    assert (answer.match, answer.compared, answer.views) == (Match.NOT_COMPARABLE, 0, 1)


def test_a_flat_upload_is_not_the_textured_record() -> None:
    flat = np.full((400, 600, 3), 90, np.uint8)
    assert compare(fingerprint_frames([PHOTOS["coffee"]], fps=0), _views(flat), None).match is Match.MISMATCH


def test_a_quarter_of_a_clip_is_enough_and_a_flash_is_not() -> None:
    def clip(own: int, foreign: int) -> Views:
        sampler = Sampler(fps=1, lines=VIEW_LINES, limit=MAX_VIEWS)
        other = cv2.resize(PHOTOS["rocket"], (600, 400))
        for frame in [PHOTOS["coffee"]] * own + [other] * foreign:
            sampler.look(frame)
        return sampler.views()

    record = fingerprint_frames([PHOTOS["coffee"]], fps=0)
    part, flash = compare(record, clip(4, 8), None), compare(record, clip(1, 11), None)
    assert (part.match, flash.match) == (Match.MATCH, Match.MISMATCH)
    assert part.share == pytest.approx(1 / 3)


def test_a_faint_record_is_refuted_by_something_else_and_not_by_being_wiped_out() -> None:
    rng = np.random.default_rng(3)
    coarse = cv2.resize(
        rng.normal(0, 1, (16, 24)).astype(np.float32), (600, 400), interpolation=cv2.INTER_CUBIC
    )
    faint = np.repeat(np.clip(np.rint(120 + 0.9 * coarse), 0, 255).astype(np.uint8)[..., None], 3, 2)
    record = fingerprint_frames([faint], fps=0)
    wiped = np.full_like(faint, 120)
    covered = wiped.copy()
    covered[:90] = cv2.resize(PHOTOS["rocket"], (600, 400))[:90]
    answers = [compare(record, _views(shown), None).match for shown in (faint, wiped, covered)]
    assert answers == [Match.MATCH, Match.NOT_COMPARABLE, Match.NOT_COMPARABLE]
    other = cv2.resize(PHOTOS["coffee"], (600, 400))
    assert compare(record, _views(other), None).match is Match.MISMATCH
