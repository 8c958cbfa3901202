"""A house of our own: keys, registry and outputs as the product makes them, kept in the results' folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from generator.tiny.data import frame_times
from generator.tiny.render import Grid, render
from generator.tiny.scene import draw_scene
from provenance import (
    Agent,
    DevAuthority,
    Evidence,
    ManifestFacts,
    Model,
    Record,
    Report,
    SigningKey,
    TrustAnchors,
    create_dev_authority,
    fingerprint_media,
    inspect_media,
    judge,
    sign_asset,
)
from service.store.database import open_database
from service.store.records import SqlRegistry
from watermark import Detector, KeyRing, Mark, MediaId, MediaLimits, open_media, write_image, write_video

Frames = NDArray[np.uint8]

MIMES: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
}
FPS: Final = 12.0
_MASTER: Final = hashlib.sha256(b"for the bench alone").digest()


def scene(seed: int, *, height: int, width: int, frames: int) -> Frames:
    """A rendered landscape, uint8 [F, H, W, 3]; no threshold of the product was chosen on these seeds."""
    rng = np.random.default_rng((20261, seed))
    with torch.no_grad():
        clip = render([draw_scene(rng)], frame_times(frames), Grid.full(height, width))[0]
    return np.asarray((clip.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy())


@dataclass(frozen=True)
class Output:
    """A released file: its pixels before encoding (marked) and before marking (plain)."""

    path: Path
    media_id: MediaId
    plain: Frames
    marked: Frames
    record: Record


@dataclass(frozen=True)
class House:
    """Everything it takes to release and to judge; made once per folder."""

    folder: Path

    @cached_property
    def now(self) -> datetime:
        return datetime.now(UTC)

    @cached_property
    def authority(self) -> DevAuthority:
        keys = DevAuthority(self.folder / "keys")
        return keys if keys.root.exists() else create_dev_authority(keys.folder, now=self.now)

    @cached_property
    def key(self) -> SigningKey:
        return SigningKey.from_files(self.authority.chain, self.authority.key)

    @cached_property
    def trust(self) -> TrustAnchors:
        return TrustAnchors.bundled().with_claim_root(self.authority.root.read_bytes())

    @cached_property
    def ring(self) -> KeyRing:
        return KeyRing.derive(_MASTER, deployment="bench")

    @cached_property
    def detector(self) -> Detector:
        return Detector([self.ring])

    @cached_property
    def registry(self) -> SqlRegistry:
        self.folder.mkdir(parents=True, exist_ok=True)
        return SqlRegistry(
            open_database(f"sqlite:///{self.folder / 'registry.db'}"), clock=lambda: datetime.now(UTC)
        )

    def output(self, number: int, suffix: str, *, height: int, width: int, frames: int) -> Output:
        """Output `number`: rendered, marked, encoded, signed and registered, once; then read again."""
        plain = scene(number, height=height, width=width, frames=frames)
        media_id = MediaId(int.from_bytes(hashlib.sha256(f"{number}{suffix}".encode()).digest()[:6], "big"))
        marked = self.marked(plain, media_id)
        path = self.folder / f"{media_id.hex}{suffix}"
        record = self.registry.by_media_id(media_id)
        if record is None:
            record = self._release(marked, media_id, path)
        return Output(path, media_id, plain, marked, record)

    def marked(self, plain: Frames, media_id: MediaId) -> Frames:
        """The frames with the mark of sub-key 0 in them."""
        unit = torch.from_numpy(plain).permute(0, 3, 1, 2).float() / 255
        mark = Mark(self.ring.subkey(0), media_id)
        pixels = mark.apply(unit, clip=len(plain) > 1).permute(0, 2, 3, 1)
        return np.asarray((pixels * 255).round().to(torch.uint8).numpy())

    def inspect(self, path: Path) -> Evidence:
        return inspect_media(path, detector=self.detector, trust=self.trust, limits=MediaLimits())

    def judge(self, path: Path) -> Report:
        """The whole verification, in this process."""
        return judge(self.inspect(path), self.registry, now=self.now)

    def facts(self, media_id: MediaId, suffix: str, frames: int) -> ManifestFacts:
        """What the manifest of an output states."""
        return ManifestFacts(
            title=f"{media_id.hex}{suffix}",
            mime=MIMES[suffix],
            media_id=media_id,
            created_at=self.now,
            generator=Agent("assay", "bench"),
            model=Model("renderer", "1"),
            span_ms=round(1000 * frames / FPS) if frames > 1 else None,
        )

    def _release(self, marked: Frames, media_id: MediaId, path: Path) -> Record:
        encode(marked, path)
        facts = self.facts(media_id, path.suffix, len(marked))
        signed = sign_asset(path, path, facts, self.key, trust=self.trust)
        record = Record(
            media_id=media_id,
            key_id=self.ring.subkey(0).key_id,
            manifest_label=signed.label,
            manifest=signed.manifest,
            fingerprint=fingerprint_media(open_media(path)),
            created_at=self.now,
            tenant="bench",
            file_sha256=signed.sha256,
        )
        self.registry.claim(media_id)
        self.registry.add(record)
        return record


def encode(frames: Frames, path: Path, *, crf: int = 18) -> None:
    """Write a picture (quality 95) or a clip at 12 frames a second."""
    if len(frames) > 1:
        write_video(path, frames, fps=FPS, crf=crf)
    elif path.suffix == ".avif":
        Image.fromarray(frames[0]).save(path, "AVIF", quality=90)
    else:
        write_image(path, frames[0], quality=95)
