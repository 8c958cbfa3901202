"""The whole way with the real mark: release, attack, inspect, judge."""

from __future__ import annotations

import hashlib
import pickle
import wave
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from provenance import (
    Evidence,
    InMemoryRegistry,
    ManifestFacts,
    ReadError,
    Record,
    Report,
    SigningKey,
    TrustAnchors,
    Verdict,
    fingerprint_media,
    inspect_media,
    judge,
    sign_asset,
)
from tests.provenance.makers import FakeDetector, Frame, encoded, found, not_found, write
from watermark import Detector, KeyRing, Mark, MediaError, MediaId, MediaLimits, open_media

LIMITS = MediaLimits(max_bytes=50_000_000)
RING = KeyRing.derive(hashlib.sha256(b"only for these tests").digest(), deployment="provenance-tests")


@dataclass(frozen=True)
class World:
    """One released photo, its mark and everything that judges it."""

    released: Path
    plain: Frame
    marked: Frame
    registry: InMemoryRegistry
    detector: Detector | FakeDetector
    trust: TrustAnchors
    now: datetime

    def judge(self, upload: Path) -> Report:
        evidence = inspect_media(upload, detector=self.detector, trust=self.trust, limits=LIMITS)
        return judge(evidence, self.registry, now=self.now)


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    facts: ManifestFacts,
    key: SigningKey,
    trust: TrustAnchors,
    now: datetime,
) -> World:
    folder = tmp_path_factory.mktemp("world")
    plain = np.ascontiguousarray(data.coffee())
    frames = torch.from_numpy(plain).permute(2, 0, 1)[None].float() / 255
    marked = (Mark(RING.subkey(0), MediaId(77)).apply(frames)[0] * 255).round().clamp(0, 255)
    picture = marked.byte().permute(1, 2, 0).numpy()
    path = write(folder, picture, "image/png", "marked")
    stated = replace(facts, media_id=MediaId(77))
    signed = sign_asset(path, folder / "released.png", stated, key, trust=trust)
    record = Record(
        media_id=MediaId(77),
        key_id=RING.subkey(0).key_id,
        manifest_label=signed.label,
        manifest=signed.manifest,
        fingerprint=fingerprint_media(open_media(signed.path, LIMITS)),
        created_at=stated.created_at,
        tenant="studio",
    )
    return World(signed.path, plain, picture, InMemoryRegistry([record]), Detector([RING]), trust, now)


def test_the_released_file_is_made_here(world: World) -> None:
    report = world.judge(world.released)
    assert report.verdict is Verdict.MADE_HERE
    assert report.to_json()["watermark"]["id"] == MediaId(77).hex


def test_one_flipped_byte_is_tampered(world: World, tmp_path: Path) -> None:
    content = bytearray(world.released.read_bytes())
    end = content.rindex(b"IEND")
    content[end - 20] ^= 1  # inside the checksum of the last data chunk: decoders differ, hashes do not
    spoiled = tmp_path / "spoiled.png"
    spoiled.write_bytes(bytes(content))
    evidence = inspect_media(spoiled, detector=FakeDetector(not_found()), trust=world.trust, limits=LIMITS)
    assert judge(evidence, world.registry, now=world.now).verdict is Verdict.TAMPERED


def _overlaid(frame: Frame) -> Frame:
    covered = frame.copy()
    rows, columns = frame.shape[:2]
    covered[: rows // 2, : columns // 2] = (30, 60, 200)
    return covered


COPIES: dict[str, Callable[[Frame], Frame]] = {
    "same": lambda f: f,
    "half size": lambda f: np.asarray(cv2.resize(f, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)),
    "mirrored": lambda f: f[:, ::-1],
    "brighter": lambda f: np.clip(f.astype(np.float32) * 1.3, 0, 255).astype(np.uint8),
    "overlay": _overlaid,
}


@pytest.mark.parametrize("copy", COPIES)
def test_copies_are_recovered(copy: str, world: World, tmp_path: Path) -> None:
    upload = tmp_path / "upload.jpg"
    upload.write_bytes(encoded(np.ascontiguousarray(COPIES[copy](world.marked)), "image/jpeg", quality=75))
    report = world.judge(upload)
    assert report.verdict is Verdict.MADE_HERE_MANIFEST_RECOVERED
    record = world.registry.by_media_id(MediaId(77))
    assert record is not None
    assert report.manifest == record.manifest


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_a_transplanted_mark_is_refuted(gain: float, world: World, tmp_path: Path) -> None:
    pattern = (world.marked.astype(np.float32) - world.plain) * gain
    foreign = cv2.resize(np.ascontiguousarray(data.astronaut()), (600, 400), interpolation=cv2.INTER_AREA)
    forged = np.clip(foreign + pattern, 0, 255).round().astype(np.uint8)
    report = world.judge(write(tmp_path, forged, "image/png", "forged"))
    assert report.to_json()["watermark"]["id"] == MediaId(77).hex
    assert report.verdict is Verdict.TRANSPLANTED_MARK


def test_a_foreign_picture_is_no_evidence(world: World, tmp_path: Path) -> None:
    foreign = write(tmp_path, np.ascontiguousarray(data.astronaut()), "image/jpeg", "foreign")
    report = replace(world, detector=FakeDetector(not_found())).judge(foreign)
    assert report.verdict is Verdict.NO_EVIDENCE
    assert not report.verdict.is_evidence


def test_evidence_crosses_a_process_border(media: dict[str, Path], trust: TrustAnchors) -> None:
    detector = FakeDetector(found(MediaId(1), 288, 448))
    evidence = inspect_media(media["video/mp4"], detector=detector, trust=trust, limits=LIMITS)
    packed = pickle.dumps(evidence)
    assert len(packed) < 1 << 20
    back = pickle.loads(packed)
    assert isinstance(back, Evidence)
    assert back.views == evidence.views
    assert back.detection is not None
    assert back.detection.frames_read == 24
    assert (back.width, back.height, back.mime) == (448, 288, "video/mp4")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.png", b"", "the file is empty"),
        ("text.txt", b"hello world", "not a picture, clip or sound"),
        ("program.exe", b"MZ" + bytes(100), "not a picture, clip or sound"),
        ("archive.zip", b"PK\x03\x04" + bytes(100), "not a picture, clip or sound"),
    ],
)
def test_what_is_not_let_in(
    name: str, content: bytes, message: str, tmp_path: Path, trust: TrustAnchors
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=message):
        inspect_media(tmp_path / name, detector=FakeDetector(not_found()), trust=trust, limits=LIMITS)


def test_a_sparse_giant_is_refused_by_its_size(tmp_path: Path, trust: TrustAnchors) -> None:
    giant = tmp_path / "giant.mp4"
    with giant.open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(ReadError, match="more than the limit"):
        inspect_media(giant, detector=FakeDetector(not_found()), trust=trust, limits=LIMITS)


def test_missing_file(tmp_path: Path, trust: TrustAnchors) -> None:
    with pytest.raises(ReadError, match="cannot be read"):
        inspect_media(tmp_path / "none.png", detector=FakeDetector(not_found()), trust=trust, limits=LIMITS)


def test_a_broken_picture_without_credentials_is_an_error(
    media: dict[str, Path], tmp_path: Path, trust: TrustAnchors
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(media["image/png"].read_bytes()[:300])
    with pytest.raises(MediaError):
        inspect_media(broken, detector=FakeDetector(not_found()), trust=trust, limits=LIMITS)


def test_sound_is_judged_by_its_credentials(
    tmp_path: Path, facts: ManifestFacts, key: SigningKey, trust: TrustAnchors, now: datetime
) -> None:
    with wave.open(str(tmp_path / "plain.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(4000))
    signed = sign_asset(
        tmp_path / "plain.wav", tmp_path / "out.wav", replace(facts, mime="audio/wav"), key, trust=trust
    )
    record = Record(
        media_id=facts.media_id,
        key_id="0.0",
        manifest_label=signed.label,
        manifest=signed.manifest,
        fingerprint=None,
        created_at=now,
        tenant="t",
        file_sha256=signed.sha256,
    )
    evidence = inspect_media(signed.path, detector=FakeDetector(not_found()), trust=trust, limits=LIMITS)
    assert evidence.detection is None
    assert evidence.problem
    assert judge(evidence, InMemoryRegistry([record]), now=now).verdict is Verdict.MADE_HERE


def test_a_picture_cut_short_is_an_error(world: World, tmp_path: Path) -> None:
    content = world.released.read_bytes()
    cut = tmp_path / "cut.png"
    cut.write_bytes(content[: content.index(b"IDAT") + 2000])
    with pytest.raises(MediaError, match="broken or incomplete"):
        inspect_media(cut, detector=FakeDetector(not_found()), trust=world.trust, limits=LIMITS)
