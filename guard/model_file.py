"""Weights that an operator brings: read once, named by their digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from guard.errors import BackendError

MAX_MODEL_BYTES = 2 * 2**30  # the largest face recognisers in use have 250 MB
_LFS_POINTER = b"version https://git-lfs"  # what a clone without git-lfs holds instead of the file


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The bytes of one file of weights and their SHA-256 (hex)."""

    path: Path
    data: bytes = field(repr=False)
    sha256: str

    @staticmethod
    def read(path: Path) -> ModelFile:
        """Reads the file at `path`. Raises `BackendError` where it is missing, empty, or only a pointer."""
        try:
            if path.stat().st_size > MAX_MODEL_BYTES:
                raise BackendError(f"{path} is larger than {MAX_MODEL_BYTES:,} bytes: not a face model")
            data = path.read_bytes()
        except OSError as error:
            raise BackendError(f"the face model {path} cannot be read: {error.strerror}") from error
        if not data:
            raise BackendError(f"the face model {path} is empty")
        if data.startswith(_LFS_POINTER):
            raise BackendError(
                f"{path} is a Git LFS pointer, not the model; run `git lfs pull` where it is from"
            )
        return ModelFile(path, data, hashlib.sha256(data).hexdigest())

    def model_id(self, family: str) -> str:
        """Returns `FAMILY@` and the beginning of the digest: another file is another model."""
        return f"{family}@{self.sha256[:16]}"
