"""The last stage: the file takes its place, and one transaction of the caller makes it official."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import InitVar, dataclass
from pathlib import Path
from typing import Final

from generator.sign import SignedMedia, UnsignedMedia
from generator.stages import Seal, require_seal
from provenance import Record

_SEAL: Final = Seal()

Register = Callable[[Path, SignedMedia | UnsignedMedia], None]
"""Called once with the finished file and all that is known of it; writes the record and completes the job in
one transaction. When it raises, nothing is released and the file is removed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Released:
    """A file that may leave: guarded, marked, signed (unless its owner asked otherwise), read back and
    registered."""

    path: Path
    asset: SignedMedia | UnsignedMedia
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        require_seal(seal, _SEAL, "Released")

    @property
    def record(self) -> Record:
        return self.asset.record


def release(asset: SignedMedia | UnsignedMedia, folder: Path, register: Register) -> Released:
    """Put the file into `folder` under its id and register it.

    Whatever `register` raises is passed on, after the file was taken away again. Should the process die in
    between, a file without a record stays behind, marked and signed; the job's next run replaces it, under
    the same id.
    """
    final = folder / f"{asset.record.media_id.hex}{asset.path.suffix}"
    asset.path.replace(final)
    try:
        register(final, asset)
    except BaseException:
        final.unlink(missing_ok=True)
        raise
    return Released(path=final, asset=asset, seal=_SEAL)


@contextmanager
def work_folder(folder: Path) -> Iterator[Path]:
    """A private folder inside `folder`, so that the last move stays on one disk; gone at the end, however
    it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".making-", dir=folder))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
