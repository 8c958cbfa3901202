"""Ways to make one of our outputs say what it should not: each takes an output and returns a file's bytes."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import c2pa
import numpy as np
from numpy.random import Generator

from bench.provenance.containers import holds_manifest, join, split, with_manifest
from bench.provenance.house import Frames, House, Output, encode, scene
from provenance import SigningKey, create_dev_authority, sdk, sign_asset
from provenance.manifest import Input, manifest_definition


@dataclass(frozen=True)
class Case:
    """One attempt: the output that is forged, another one, and a seeded generator."""

    house: House
    victim: Output
    other: Output
    rng: Generator
    work: Path

    @property
    def suffix(self) -> str:
        return self.victim.path.suffix

    @property
    def content(self) -> bytes:
        return self.victim.path.read_bytes()

    @property
    def manifest(self) -> bytes:
        return self.victim.record.manifest or b""

    @property
    def parts(self) -> list[bytes]:
        return split(self.content, self.suffix)

    def foreign(self) -> bytes:
        """An unmarked file of the same kind that nobody here released."""
        frames = scene(
            int(self.rng.integers(10**6, 10**7)), height=self.height, width=self.width, frames=self.count
        )
        return self.encoded(frames)

    def encoded(self, frames: Frames) -> bytes:
        path = self.work / f"encoded{self.suffix}"
        encode(frames, path)
        return path.read_bytes()

    @property
    def height(self) -> int:
        return int(self.victim.plain.shape[1])

    @property
    def width(self) -> int:
        return int(self.victim.plain.shape[2])

    @property
    def count(self) -> int:
        return len(self.victim.plain)


def flipped_bit(case: Case) -> bytes:
    return _changed(case, 1)


def changed_bytes(case: Case) -> bytes:
    return _changed(case, int(case.rng.integers(2, 64)))


def _changed(case: Case, count: int) -> bytes:
    content = bytearray(case.content)
    for position in case.rng.integers(0, len(content), count):
        content[position] ^= 1 << int(case.rng.integers(8))
    return bytes(content)


def zeroed_range(case: Case) -> bytes:
    content = bytearray(case.content)
    start = int(case.rng.integers(32, len(content) - 256))
    content[start : start + 200] = b"\0" * 200
    return bytes(content)


def truncated(case: Case) -> bytes:
    return case.content[: int(len(case.content) * case.rng.uniform(0.3, 0.999))]


def trailing(case: Case) -> bytes:
    return case.content + case.rng.bytes(int(case.rng.integers(1, 4096)))


def dropped_part(case: Case) -> bytes:
    parts = case.parts
    del parts[int(case.rng.integers(1, len(parts)))]
    return join(parts, case.suffix)


def doubled_part(case: Case) -> bytes:
    parts, index = case.parts, int(case.rng.integers(1, len(case.parts)))
    return join([*parts[:index], parts[index], *parts[index:]], case.suffix)


def exchanged_parts(case: Case) -> bytes:
    parts = case.parts
    one, two = case.rng.choice(np.arange(1, len(parts)), 2, replace=False)
    parts[one], parts[two] = parts[two], parts[one]
    return join(parts, case.suffix)


def wrong_length(case: Case) -> bytes:
    """The length field of one part says something else; of a manifest's outermost box too."""
    content, parts = bytearray(case.content), case.parts
    index = int(case.rng.integers(1, len(parts)))
    start = sum(len(part) for part in parts[:index]) + (
        2 if case.suffix == ".jpg" else 4 if case.suffix == ".webp" else 0
    )
    if case.rng.random() < 0.3:
        start = case.content.index(b"jumb") - 4
    content[start : start + 2] = case.rng.bytes(2)
    return bytes(content)


def inserted_part(case: Case) -> bytes:
    """Something that a viewer shows or a tool reads, in a place that a hash may leave out."""
    text = b"made by hand"
    made = {
        ".jpg": b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text,
        ".png": len(text).to_bytes(4, "big") + b"tEXt" + text + b"\0\0\0\0",
        ".webp": b"XMP " + len(text).to_bytes(4, "little") + text,
    }.get(
        case.suffix,
        (len(text) + 8).to_bytes(4, "big") + (b"free" if case.rng.random() < 0.5 else b"udta") + text,
    )
    parts, index = case.parts, int(case.rng.integers(1, len(case.parts)))
    return join([*parts[:index], made, *parts[index:]], case.suffix)


def brand(case: Case) -> bytes:
    """The file type that a player reads first; the C2PA hash of an MP4 leaves it out."""
    content = bytearray(case.content)
    content[int(case.rng.integers(8, 24))] ^= 0x20
    return bytes(content)


def signer_name(case: Case) -> bytes:
    """Another name in the signing certificate."""
    content = bytearray(case.content)
    place = content.rindex(b"Assay DEV signer")
    content[place + int(case.rng.integers(0, 16))] ^= 1 << int(case.rng.integers(5))
    return bytes(content)


def endless_box(case: Case) -> bytes:
    """A manifest box that says it goes on for two gigabytes: a lenient reader takes it."""
    content = bytearray(case.content)
    places = [i for i in range(len(content) - 4) if content[i : i + 4] == b"jumb"]
    place = places[int(case.rng.integers(len(places)))] - 4
    content[place : place + 4] = b"\x7f\xff\xff\xff"
    return bytes(content)


def statement(case: Case) -> bytes:
    """One letter of what the manifest says."""
    content, start = bytearray(case.content), case.content.index(case.manifest[:32])
    words = [b"trainedAlgorithmicMedia", b"notAllowed", b"renderer", b"c2pa.created", b"assay"]
    word = words[int(case.rng.integers(len(words)))]
    place = content.index(word, start)
    content[place + int(case.rng.integers(len(word)))] ^= 1
    return bytes(content)


def swapped_manifest(case: Case) -> bytes:
    """The manifest of another release, in place of this one's."""
    theirs = case.other.record.manifest or b""
    if len(theirs) == len(case.manifest):
        return join([with_manifest(p, case.manifest, theirs) for p in case.parts], case.suffix)
    return swapped_media(replace(case, victim=case.other, other=case.victim))


def swapped_media(case: Case) -> bytes:
    """The manifest's parts of this one among the other parts of another release: mdat, scans, chunks."""
    own = [part for part in case.parts if holds_manifest(part)]
    theirs = split(case.other.path.read_bytes(), case.suffix)
    index = next(i for i, part in enumerate(theirs) if holds_manifest(part))
    rest = [part for part in theirs if not holds_manifest(part)]
    return join([*rest[:index], *own, *rest[index:]], case.suffix)


def on_foreign_media(case: Case) -> bytes:
    """The manifest on a picture that nobody here made."""
    own = [part for part in case.parts if holds_manifest(part)]
    parts = split(case.foreign(), case.suffix)
    if case.suffix == ".webp":
        parts = [p if p[:4] != b"VP8X" else b"VP8X" + p[4:] for p in parts]
    return join([parts[0], *own, *parts[1:]], case.suffix)


def on_reencoded(case: Case) -> bytes:
    """The own manifest put back on an own picture that was encoded again."""
    own = [part for part in case.parts if holds_manifest(part)]
    parts = split(case.encoded(case.victim.marked), case.suffix)
    return join([parts[0], *own, *parts[1:]], case.suffix)


def resigned(case: Case) -> bytes:
    """The same pixels and statements, signed by somebody else."""
    return _sign_as_mallory(case, case.encoded(case.victim.marked), {}, as_parent=False)


def resigned_under_our_label(case: Case) -> bytes:
    """As `resigned`, under the label of the registered manifest."""
    label = case.victim.record.manifest_label or ""
    return _sign_as_mallory(case, case.encoded(case.victim.marked), {"label": label}, as_parent=False)


def resigned_over_ours(case: Case) -> bytes:
    """Our file opened by somebody else and signed again: our manifest is its parent."""
    return _sign_as_mallory(case, case.content, {}, as_parent=True)


def foreign_signed_with_our_id(case: Case) -> bytes:
    """A picture of somebody else's, signed by them, whose manifest names our media id."""
    return _sign_as_mallory(case, case.foreign(), {}, as_parent=False)


def copied_mark(case: Case) -> bytes:
    """The difference that the mark made, added to another picture."""
    return case.encoded(_transplanted(case))


def copied_mark_and_manifest(case: Case) -> bytes:
    own = [part for part in case.parts if holds_manifest(part)]
    parts = split(case.encoded(_transplanted(case)), case.suffix)
    return join([parts[0], *own, *parts[1:]], case.suffix)


def _transplanted(case: Case) -> Frames:
    pattern = case.victim.marked.astype(np.int16) - case.victim.plain
    seed = int(case.rng.integers(10**6, 10**7))
    picture = scene(seed, height=case.height, width=case.width, frames=case.count)
    return np.clip(picture + pattern, 0, 255).astype(np.uint8)


def _sign_as_mallory(case: Case, content: bytes, extra: dict[str, str], *, as_parent: bool) -> bytes:
    folder = case.work / "mallory"
    authority = create_dev_authority(folder, now=case.house.now)
    key = SigningKey.from_files(authority.chain, authority.key)
    source, target = case.work / f"in{case.suffix}", case.work / f"signed{case.suffix}"
    source.write_bytes(content)
    facts = case.house.facts(case.victim.media_id, case.suffix, case.count)
    if as_parent:
        parent = Input(source, facts.mime, "original")
        sign_asset(source, target, replace(facts, parent=parent), key, trust=case.house.trust)
        return target.read_bytes()
    context = sdk.context(sdk.signer_settings(case.house.trust, merkle=False, stamp_host=None))
    out = io.BytesIO()
    with c2pa.Builder({**manifest_definition(facts), **extra}, context) as builder, key.signer() as signer:
        builder.sign(signer, facts.mime, io.BytesIO(content), out)
    return out.getvalue()


FORGERIES: Final[tuple[Callable[[Case], bytes], ...]] = (
    flipped_bit,
    changed_bytes,
    zeroed_range,
    truncated,
    trailing,
    dropped_part,
    doubled_part,
    exchanged_parts,
    wrong_length,
    inserted_part,
    brand,
    signer_name,
    endless_box,
    statement,
    swapped_manifest,
    swapped_media,
    on_foreign_media,
    on_reencoded,
    resigned,
    resigned_under_our_label,
    resigned_over_ours,
    foreign_signed_with_our_id,
    copied_mark,
    copied_mark_and_manifest,
)
"""Every way, once."""
