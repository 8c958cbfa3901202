"""Where finished files lie: a folder of this machine, or a bucket that every machine reaches, through fsspec.

A file is made on the local disk, because encoders and signers seek in it, and goes to a bucket in parts as
soon as it is signed and before its job is published: a published job always has its file. What a process
that died left behind is removed with the job's next attempt, or with the job.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import fsspec
from fsspec.implementations.local import LocalFileSystem

from service.errors import DISK_FULL, ConfigurationError, StorageError

PART_BYTES: Final = 8 * 2**20
"""A file is sent and read in parts of this size: memory does not grow with it. S3 wants 5 MiB at least."""
_UNREACHABLE = (OSError, ValueError, ImportError)


@contextmanager
def _answering(what: str) -> Iterator[None]:
    """Faults of the disk stay `OSError`; what else the client of a bucket raises becomes `StorageError`."""
    try:
        yield
    except (FileNotFoundError, ValueError):
        raise
    except OSError as error:
        if error.errno in DISK_FULL or error.filename is not None:
            raise
        raise StorageError(f"{what}: the storage does not answer: {error}") from error
    except Exception as error:
        raise StorageError(f"{what}: the storage does not answer: {error}") from error


def is_disk_full(error: BaseException) -> bool:
    """Whether a full disk is behind `error`, which may have been wrapped on its way."""
    seen: BaseException | None = error
    while seen is not None:
        if getattr(seen, "errno", None) in DISK_FULL:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


@dataclass(frozen=True, slots=True)
class MediaStore:
    """Names are `JOB/ATTEMPT/FILE`, relative to `root`, a path of `system`. `work` is a local folder."""

    system: Any
    root: str
    work: Path

    @property
    def folder(self) -> Path | None:
        """The folder, where the files lie on this machine."""
        return Path(self.root) if isinstance(self.system, LocalFileSystem) else None

    def workspace(self, job_id: str, attempt: int) -> Path:
        """A local folder in which an attempt makes its file; in the store itself where that is local."""
        return (self.folder or self.work) / job_id / str(attempt)

    def name(self, job_id: str, attempt: int, path: Path) -> str:
        """The name of a file that was made in `workspace`."""
        return f"{job_id}/{attempt}/{path.name}"

    def keep(self, path: Path, name: str) -> None:
        """Put the finished file `path` in under `name`. In a local store a file made in its workspace is
        there already, and one made elsewhere is moved in one step. Raises `OSError` or `StorageError`."""
        target = self._at(name)
        if self.folder is None:
            with _answering(name):
                self.system.put_file(str(path), target, chunksize=PART_BYTES)
            return
        if Path(target) == path:
            return
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(target).with_name(f".{secrets.token_hex(8)}")
        shutil.move(path, fresh)
        fresh.replace(target)

    def size(self, name: str) -> int | None:
        """Bytes of a file, None where there is none."""
        try:
            with _answering(name):
                return int(self.system.info(self._at(name))["size"])
        except FileNotFoundError:
            return None

    def read(self, name: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`, part by part. Raises `StorageError` or `OSError`."""
        for at in range(start, end, PART_BYTES):
            with _answering(name):
                part = self.system.cat_file(self._at(name), start=at, end=min(at + PART_BYTES, end))
            yield part

    def fetch(self, name: str, target: Path) -> None:
        """A local copy of a file. Raises `StorageError`."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with _answering(name):
            self.system.get_file(self._at(name), str(target))

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """The file itself, or a copy of it for the length of the block. Raises `StorageError`."""
        if self.folder is not None:
            yield Path(self._at(name))
            return
        with tempfile.TemporaryDirectory(prefix="fetched-", dir=self.work) as folder:
            path = Path(folder) / PurePosixPath(name).name
            self.fetch(name, path)
            yield path

    def link(self, name: str, seconds: int, *, filename: str) -> str | None:
        """An address at which the bucket itself gives anybody the file for `seconds`; None for a folder."""
        if not hasattr(self.system, "sign") or self.folder is not None:
            return None
        shown = f'attachment; filename="{filename}"'
        return str(self.system.sign(self._at(name), expiration=seconds, ResponseContentDisposition=shown))

    def remove(self, name: str) -> None:
        """Remove all files of a job, `JOB`, or of one attempt, `JOB/ATTEMPT`. Raises `StorageError` where the
        store does not answer."""
        shutil.rmtree(self.work / name, ignore_errors=True)
        try:
            with _answering(name):
                self.system.rm(self._at(name), recursive=True)
        except FileNotFoundError:
            return

    def prune(self, job_id: str, *, kept: str | None, until: int) -> None:
        """Remove what the attempts of a job up to number `until` left, but for the attempt `kept`."""
        for attempt in self._attempts(job_id):
            if not attempt.isdigit() or int(attempt) > until:
                continue
            if attempt != kept:
                self.remove(f"{job_id}/{attempt}")
            elif self.folder is None:
                shutil.rmtree(self.work / job_id / attempt, ignore_errors=True)

    def free(self) -> int:
        """Bytes that are free on the disk on which files are made."""
        place = self.folder or self.work
        return shutil.disk_usage(place).free

    def check(self) -> str:
        """One line on where the files lie. Raises `StorageError` where the store does not answer."""
        bucket = self.root.partition("/")[0] if self.folder is None else self.root
        with _answering(bucket):
            self.system.ls(bucket, detail=False)
        return str(self.folder or self.system.unstrip_protocol(self.root))

    def probe(self) -> None:
        """Write a file and remove it. Raises `StorageError` or `OSError` where that cannot be done."""
        name = self._at(f".probe-{secrets.token_hex(8)}")
        with _answering(name):
            self.system.pipe_file(name, b"probe")
            self.system.rm_file(name)

    def _attempts(self, job_id: str) -> list[str]:
        try:
            with _answering(job_id):
                found = self.system.ls(self._at(job_id), detail=False)
        except FileNotFoundError:
            found = []
        making = self.work / job_id
        local = os.listdir(making) if making.is_dir() else []
        return sorted({PurePosixPath(path).name for path in (*found, *local)})

    def _at(self, name: str) -> str:
        if ".." in PurePosixPath(name).parts or name.startswith("/"):
            raise ValueError(f"{name!r} is no name of a file in the store")
        return f"{self.root}/{name}"


def open_media_store(url: str, *, folder: Path, work: Path) -> MediaStore:
    """The store at `url` (`s3://bucket/prefix`, or what else fsspec knows); in `folder` where it is empty.

    Credentials and endpoint are those of the storage's own variables (`AWS_ACCESS_KEY_ID`,
    `AWS_ENDPOINT_URL_S3`). Raises `ConfigurationError`.
    """
    try:
        options = {"skip_instance_cache": True, "use_listings_cache": False} if url else {}
        system, root = fsspec.url_to_fs(url or folder.absolute().as_uri(), **options)
        store = MediaStore(system, root.rstrip("/"), work)
        if store.folder is not None:
            store.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except _UNREACHABLE as error:
        hint = "; pip install 'assay[s3]'" if isinstance(error, ImportError) else ""
        raise ConfigurationError(f"ASSAY_MEDIA_URL={url}: {error}{hint}") from error
    return store
