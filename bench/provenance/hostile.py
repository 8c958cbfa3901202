"""Files made to hurt their reader: addresses to call, bombs, endless chains of ingredients, broken bytes."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Final

import c2pa
from numpy.random import Generator
from PIL import Image

from provenance import ManifestFacts, SigningKey, TrustAnchors, sdk
from provenance.manifest import manifest_definition

_XMP: Final = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{url}"/></rdf:RDF>'
    "</x:xmpmeta>"
)
_EDGES: Final = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\x80\0\0\0")


def pointing_to(url: str, picture: Image.Image) -> bytes:
    """A JPEG that says its manifest is at `url`."""
    target = io.BytesIO()
    picture.save(target, "JPEG", xmp=_XMP.format(url=url).encode())
    return target.getvalue()


def signed(
    content: bytes,
    facts: ManifestFacts,
    key: SigningKey,
    *,
    thumbnail: bytes | None = None,
    parent: bytes | None = None,
    compress: bool = False,
) -> bytes:
    """`content` signed as it stands, by the library alone: what a stranger with its tools can make."""
    settings = sdk.signer_settings(TrustAnchors(), merkle=False, stamp_host=None)
    settings["core"]["prefer_compress_manifests"] = compress
    settings["core"]["max_decompressed_manifest_size_in_mb"] = 1024
    definition = manifest_definition(facts)
    if parent is not None:
        opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["parent"]}}
        definition["assertions"][0]["data"]["actions"] = [opened]
    if thumbnail is not None:
        definition["thumbnail"] = {"format": "image/png", "identifier": "thumbnail"}
    target = io.BytesIO()
    context = c2pa.Context.from_dict(settings)
    with c2pa.Builder(definition, context) as builder, key.signer() as signer:
        if parent is not None:
            given = {"title": "before", "relationship": "parentOf", "label": "parent"}
            builder.add_ingredient(given, facts.mime, io.BytesIO(parent))
        if thumbnail is not None:
            builder.add_resource("thumbnail", io.BytesIO(thumbnail))
        builder.sign(signer, facts.mime, io.BytesIO(content), target)
    return target.getvalue()


def chain(content: bytes, facts: ManifestFacts, key: SigningKey, length: int) -> bytes:
    """A file whose manifest has `length` generations of parents."""
    made = signed(content, facts, key)
    for generation in range(length):
        made = signed(content, replace(facts, title=f"generation {generation}"), key, parent=made)
    return made


def bomb(content: bytes, facts: ManifestFacts, key: SigningKey, megabytes: int) -> bytes:
    """A compressed manifest that is `megabytes` when opened."""
    return signed(content, facts, key, thumbnail=bytes(megabytes << 20), compress=True)


def mutated(content: bytes, other: bytes, rng: Generator) -> bytes:
    """`content` with one to four things wrong: bits, ranges, lengths, pieces of another file."""
    spoiled = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        size = max(1, len(spoiled))
        place = int(rng.integers(size))
        match int(rng.integers(8)):
            case 0 | 1:
                spoiled[place : place + 1] = bytes([int(rng.integers(256))])
            case 2:
                spoiled[place : place + 4] = _EDGES[int(rng.integers(len(_EDGES)))]
            case 3:
                del spoiled[place : place + int(rng.integers(1, 400))]
            case 4:
                spoiled[place:place] = rng.bytes(int(rng.integers(1, 400)))
            case 5:
                start = int(rng.integers(len(other)))
                spoiled[place:place] = other[start : start + int(rng.integers(1, 4000))]
            case 6:
                end = place + int(rng.integers(1, 200))
                spoiled[place:place] = spoiled[place:end]
            case _:
                del spoiled[place + 64 :]
    return bytes(spoiled)
