"""A second, independent reader agrees about our files: encypher-c2pa."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import encypher_c2pa
import pytest

from bench.provenance.agreement import DIFFERENCES, RECORDED_SHARE, compare_readers
from provenance import DevAuthority, ManifestFacts, SigningKey, TrustAnchors, sign_asset
from tests.provenance.conftest import SHARED

FOLDER = SHARED / "c2pa"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader stores its telemetry preference in the home folder."""
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


def _verify(path: Path, root: str | None) -> Mapping[str, Any]:
    report: Mapping[str, Any] = encypher_c2pa.verify(
        path, no_default_trust=True, trust_pem=root, telemetry=False, online=False
    )
    return report


@pytest.mark.parametrize(
    "mime", ["image/png", "image/jpeg", "image/webp", "image/avif", "video/mp4", "video/quicktime"]
)
def test_our_files_are_trusted_with_the_root_and_valid_without(
    mime: str,
    tmp_path: Path,
    media: dict[str, Path],
    facts: ManifestFacts,
    key: SigningKey,
    trust: TrustAnchors,
    authority: DevAuthority,
) -> None:
    stated = replace(facts, mime=mime, span_ms=2000 if mime.startswith("video") else None)
    signed = sign_asset(media[mime], tmp_path / media[mime].name, stated, key, trust=trust)
    given = _verify(signed.path, authority.root.read_text())
    alone = _verify(signed.path, None)
    assert (given["validation_state"], alone["validation_state"]) == ("Trusted", "Valid")
    assert given["integrity"] == alone["integrity"] == "valid"
    assert given["validation_results"]["failure"] == []


def test_it_sees_the_flipped_byte_too(
    tmp_path: Path, media: dict[str, Path], facts: ManifestFacts, key: SigningKey, trust: TrustAnchors
) -> None:
    signed = sign_asset(
        media["video/mp4"], tmp_path / "clip.mp4", replace(facts, mime="video/mp4"), key, trust=trust
    )
    content = bytearray(signed.path.read_bytes())
    content[content.index(b"mdat") + 100] ^= 1
    signed.path.write_bytes(bytes(content))
    assert _verify(signed.path, None)["validation_state"] == "Invalid"


@pytest.mark.skipif(not FOLDER.exists(), reason=f"no C2PA corpus at {FOLDER}")
def test_the_two_readers_agree_as_often_as_recorded_and_every_difference_is_explained() -> None:
    rows = compare_readers(FOLDER)
    different = {row.file for row in rows if not row.agree}
    assert len(rows) == 58
    assert 1 - len(different) / len(rows) >= RECORDED_SHARE
    assert different == set(DIFFERENCES)


@pytest.mark.skipif(not FOLDER.exists(), reason=f"no C2PA corpus at {FOLDER}")
def test_every_file_has_one_line_of_plain_words() -> None:
    lines = {row.file: row.words for row in compare_readers(FOLDER)}
    assert all(len(line) > 20 and "\n" not in line and "no words" not in line for line in lines.values())
    assert lines["contentauth__E-sig-CA.jpg"].startswith(
        "Credentials do not hold: the signature does not fit"
    )
    assert "stored elsewhere" in lines["contentauth__cloud.jpg"]
    assert "AI took part" in lines["microsoft__bing_creator_cloud_surfing_puppy.jpg"]
    assert len(set(lines.values())) > 12
