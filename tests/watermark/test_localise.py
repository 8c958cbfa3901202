"""Splices, collages and pictures in pictures: each part is given to its own id, and nothing else to any."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from tests.watermark.conftest import Frame, embed, make_ring
from watermark import (
    Band,
    Box,
    Detection,
    DetectionError,
    Detector,
    KeyRing,
    Located,
    Maps,
    Mark,
    MediaId,
    locate,
    locate_in,
    open_media,
    read_both,
    write_video,
)
from watermark.frontend import accumulate
from watermark.timeline import read_timeline

FPS = 8
RING = make_ring("localise", subkeys=4)
IDS = [MediaId(0xA1A1A1A1A1A1), MediaId(0xB2B2B2B2B2B2), MediaId(0xC3C3C3C3C3C3), MediaId(0xD4D4D4D4D4D4)]


def mark(index: int) -> Mark:
    return Mark(RING.subkey(index), IDS[index])


def square(picture: Frame, side: int) -> Frame:
    least = min(picture.shape[:2])
    resized: Frame = cv2.resize(picture[:least, :least], (side, side), interpolation=cv2.INTER_AREA)
    return resized


def pan(picture: Frame, frames: int, side: int = 384) -> Frame:
    """A clip that wanders over a picture."""
    wide = np.concatenate([picture, picture[:, ::-1]], axis=1)
    return np.stack([wide[:side, 3 * t : 3 * t + side] for t in range(frames)])


def through_file(tmp_path: Path, frames: Iterable[Frame], crf: int = 23) -> tuple[Located, ...]:
    path = tmp_path / "clip.mp4"
    write_video(path, frames, fps=FPS, crf=crf)
    media = open_media(path)
    return locate(media.frames(), [RING], fps=media.fps)


def by_id(found: Iterable[Located]) -> dict[MediaId, Located]:
    return {part.media_id: part for part in found}


def test_a_splice_is_told_apart_in_time(tmp_path: Path) -> None:
    """Two marked clips with an unmarked one between them, encoded as one file."""
    first = embed(pan(data.astronaut(), 2 * FPS), mark(0))
    second = embed(pan(data.coffee(), 2 * FPS), mark(1))
    plain = pan(data.chelsea()[:, :300].repeat(2, axis=0).repeat(2, axis=1), 2 * FPS)
    found = through_file(tmp_path, [*first, *plain, *second])
    assert sorted(part.media_id for part in found) == IDS[:2]
    spans = {media_id: part.span for media_id, part in by_id(found).items()}
    assert (spans[IDS[0]].start, spans[IDS[0]].end) == pytest.approx((0, 2), abs=0.51)
    assert (spans[IDS[1]].start, spans[IDS[1]].end) == pytest.approx((4, 6), abs=0.51)
    assert all(part.log10_p <= -6 for part in found)


@pytest.mark.slow
def test_an_id_that_returns_is_found_twice(tmp_path: Path) -> None:
    marked = embed(pan(data.astronaut(), 4 * FPS), mark(0))
    plain = pan(data.coffee(), 2 * FPS)
    found = through_file(tmp_path, [*marked[: 2 * FPS], *plain, *marked[2 * FPS :]])
    assert [part.media_id for part in found] == [IDS[0]] * 2
    spans = sorted(part.span for part in found)
    assert [spans[0].end, spans[1].start] == pytest.approx([2, 4], abs=0.51)


def test_each_picture_of_a_collage_has_its_own_id() -> None:
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    tiles = [embed(square(picture, 512), mark(index)) for index, picture in enumerate(pictures)]
    collage = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
    found = by_id(locate([collage], [RING]))
    assert sorted(found) == IDS
    for index, media_id in enumerate(IDS):
        top, left = 512 * (index // 2), 512 * (index % 2)
        assert found[media_id].box.overlap(Box(left, top, left + 512, top + 512)) >= 0.6, media_id
        assert found[media_id].span.seconds == 0


def test_a_picture_in_a_picture_is_told_from_what_surrounds_it(tmp_path: Path) -> None:
    outer = embed(np.stack([square(data.astronaut(), 640)] * 12), mark(0))
    inner = embed(pan(data.coffee(), 12, 320), mark(1))
    outer[:, 300:620, 300:620] = inner
    found = by_id(through_file(tmp_path, outer))
    assert sorted(found) == IDS[:2]
    assert found[IDS[1]].box.overlap(Box(300, 300, 620, 620)) >= 0.6


@pytest.mark.slow
def test_a_marked_clip_is_one_part_from_end_to_end(tmp_path: Path) -> None:
    (part,) = through_file(tmp_path, embed(pan(data.astronaut(), 3 * FPS), mark(2)), crf=28)
    assert part.media_id == IDS[2]
    assert (part.span.start, part.span.end) == pytest.approx((0, 3), abs=0.01)
    assert part.box.overlap(Box(0, 0, 384, 384)) >= 0.8
    assert part.key_id == "0.2"


def test_nothing_is_located_in_an_unmarked_medium_or_with_another_key(tmp_path: Path) -> None:
    assert through_file(tmp_path, pan(data.coffee(), 2 * FPS)) == ()
    marked = embed(square(data.astronaut(), 384), mark(0))
    assert locate([marked], [make_ring("another")]) == ()


def test_rings_of_one_epoch_are_told_apart() -> None:
    other = make_ring("tenant", subkeys=4)
    marked = embed(square(data.astronaut(), 384), Mark(other.subkey(1), IDS[3]))
    (part,) = locate([marked], [RING, other])
    assert (part.media_id, part.key_id) == (IDS[3], "0.1")


def test_what_is_known_of_the_whole_is_not_looked_for_again() -> None:
    marked = embed(data.astronaut(), mark(2))
    maps, timeline = read_both([marked], 0.0)
    known = Detector([RING]).detect_in(maps)
    (searched,) = locate([marked], [RING])
    (part,) = locate_in(timeline, Detector([RING]), whole=known)
    assert (part.media_id, part.span, part.box) == (IDS[2], searched.span, searched.box)
    assert np.allclose(part.geometry.canonical_to_pixels, searched.geometry.canonical_to_pixels)
    assert part.log10_p == pytest.approx(searched.log10_p, abs=0.1)


def test_a_whole_without_a_mark_is_searched_all_the_same() -> None:
    marked = embed(data.astronaut(), mark(2))
    nothing = Detector([make_ring("another", subkeys=4)]).detect([marked])
    assert not nothing.found
    timeline = read_timeline([marked], 0.0)
    assert [part.media_id for part in locate_in(timeline, Detector([RING]), whole=nothing)] == [IDS[2]]


def test_what_cannot_be_examined_is_refused(ring: KeyRing) -> None:
    with pytest.raises(DetectionError, match="no frames"):
        locate([], [ring])
    with pytest.raises(DetectionError, match="ring"):
        locate([data.astronaut()], [])
    with pytest.raises(DetectionError, match="size"):
        locate([data.astronaut(), data.coffee()], [ring], fps=1)


def test_one_pass_reads_what_two_would() -> None:
    clip = np.random.default_rng(3).integers(0, 256, (70, 64, 64, 3), np.uint8)
    maps, timeline = read_both(iter(clip), FPS)
    alone, blocks = accumulate(clip), read_timeline(clip, FPS)
    assert maps.frames == alone.frames < len(clip)
    assert np.array_equal(maps.luma, alone.luma)
    assert maps.opening is not None
    assert maps.opening.frames == 3
    assert timeline.starts == blocks.starts == [*range(0, 70, 4), 70]
    pairs = zip(timeline.maps, blocks.maps, strict=True)
    assert all(np.array_equal(one.luma, two.luma) for one, two in pairs)


def test_long_clips_get_longer_blocks() -> None:
    frame = np.zeros((32, 32, 3), np.uint8)
    timeline = read_timeline((frame for _ in range(131)), fps=2)
    assert len(timeline) == 33
    assert timeline.starts == [*range(0, 131, 4), 131]
    assert timeline.sum((0, 33)).frames == 131


class Blind(Detector):
    """Finds nothing, and counts how often it is asked."""

    asked = 0

    def detect_in(self, maps: Maps) -> Detection:
        self.asked += 1
        return Detection(False, Band.NONE, None, None, 0.0, maps.frames, None)


def test_locating_costs_a_few_detections() -> None:
    clip = pan(data.coffee(), 3 * FPS, side=64)
    for allowed, most in ((32, 16), (5, 5)):
        blind = Blind([RING])
        assert locate_in(read_timeline(clip, FPS), blind, examinations=allowed) == ()
        assert 5 <= blind.asked <= most
