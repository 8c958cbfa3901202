from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from provenance import Fingerprint, FingerprintError, fingerprint_frames, fingerprint_media
from provenance.fingerprint import INTERVAL_MS, LINES, MAX_SAMPLES, MAX_VIEWS, VIEW_LINES, Sampler
from tests.provenance.makers import Frame
from watermark import MediaLimits, open_media


@settings(max_examples=30)
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(16, 90), st.integers(16, 90), st.just(3)))
)
def test_stored_and_read_back(frames: Frame) -> None:
    fingerprint = fingerprint_frames(frames, fps=2)
    assert Fingerprint.from_bytes(fingerprint.to_bytes()) == fingerprint
    assert len(fingerprint.samples) == len(frames)
    assert min(fingerprint.picture(0).shape) == LINES


def test_a_photo_is_one_sample(photo: Frame) -> None:
    fingerprint = fingerprint_frames([photo], fps=0)
    assert (fingerprint.width, fingerprint.height) == (451, 300)
    assert fingerprint.picture(0).shape == (64, 96)
    assert len(fingerprint.hashes) == 1
    assert len(fingerprint.to_bytes()) < 8_000


def test_a_clip_is_sampled_twice_a_second(media: dict[str, Path]) -> None:
    fingerprint = fingerprint_media(open_media(media["video/mp4"], MediaLimits()))
    assert [sample.at_ms for sample in fingerprint.samples] == [0, 500, 1000, 1500]


@pytest.mark.parametrize("seconds", [1, 60, 3600])
def test_samples_are_bounded_and_even_however_long_the_clip(seconds: int) -> None:
    sampler = Sampler(fps=4, lines=16, limit=MAX_VIEWS)
    frame = np.zeros((16, 16, 3), np.uint8)
    for _ in range(4 * seconds):
        sampler.look(frame)
    times = sampler.views().at_ms
    steps = set(np.diff(times).tolist())
    assert len(times) <= MAX_VIEWS
    assert len(times) > MAX_VIEWS // 3 or seconds == 1
    assert len(steps) == 1
    assert steps.pop() % INTERVAL_MS == 0


def test_the_record_of_a_long_clip_is_bounded() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 114, 3), dtype=np.uint8)
    fingerprint = fingerprint_frames((noise for _ in range(2 * MAX_SAMPLES + 3)), fps=2)
    assert len(fingerprint.samples) <= MAX_SAMPLES
    assert len(fingerprint.to_bytes()) < 1 << 20


def test_a_frame_of_odd_rate_is_not_missed() -> None:
    fingerprint = fingerprint_frames([np.zeros((64, 64, 3), np.uint8)] * 90, fps=29.97)
    assert [sample.at_ms for sample in fingerprint.samples] == [0, 501, 1001, 1502, 2002, 2503][
        : len(fingerprint.samples)
    ]
    assert len(fingerprint.samples) == 6


def test_no_frames() -> None:
    with pytest.raises(FingerprintError, match="no frame"):
        fingerprint_frames([], fps=25)
    with pytest.raises(FingerprintError, match="no frame"):
        Sampler(fps=0, lines=VIEW_LINES, limit=1).views()


def test_searching_finds_the_turned_picture(photo: Frame) -> None:
    recorded = fingerprint_frames([photo], fps=0).hashes[0]
    for turned in (photo, photo[:, ::-1], np.rot90(photo), np.rot90(photo, 2)):
        sampler = Sampler(fps=0, lines=VIEW_LINES, limit=1)
        sampler.look(np.ascontiguousarray(turned))
        distances = [
            int(
                np.unpackbits(
                    np.frombuffer(bytes(a ^ b for a, b in zip(recorded, h, strict=True)), np.uint8)
                ).sum()
            )
            for h in sampler.views().search_hashes()
        ]
        assert min(distances) <= 31  # the threshold that PDQ's authors advise


def test_flat_pictures_have_no_hash() -> None:
    flat = np.full((80, 80, 3), 120, np.uint8)
    assert fingerprint_frames([flat], fps=0).hashes == ()
    sampler = Sampler(fps=0, lines=VIEW_LINES, limit=1)
    sampler.look(flat)
    assert sampler.views().search_hashes() == ()


def _spoiled(good: bytes) -> dict[str, bytes]:
    head = struct.Struct(">4sIIHHH")
    magic, width, height, rows, columns, count = head.unpack_from(good)
    body = good[head.size :]
    return {
        "at least": good[:10],
        "unknown version": b"AFP9" + good[4:],
        "cannot be": head.pack(magic, width, 0, rows, columns, count) + body,
        "cannot be 1 x 1": head.pack(magic, width, height, 1, 1, count) + body,
        "bytes long": head.pack(magic, width, height, rows, columns, count + 1) + body,
        "samples is 0 bytes": head.pack(magic, width, height, rows, columns, 60_000) + body,
        "damaged": good[: head.size] + b"rubbish",
        "more bytes than it declares": good + b"x",
        "more bytes": good[: head.size] + zlib.compress(bytes(1 << 20)),
    }


def test_bytes_that_are_no_fingerprint(photo: Frame) -> None:
    for message, data in _spoiled(fingerprint_frames([photo], fps=0).to_bytes()).items():
        with pytest.raises(FingerprintError, match=message):
            Fingerprint.from_bytes(data)
