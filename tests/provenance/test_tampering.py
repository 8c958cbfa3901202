"""Our own outputs, changed in every way that comes to mind: none of them is reported as made here and
intact."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from provenance import (
    Evidence,
    InMemoryRegistry,
    ManifestFacts,
    Record,
    SigningKey,
    TrustAnchors,
    Verdict,
    create_dev_authority,
    judge,
    read_labels,
    read_manifest,
    sign_asset,
)
from watermark import MediaId, MediaLimits, open_media, write_image, write_video

FLIPS = 150
SEED = 20260101


@dataclass(frozen=True)
class Released:
    files: tuple[bytes, ...]
    suffix: str
    registry: InMemoryRegistry
    trust: TrustAnchors
    now: datetime

    def verdict(self, content: bytes, folder: Path) -> Verdict:
        """The verdict on `content` by its credentials; the picture is not looked at."""
        path = folder / f"tampered{self.suffix}"
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        c2pa, labels = read_manifest(path, self.trust), read_labels(path)
        evidence = Evidence(len(content), "", 0, 0, 0.0, None, None, c2pa, labels, "", sha256)
        return judge(evidence, self.registry, now=self.now).verdict


def _mirrored(source: Path, folder: Path) -> Path:
    """Another picture of the same kind and size."""
    media, target = open_media(source, MediaLimits()), folder / f"mirrored{source.suffix}"
    frames = np.stack([frame[:, ::-1] for frame in media.frames()])
    if media.fps:
        write_video(target, frames, fps=media.fps)
    else:
        write_image(target, frames[0])
    return target


@pytest.fixture(scope="module", params=["image/png", "image/jpeg", "video/mp4"])
def released(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    media: dict[str, Path],
    facts: ManifestFacts,
    key: SigningKey,
    trust: TrustAnchors,
    now: datetime,
) -> Released:
    folder, plain = tmp_path_factory.mktemp("released"), media[request.param]
    registry, files = InMemoryRegistry(), []
    for number, source in enumerate((plain, _mirrored(plain, folder)), 1):
        stated = replace(facts, mime=request.param, media_id=MediaId(number))
        signed = sign_asset(source, folder / f"{number}{source.suffix}", stated, key, trust=trust)
        registry.add(
            Record(
                media_id=MediaId(number),
                key_id="0.0",
                manifest_label=signed.label,
                manifest=signed.manifest,
                fingerprint=None,
                created_at=now,
                tenant="t",
                file_sha256=signed.sha256,
            )
        )
        files.append(signed.path.read_bytes())
    return Released(tuple(files), source.suffix, registry, trust, now)


def test_untouched_files_are_made_here(released: Released, tmp_path: Path) -> None:
    assert [released.verdict(content, tmp_path) for content in released.files] == [Verdict.MADE_HERE] * 2


def test_no_flipped_byte_is_intact(released: Released, tmp_path: Path) -> None:
    content = released.files[0]
    rng = np.random.default_rng(SEED)
    survivors = []
    for position in rng.integers(0, len(content), FLIPS):
        spoiled = bytearray(content)
        spoiled[position] ^= 1 << int(rng.integers(8))
        if released.verdict(bytes(spoiled), tmp_path) is Verdict.MADE_HERE:
            survivors.append(int(position))
    assert survivors == []


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_truncated(share: float, released: Released, tmp_path: Path) -> None:
    content = released.files[0]
    assert released.verdict(content[: int(len(content) * share)], tmp_path) is not Verdict.MADE_HERE


def test_trailing_bytes(released: Released, tmp_path: Path) -> None:
    assert released.verdict(released.files[0] + b"more", tmp_path) is not Verdict.MADE_HERE


def test_the_manifest_of_another_release(released: Released, tmp_path: Path) -> None:
    records = [released.registry.by_media_id(MediaId(number)) for number in (1, 2)]
    first, second = (record.manifest for record in records if record is not None)
    assert first is not None
    assert second is not None
    swapped = released.files[0].replace(first, second)
    assert swapped != released.files[0]
    assert released.verdict(swapped, tmp_path) is Verdict.TAMPERED


def test_the_pictures_of_another_release(released: Released, tmp_path: Path) -> None:
    """All that follows the manifest comes from the other file: the sound box structure, the wrong content."""
    records = [released.registry.by_media_id(MediaId(number)) for number in (1, 2)]
    heads = []
    for record, content in zip(records, released.files, strict=True):
        assert record is not None
        assert record.manifest is not None
        heads.append(content.index(record.manifest) + len(record.manifest))
    mixed = released.files[0][: heads[0]] + released.files[1][heads[1] :]
    assert released.verdict(mixed, tmp_path) is Verdict.TAMPERED


def test_signed_again_by_somebody_else(
    released: Released, tmp_path: Path, media: dict[str, Path], facts: ManifestFacts, now: datetime
) -> None:
    mallory = create_dev_authority(tmp_path / "mallory", now=now)
    theirs = SigningKey.from_files(mallory.chain, mallory.key)
    mime = {".png": "image/png", ".jpeg": "image/jpeg", ".mp4": "video/mp4"}[released.suffix]
    stated = replace(facts, mime=mime, media_id=MediaId(1))
    for trust in (released.trust, released.trust.with_claim_root(mallory.root.read_bytes())):
        forged = sign_asset(media[mime], tmp_path / f"forged{released.suffix}", stated, theirs, trust=trust)
        assert replace(released, trust=trust).verdict(forged.path.read_bytes(), tmp_path) is Verdict.TAMPERED
