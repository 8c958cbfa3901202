from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from provenance import (
    C2paState,
    Input,
    ManifestFacts,
    SigningError,
    SigningKey,
    TrustAnchors,
    read_manifest,
    sign_asset,
)
from provenance import sign as signing
from provenance.boxes import top_level_boxes
from provenance.credentials import C2paReport
from provenance.read import ReadBack
from watermark import MediaId, MediaLimits, open_media

FORMATS = ("image/png", "image/jpeg", "image/webp", "image/avif", "video/mp4", "video/quicktime")


@pytest.mark.parametrize("mime", FORMATS)
def test_every_format_reads_back_trusted_and_looks_the_same(
    mime: str,
    tmp_path: Path,
    media: dict[str, Path],
    facts: ManifestFacts,
    key: SigningKey,
    trust: TrustAnchors,
) -> None:
    target = tmp_path / media[mime].name
    signed = sign_asset(media[mime], target, replace(facts, mime=mime), key, trust=trust)
    assert signed.state is C2paState.TRUSTED
    assert read_manifest(target, TrustAnchors()).state is C2paState.VALID
    assert list(tmp_path.iterdir()) == [target]
    before, after = (next(open_media(path, MediaLimits()).frames()) for path in (media[mime], target))
    np.testing.assert_array_equal(before, after)


def test_the_manifest_says_what_the_facts_say(
    tmp_path: Path, media: dict[str, Path], facts: ManifestFacts, key: SigningKey, trust: TrustAnchors
) -> None:
    signed = sign_asset(media["image/png"], tmp_path / "out.png", facts, key, trust=trust)
    report = read_manifest(signed.path, trust)
    assert report.label == signed.label
    assert report.bound_ids() == (facts.media_id,)
    assert report.title == "harbour"
    assert report.generator == "Assay 0.1.0"
    assert report.ai_source_type == "trainedAlgorithmicMedia"
    assert [action.name for action in report.actions] == ["c2pa.created", "c2pa.watermarked.bound"]
    assert dict(report.statements)["policy.version"] == "3"
    assert dict(report.statements)["digests.prompt"] == facts.digests["prompt"]
    assert report.signer is not None
    assert report.signer.organisation == "Assay DEV ONLY - NOT TRUSTED"


def test_a_manifest_is_small(
    tmp_path: Path, media: dict[str, Path], facts: ManifestFacts, key: SigningKey, trust: TrustAnchors
) -> None:
    signed = sign_asset(
        media["image/jpeg"], tmp_path / "out.jpg", replace(facts, mime="image/jpeg"), key, trust=trust
    )
    assert len(signed.manifest) < 8_000  # no thumbnail


def test_signing_in_place(
    tmp_path: Path, media: dict[str, Path], facts: ManifestFacts, key: SigningKey, trust: TrustAnchors
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(media["video/mp4"].read_bytes())
    sign_asset(path, path, replace(facts, mime="video/mp4"), key, trust=trust)
    assert read_manifest(path, trust).state is C2paState.TRUSTED


def test_another_algorithm_name(
    tmp_path: Path, media: dict[str, Path], facts: ManifestFacts, key: SigningKey, trust: TrustAnchors
) -> None:
    named = replace(facts, soft_binding_alg="org.example.mark.7")
    signed = sign_asset(media["image/png"], tmp_path / "out.png", named, key, trust=trust)
    report = read_manifest(signed.path, trust)
    assert report.bound_ids("org.example.mark.7") == (facts.media_id,)
    assert report.bound_ids() == ()


def test_credentials_are_never_dropped(
    tmp_path: Path, media: dict[str, Path], facts: ManifestFacts, key: SigningKey, trust: TrustAnchors
) -> None:
    first = sign_asset(media["image/png"], tmp_path / "first.png", facts, key, trust=trust)
    with pytest.raises(SigningError, match=r"carries credentials already; give it as facts\.parent"):
        sign_asset(first.path, tmp_path / "second.png", facts, key, trust=trust)
    parent = Input(first.path, "image/png", "first")
    kept = replace(facts, parent=parent, source_type=None, media_id=MediaId(9))
    second = sign_asset(first.path, tmp_path / "second.png", kept, key, trust=trust)
    report = read_manifest(second.path, trust)
    assert report.state is C2paState.TRUSTED
    assert [(i.relationship, i.label) for i in report.ingredients] == [("parentOf", first.label)]
    assert report.ingredients[0].ai_source_type == "trainedAlgorithmicMedia"
    assert report.ai_source_type == "trainedAlgorithmicMedia"
    assert report.bound_ids() == (MediaId(9),)


def test_media_made_elsewhere_keeps_its_credentials_through_new_pixels(
    tmp_path: Path, media: dict[str, Path], facts: ManifestFacts, key: SigningKey, trust: TrustAnchors
) -> None:
    original = sign_asset(media["image/png"], tmp_path / "original.png", facts, key, trust=trust)
    Image.open(original.path).convert("RGB").save(tmp_path / "marked.jpg", quality=90)
    stated = replace(
        facts,
        mime="image/jpeg",
        parent=Input(original.path, "image/png", "original"),
        source_type=None,
        media_id=MediaId(5),
    )
    signed = sign_asset(tmp_path / "marked.jpg", tmp_path / "out.jpg", stated, key, trust=trust)
    report = read_manifest(signed.path, trust)
    assert [action.name for action in report.actions] == ["c2pa.opened", "c2pa.watermarked.bound"]
    assert [ingredient.label for ingredient in report.ingredients] == [original.label]


def test_a_reference_does_not_say_what_the_result_is(
    tmp_path: Path, media: dict[str, Path], facts: ManifestFacts, key: SigningKey, trust: TrustAnchors
) -> None:
    with_input = replace(facts, inputs=(Input(media["image/jpeg"], "image/jpeg", "a cat"),))
    signed = sign_asset(media["image/png"], tmp_path / "out.png", with_input, key, trust=trust)
    report = read_manifest(signed.path, trust)
    assert [(i.title, i.relationship) for i in report.ingredients] == [("a cat", "inputTo")]


def test_a_file_without_a_home_for_credentials(
    tmp_path: Path, facts: ManifestFacts, key: SigningKey, trust: TrustAnchors
) -> None:
    (tmp_path / "clip.webm").write_bytes(b"\x1aE\xdf\xa3" + bytes(100))
    with pytest.raises(SigningError, match="WebM"):
        sign_asset(tmp_path / "clip.webm", tmp_path / "out.webm", facts, key, trust=trust)


def test_a_truncated_file_leaves_no_target(
    tmp_path: Path, media: dict[str, Path], facts: ManifestFacts, key: SigningKey, trust: TrustAnchors
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(media["image/png"].read_bytes()[:200])
    with pytest.raises(SigningError):
        sign_asset(broken, tmp_path / "out.png", facts, key, trust=trust)
    assert list(tmp_path.iterdir()) == [broken]


def test_a_target_survives_a_failure(
    tmp_path: Path,
    media: dict[str, Path],
    facts: ManifestFacts,
    key: SigningKey,
    trust: TrustAnchors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"what was there before")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SigningError, match="No space left"):
        sign_asset(media["image/png"], target, facts, key, trust=trust)
    assert target.read_bytes() == b"what was there before"
    assert list(tmp_path.iterdir()) == [target]


def test_no_folder_for_the_target(
    tmp_path: Path, media: dict[str, Path], facts: ManifestFacts, key: SigningKey, trust: TrustAnchors
) -> None:
    with pytest.raises(SigningError, match="cannot be written"):
        sign_asset(media["image/png"], tmp_path / "nowhere" / "out.png", facts, key, trust=trust)


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (C2paReport(C2paState.INVALID, note="damaged"), "reads back invalid: damaged"),
        (C2paReport(C2paState.VALID, label="urn:c2pa:1"), "does not read back media id"),
    ],
)
def test_what_does_not_read_back_is_not_released(
    report: C2paReport,
    message: str,
    tmp_path: Path,
    media: dict[str, Path],
    facts: ManifestFacts,
    key: SigningKey,
    trust: TrustAnchors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signing, "read_with_store", lambda *_: ReadBack(report, b""))
    with pytest.raises(SigningError, match=message):
        sign_asset(media["image/png"], tmp_path / "out.png", facts, key, trust=trust)
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_source(
    tmp_path: Path, facts: ManifestFacts, key: SigningKey, trust: TrustAnchors
) -> None:
    with pytest.raises(SigningError, match="cannot be read"):
        sign_asset(tmp_path / "none.png", tmp_path / "out.png", facts, key, trust=trust)


def test_a_big_clip_is_hashed_in_chunks(
    tmp_path: Path,
    media: dict[str, Path],
    facts: ManifestFacts,
    key: SigningKey,
    trust: TrustAnchors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = sign_asset(
        media["video/mp4"], tmp_path / "small.mp4", replace(facts, mime="video/mp4"), key, trust=trust
    )
    monkeypatch.setattr(signing, "MERKLE_FROM_BYTES", 1)
    big = sign_asset(
        media["video/mp4"], tmp_path / "big.mp4", replace(facts, mime="video/mp4"), key, trust=trust
    )
    assert b"merkle" not in small.manifest
    assert b"merkle" in big.manifest
    assert read_manifest(big.path, trust).state is C2paState.TRUSTED
    content = bytearray(big.path.read_bytes())
    content[content.index(b"mdat") + 50] ^= 1
    big.path.write_bytes(bytes(content))
    assert read_manifest(big.path, trust).state is C2paState.INVALID


@pytest.mark.parametrize("wide", [False, True], ids=["32-bit length", "64-bit length"])
def test_a_big_clip_in_several_pieces_is_hashed_whole(
    wide: bool,
    tmp_path: Path,
    media: dict[str, Path],
    facts: ManifestFacts,
    key: SigningKey,
    trust: TrustAnchors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signing, "MERKLE_FROM_BYTES", 1)
    pieces = tmp_path / "pieces.mp4"
    head = (
        (1).to_bytes(4, "big") + b"mdat" + (1016).to_bytes(8, "big")
        if wide
        else (1008).to_bytes(4, "big") + b"mdat"
    )
    pieces.write_bytes(media["video/mp4"].read_bytes() + head + bytes(1000))
    assert [box.kind for box in top_level_boxes(pieces)].count(b"mdat") == 2
    signed = sign_asset(pieces, tmp_path / "out.mp4", replace(facts, mime="video/mp4"), key, trust=trust)
    assert signed.state is C2paState.TRUSTED


@pytest.mark.parametrize(
    ("content", "boxes"),
    [
        (b"", []),
        (b"abc", []),
        (b"\0\0\0\0mdat", [b"mdat"]),
        (b"\0\0\0\x08free\0\0\0\x04mdat", [b"free", b"mdat"]),
        (b"\xff\xff\xff\xffmdat", [b"mdat"]),
    ],
)
def test_walking_boxes_always_ends(content: bytes, boxes: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert [box.kind for box in top_level_boxes(tmp_path / "file")] == boxes
