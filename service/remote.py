"""Files in buckets, for bulk verification: listed by prefix or pattern, fetched one at a time through fsspec.

Addresses come from the person at the command line or their list, never from a file that is examined.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import has_magic
from pathlib import Path
from typing import Any, Final

from service.errors import ConfigurationError
from service.isolate import RefusedError

_ADDRESS: Final = re.compile(r"(s3|gs|az|abfs|memory)://.+")
"""Buckets alone: an address on the web would make this machine call wherever a list says."""
COPY_BYTES: Final = 1 << 20


def is_remote(name: str) -> bool:
    """Whether a name is an address in a bucket."""
    return _ADDRESS.fullmatch(name) is not None


def listed(name: str) -> list[str]:
    """The addresses of one file, of everything under a prefix, or of what fits a pattern; sorted.

    Raises `ConfigurationError` where the bucket does not answer, or there is nothing.
    """
    scheme = name.partition("://")[0]
    system, path = _system(name)
    try:
        found = system.glob(path) if has_magic(path) else system.find(path)
    except Exception as error:  # each kind of bucket raises its own
        raise ConfigurationError(f"{name}: cannot be listed: {error}") from error
    shown = [f"{scheme}://{one.lstrip('/')}" for one in sorted(found) if not _is_hidden(one)]
    if not shown:
        raise ConfigurationError(f"{name}: there is nothing under it")
    return shown


@contextmanager
def fetched(address: str, *, limit: int) -> Iterator[Path]:
    """The file at `address`, on this machine for as long as it is read. Raises `RefusedError` for one that is
    larger than `limit` bytes, or cannot be fetched."""
    system, path = _system(address)
    with tempfile.NamedTemporaryFile(prefix="assay-") as file:
        try:
            with system.open(path, "rb") as remote:
                while chunk := remote.read(COPY_BYTES):
                    if file.tell() + len(chunk) > limit:
                        raise RefusedError("too_large", f"The file is larger than {limit} bytes.")
                    file.write(chunk)
        except RefusedError:
            raise
        except Exception as error:
            raise RefusedError("not_fetched", f"It cannot be fetched: {error}") from error
        file.flush()
        yield Path(file.name)


def _system(address: str) -> tuple[Any, str]:
    import fsspec

    try:
        system, path = fsspec.url_to_fs(address)
    except (ImportError, ValueError, OSError) as error:
        raise ConfigurationError(f"{address}: {error}; for S3 install the extra: assay[s3]") from error
    return system, str(path)


def _is_hidden(path: str) -> bool:
    return path.rpartition("/")[2].startswith(".")
