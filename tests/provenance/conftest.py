"""Small real media, a dev authority and its trust; made once per run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from provenance import (
    Agent,
    DevAuthority,
    ManifestFacts,
    Model,
    PolicyRef,
    SigningKey,
    TrustAnchors,
    create_dev_authority,
)
from tests.provenance.makers import Frame, write
from watermark import MediaId, write_video

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def now() -> datetime:
    """The library checks certificates against the real clock, so tests of signing live in the present."""
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory, now: datetime) -> DevAuthority:
    return create_dev_authority(tmp_path_factory.mktemp("keys") / "dev", now=now)


@pytest.fixture(scope="session")
def key(authority: DevAuthority) -> SigningKey:
    return SigningKey.from_files(authority.chain, authority.key)


@pytest.fixture(scope="session")
def trust(authority: DevAuthority) -> TrustAnchors:
    return TrustAnchors().with_claim_root(authority.root.read_bytes())


@pytest.fixture(scope="session")
def facts(now: datetime) -> ManifestFacts:
    return ManifestFacts(
        title="harbour",
        mime="image/png",
        media_id=MediaId(0x0123456789AB),
        created_at=now,
        generator=Agent("Assay", "0.1.0"),
        model=Model("tiny", "1", "pkg:generic/tiny@1"),
        policy=PolicyRef("default", "3", "sha256:" + "a" * 64),
        decision_id="d-7",
        digests={"prompt": "hmac-sha256:" + "b" * 64},
    )


@pytest.fixture(scope="session")
def photo() -> Frame:
    """uint8 [300, 451, 3]: skimage's cat, CC0."""
    return np.ascontiguousarray(data.chelsea())


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory, photo: Frame) -> dict[str, Path]:
    """One unsigned file of each format, by MIME type."""
    folder = tmp_path_factory.mktemp("media")
    files = {
        mime: write(folder, photo, mime) for mime in ("image/png", "image/jpeg", "image/webp", "image/avif")
    }
    clip = np.stack([np.roll(photo[:288, :448], 4 * i, axis=1) for i in range(24)])
    for mime, name in (("video/mp4", "clip.mp4"), ("video/quicktime", "clip.mov")):
        files[mime] = folder / name
        write_video(files[mime], clip, fps=12)
    return files
