"""Adapters (LoRA, textual inversion, IP-Adapter, ControlNet, merged checkpoints), judged by content.

Only safetensors files whose header accounts for every byte are let in; the file's name says nothing. The
format: 8 bytes little-endian length of the header, the header as JSON, the tensors' bytes
(huggingface/safetensors, "Format"). Nothing is unpickled, and the tensors themselves are never read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from guard.adapter_kinds import AdapterKind, adapter_kind
from guard.errors import AdapterError

_BITS: Mapping[str, int] = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16,
    "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64,
}  # fmt: skip
_FOREIGN = {
    b"PK\x03\x04": "a zip archive (as PyTorch writes pickles)",
    b"\x1f\x8b": "a gzip archive",
    b"GGUF": "a GGUF model",
    b"\x89HDF": "an HDF5 file",
    b"7z\xbc\xaf": "a 7-zip archive",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"<": "a markup file",
}
_PICKLE_PROTOCOLS = range(2, 6)  # a pickle begins with 0x80 and its protocol
_RANK_KEYS = ("lora_down", "lora_A", "hada_w1_b", "hada_w2_b", "lokr_w1_b", "lokr_w2_b")
_HASH_CHUNK = 1 << 20  # bytes
_COMMAS_OF_A_TENSOR = 5  # between its three keys, in shape and offsets, before the next one; most have 4 or 5


@dataclass(frozen=True, slots=True)
class AdapterLimits:
    """Largest adapter that is let in."""

    max_bytes: int = 16 * 2**30  # merged checkpoints of image models stay below
    max_header_bytes: int = 16 * 2**20  # the format allows 100 MB; 50,000 tensors need about 7 MB
    max_tensors: int = 50_000
    max_dimensions: int = 8
    max_rank: int = 1024  # LoRA ranks in use go to 256; beyond, the file holds more than a style
    max_metadata_characters: int = 400_000  # all of it is read by the rules; tag statistics have 100,000


@dataclass(frozen=True, slots=True)
class Adapter:
    """A file that passed: its digest (hex), what its header says, and the texts of its metadata."""

    sha256: str
    tensors: int
    rank: int  # largest LoRA rank seen, 0 where there is none
    metadata: Mapping[str, str]
    kind: AdapterKind = AdapterKind.UNKNOWN
    consents: tuple[str, ...] = field(default=(), repr=False)  # tokens that came with it

    def texts(self) -> tuple[str, ...]:
        """Returns the metadata as texts for the rules of stage adapter: trainers leave names there."""
        return tuple(f"{key}: {value}" for key, value in self.metadata.items())


def read_adapter(
    path: Path, limits: AdapterLimits = AdapterLimits(), *, consents: tuple[str, ...] = ()
) -> Adapter:
    """Checks the file at `path` and returns what its header says.

    Raises `AdapterError` with the reason where it is not a sound safetensors file within `limits`, or holds
    vectors of a face or a picture: those are computed here, from pictures that the guard has seen. The header
    is checked before the file is hashed, so a bad file costs little.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            header, data_bytes = _read_header(file, size, limits)
            tensors, metadata = _check_header(header, data_bytes, limits)
            rank, kind = _rank(tensors, limits), adapter_kind(tensors)
            if kind is AdapterKind.PERSON_VECTORS:
                raise AdapterError("the file holds vectors of faces or pictures; send the pictures instead")
            file.seek(0)
            return Adapter(_digest(file), len(tensors), rank, metadata, kind, consents)
    except OSError as error:
        raise AdapterError(f"the adapter cannot be read: {error.strerror}") from error


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_HASH_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _read_header(file: BinaryIO, size: int, limits: AdapterLimits) -> tuple[dict[str, Any], int]:
    """Returns the parsed header and the number of bytes that the tensors must fill."""
    start = file.read(9)
    if reason := _foreign(start):
        raise AdapterError(f"the file is {reason}, not safetensors")
    if size > limits.max_bytes:
        raise AdapterError(f"the adapter has {size:,} bytes; at most {limits.max_bytes:,} are let in")
    if len(start) < 9:
        raise AdapterError("the file is too short for safetensors")
    length = int.from_bytes(start[:8], "little")
    if length > limits.max_header_bytes or length > size - 8:
        most = min(limits.max_header_bytes, size - 8)
        raise AdapterError(f"the header claims {length:,} bytes; at most {most:,} are possible")
    if start[8:] != b"{":
        raise AdapterError("the header is not a JSON object")
    file.seek(8)
    data = file.read(length)
    # Counted before it is parsed: millions of numbers take seconds, and no sound header has them.
    if (tensors := data.count(b'"data_offsets"')) > limits.max_tensors:
        raise AdapterError(f"the file has {tensors:,} tensors; at most {limits.max_tensors:,} are let in")
    if data.count(b",") > limits.max_tensors * _COMMAS_OF_A_TENSOR + limits.max_metadata_characters:
        raise AdapterError("the header has too many values for the tensors that are let in")
    return _parse(data), size - 8 - length


def _foreign(start: bytes) -> str | None:
    """Returns what a file is by its first bytes, where that is not safetensors."""
    if not start:
        return "empty"
    if start[:1] == b"\x80" and len(start) > 1 and start[1] in _PICKLE_PROTOCOLS and start[8:9] != b"{":
        return "a pickle"
    return next(
        (kind for magic, kind in _FOREIGN.items() if start.startswith(magic) and start[8:] != b"{"), None
    )


def _parse(data: bytes) -> dict[str, Any]:
    try:
        header = json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"the header is not JSON: {str(error)[:200]}") from error
    if not isinstance(header, dict):
        raise AdapterError("the header is not a JSON object")
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name is given twice")
    return result


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_header(
    header: dict[str, Any], data_bytes: int, limits: AdapterLimits
) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Returns the shapes of all tensors and the metadata; every byte must belong to exactly one tensor."""
    metadata = _check_metadata(header.pop("__metadata__", {}), limits)
    if not header:
        raise AdapterError("the file has no tensors")
    if len(header) > limits.max_tensors:
        raise AdapterError(f"the file has {len(header):,} tensors; at most {limits.max_tensors:,} are let in")
    spans = sorted(_check_tensor(name, row, limits) for name, row in header.items())
    expected = 0
    for begin, end, name in spans:
        if begin != expected:
            raise AdapterError(
                f"tensor {name[:80]!r} {'overlaps another' if begin < expected else 'leaves a gap'}"
            )
        expected = end
    if expected != data_bytes:
        raise AdapterError(f"the tensors fill {expected:,} bytes and the file has {data_bytes:,}")
    return {name: tuple(row["shape"]) for name, row in header.items()}, metadata


def _check_metadata(metadata: object, limits: AdapterLimits) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise AdapterError("the metadata is not a mapping of texts")
    if sum(len(key) + len(value) for key, value in metadata.items()) > limits.max_metadata_characters:
        raise AdapterError(f"the metadata is longer than {limits.max_metadata_characters:,} characters")
    return metadata


def _check_tensor(name: str, row: object, limits: AdapterLimits) -> tuple[int, int, str]:
    """Returns begin, end and name of a tensor whose type, shape and place agree."""
    shown = name[:80]
    if not isinstance(row, dict) or set(row) != {"dtype", "shape", "data_offsets"}:
        raise AdapterError(f"tensor {shown!r} needs dtype, shape and data_offsets, and nothing else")
    bits = _BITS.get(row["dtype"]) if isinstance(row["dtype"], str) else None
    if bits is None:
        raise AdapterError(f"tensor {shown!r} has the unknown type {str(row['dtype'])[:20]!r}")
    shape, offsets = row["shape"], row["data_offsets"]
    if not _natural(shape) or len(shape) > limits.max_dimensions:
        raise AdapterError(f"tensor {shown!r} has an impossible shape")
    if not _natural(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise AdapterError(f"tensor {shown!r} has impossible offsets")
    if offsets[1] - offsets[0] != prod(shape) * bits // 8:
        raise AdapterError(f"tensor {shown!r} fills other bytes than its shape needs")
    return offsets[0], offsets[1], name


def _natural(values: object) -> bool:
    return isinstance(values, list) and all(type(n) is int and 0 <= n < 2**63 for n in values)


def _rank(tensors: Mapping[str, tuple[int, ...]], limits: AdapterLimits) -> int:
    ranks = [shape[0] for name, shape in tensors.items() if shape and any(key in name for key in _RANK_KEYS)]
    rank = max(ranks, default=0)
    if rank > limits.max_rank:
        raise AdapterError(f"the adapter has rank {rank:,}; at most {limits.max_rank:,} is let in")
    return rank
