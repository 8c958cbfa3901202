"""Media of which only a part is ours: judged by that part, and said to be one."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from provenance import (
    C2paReport,
    C2paState,
    Evidence,
    InMemoryRegistry,
    Labels,
    Match,
    Record,
    TrustAnchors,
    Verdict,
    fingerprint_frames,
    inspect_media,
    judge,
)
from provenance.fingerprint import MAX_VIEWS, VIEW_LINES, Sampler
from tests.provenance.makers import Frame, found, not_found, utc
from watermark import (
    Box,
    Detector,
    Geometry,
    KeyRing,
    Located,
    Mark,
    MediaId,
    MediaLimits,
    Span,
    locate_in,
    write_video,
)
from watermark.geometry import aligned

OURS, OTHER = MediaId(0xA11CE), MediaId(0xB0B)
NOW = utc(20)
HEIGHT, WIDTH, FPS = 144, 256, 4.0


def _texture(seed: int) -> Frame:
    rough = np.random.default_rng(seed).integers(0, 256, (18, 32, 3), dtype=np.uint8)
    return np.ascontiguousarray(rough.repeat(8, 0).repeat(8, 1))


def _record(media_id: MediaId, seed: int) -> Record:
    return Record(
        media_id=media_id,
        key_id="0.3",
        manifest_label=f"urn:c2pa:{media_id.hex}",
        manifest=b"store",
        fingerprint=fingerprint_frames([_texture(seed)], fps=0),
        created_at=utc(1),
        tenant="studio",
    )


REGISTRY = InMemoryRegistry([_record(OURS, 1), _record(OTHER, 2)])


def _located(media_id: MediaId, start: float, end: float, box: Box | None = None) -> Located:
    placed = Geometry.of(aligned(HEIGHT, WIDTH))
    return Located(media_id, "0.3", Span(start, end), box or Box(0, 0, WIDTH, HEIGHT), -30.0, placed)


def _evidence(seeds: list[int], parts: tuple[Located, ...] | None, mark: MediaId | None = None) -> Evidence:
    """A clip of a second per seed."""
    sampler = Sampler(fps=FPS, lines=VIEW_LINES, limit=MAX_VIEWS)
    for seed in seeds:
        for _ in range(int(FPS)):
            sampler.look(_texture(seed))
    detection = not_found() if mark is None else found(mark, HEIGHT, WIDTH)
    return Evidence(
        9, "video/mp4", WIDTH, HEIGHT, float(len(seeds)), detection, sampler.views(),
        C2paReport(C2paState.ABSENT), Labels(), parts=parts,
    )  # fmt: skip


def test_a_short_part_of_a_long_clip_is_compared_by_itself() -> None:
    seeds = [7, 8, 9, 1, 10, 11, 12, 13, 14, 15]
    whole = judge(_evidence(seeds, None, OURS), REGISTRY, now=NOW)
    assert whole.verdict is Verdict.TRANSPLANTED_MARK  # nine tenths show something else
    report = judge(_evidence(seeds, (_located(OURS, 3.0, 4.0),), OURS), REGISTRY, now=NOW)
    assert report.verdict is Verdict.MADE_HERE_MANIFEST_RECOVERED
    answer = report.to_json()
    assert answer["coverage"] == {"time": 0.1, "area": 1.0}
    assert answer["parts"][0]["match"] == "match"
    (said,) = [line for line in report.explain if "only" in line.fact]
    assert "10% of its time" in said.fact
    assert "where the rest comes from" in said.does_not_prove


def test_a_part_is_found_where_the_whole_shows_no_mark() -> None:
    report = judge(_evidence([7, 1, 8], (_located(OURS, 1.0, 2.0),)), REGISTRY, now=NOW)
    assert report.verdict is Verdict.MADE_HERE_MANIFEST_RECOVERED
    assert "found in a part" in report.explain[0].fact
    assert report.facts.mark_id == OURS


def test_a_part_that_shows_another_picture_is_refuted() -> None:
    report = judge(_evidence([7, 8, 9], (_located(OURS, 1.0, 2.0),)), REGISTRY, now=NOW)
    assert report.verdict is Verdict.TRANSPLANTED_MARK


def test_several_releases_put_together_are_named() -> None:
    parts = (_located(OURS, 0.0, 1.0), _located(OTHER, 1.0, 2.0))
    report = judge(_evidence([1, 2, 9, 9], parts, OURS), REGISTRY, now=NOW)
    assert [part.match for part in report.facts.parts or ()] == [Match.MATCH, Match.MATCH]
    (said,) = [line for line in report.explain if "2 releases" in line.means]
    assert OTHER.hex in said.fact


def test_a_mark_all_over_says_nothing_of_parts() -> None:
    report = judge(_evidence([1, 1], (_located(OURS, 0.0, 2.0),), OURS), REGISTRY, now=NOW)
    assert report.facts.coverage is not None
    assert report.facts.coverage.whole
    assert not any("only" in line.fact for line in report.explain)


def test_nobody_looked_and_nothing_found_differ() -> None:
    assert judge(_evidence([7], None), REGISTRY, now=NOW).to_json()["parts"] is None
    looked = judge(_evidence([7], ()), REGISTRY, now=NOW)
    assert looked.to_json()["parts"] == []
    assert looked.to_json()["coverage"] == {"time": 0.0, "area": 0.0}
    assert looked.verdict is Verdict.NO_EVIDENCE


@pytest.fixture(scope="module")
def ring() -> KeyRing:
    return KeyRing.derive(hashlib.sha256(b"parts").digest(), deployment="parts")


def test_the_real_search_finds_two_seconds_in_a_longer_clip(ring: KeyRing, tmp_path: Path) -> None:
    picture = np.ascontiguousarray(data.astronaut()[:288])
    plain = np.stack([np.roll(picture, 3 * index, 1) for index in range(24)])
    unit = torch.from_numpy(plain[16:]).permute(0, 3, 1, 2).float() / 255
    marked = (Mark(ring.subkey(1), OURS).apply(unit) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    path = tmp_path / "clip.mp4"
    write_video(path, np.concatenate([plain[:16], marked]), fps=8)
    record = replace(_record(OURS, 1), fingerprint=fingerprint_frames(marked, fps=8))
    detector = Detector([ring])
    evidence = inspect_media(
        path,
        detector=detector,
        trust=TrustAnchors(),
        limits=MediaLimits(),
        locate=partial(locate_in, detector=detector, examinations=2),
        thorough=True,
    )
    report = judge(evidence, InMemoryRegistry([record]), now=NOW)
    assert report.verdict is Verdict.MADE_HERE_MANIFEST_RECOVERED
    (part,) = report.facts.parts or ()
    assert part.located.span.start == pytest.approx(2.0, abs=0.6)
    assert part.located.span.end == pytest.approx(3.0, abs=0.6)
    assert report.facts.coverage is not None
    assert 0.15 < report.facts.coverage.time < 0.6
