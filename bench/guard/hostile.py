"""Adapter files that must not come in, each with a piece of the reason that is given."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any


class Attack:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.target, "executed")


def file_of(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tensor(begin: int, end: int, *, dtype: str = "F32", shape: list[Any] | None = None) -> dict[str, Any]:
    return {
        "dtype": dtype,
        "shape": [(end - begin) // 4] if shape is None else shape,
        "data_offsets": [begin, end],
    }


def zip_of(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"x")
    return buffer.getvalue()


GOOD = {"a": tensor(0, 8)}
HOSTILE: dict[str, tuple[bytes, str]] = {
    "pickle": (pickle.dumps(Attack(Path("executed"))), "a pickle"),
    "old pickle": (pickle.dumps(Attack(Path("executed")), protocol=0), "header"),
    "torch zip": (zip_of("archive/data.pkl"), "a zip archive"),
    "gzip": (gzip.compress(b"x" * 99), "a gzip archive"),
    "empty": (b"", "empty"),
    "short": (b"\x01\x00\x00", "too short"),
    "html": (b"<html><script>alert(1)</script>", "a markup file"),
    "program": (b"\x7fELF\x02\x01\x01\x00\x00\x00\x00", "a program"),
    "header bomb": (file_of(GOOD, bytes(8), length=2**62), "the header claims"),
    "header beyond file": (file_of(GOOD, length=10_000), "the header claims"),
    "nested header": (file_of(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "the header is not JSON"),
    "header is a list": (file_of([1]), "not a JSON object"),
    "header is not JSON": (file_of(b"{nope}"), "the header is not JSON"),
    "not a number": (file_of(b'{"a": NaN}'), "the header is not JSON"),
    "name twice": (file_of(b'{"a": 1, "a": 2}'), "the header is not JSON"),
    "no tensors": (file_of({"__metadata__": {}}), "no tensors"),
    "overlap": (file_of({"a": tensor(0, 8), "b": tensor(4, 12)}, bytes(12)), "overlaps another"),
    "gap": (file_of({"a": tensor(0, 8), "b": tensor(12, 16)}, bytes(16)), "leaves a gap"),
    "trailing bytes": (file_of(GOOD, bytes(8) + pickle.dumps(Attack(Path("executed")))), "the tensors fill"),
    "truncated": (file_of(GOOD, bytes(3)), "the tensors fill"),
    "shape lies": (file_of({"a": tensor(0, 8, shape=[2**40, 2**40])}, bytes(8)), "than its shape needs"),
    "negative offsets": (file_of({"a": tensor(-8, 8)}, bytes(8)), "impossible offsets"),
    "backward offsets": (file_of({"a": tensor(8, 0, shape=[2])}, bytes(8)), "impossible offsets"),
    "shape of texts": (file_of({"a": tensor(0, 8, shape=["2"])}, bytes(8)), "impossible shape"),
    "true in the shape": (file_of({"a": tensor(0, 4, shape=[True])}, bytes(4)), "impossible shape"),
    "many dimensions": (file_of({"a": tensor(0, 4, shape=[1] * 99)}, bytes(4)), "impossible shape"),
    "unknown type": (file_of({"a": tensor(0, 8, dtype="OBJECT")}, bytes(8)), "unknown type"),
    "extra key": (file_of({"a": {**tensor(0, 8), "code": "x"}}, bytes(8)), "and nothing else"),
    "metadata not texts": (file_of({"__metadata__": {"a": 1}, **GOOD}, bytes(8)), "not a mapping of texts"),
    "huge rank": (file_of({"x.lora_down": tensor(0, 8192, shape=[2048, 1])}, bytes(8192)), "has rank 2,048"),
    "a header of numbers": (file_of(b'{"a": [' + b"1," * 4_000_000 + b"1]}"), "too many values"),
    "a header of nothing": (file_of(b'{"a": "' + b" " * 16_000_000 + b'"}'), "needs dtype"),
    "many tensors": (file_of({f"t{i}": tensor(0, 0) for i in range(60_000)}), "at most 50,000"),
}  # fmt: skip
