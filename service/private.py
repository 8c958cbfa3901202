"""Files that hold secrets or speak of people: the owner alone can read them, and they are written whole."""

from __future__ import annotations

import os
from pathlib import Path

from service.errors import ConfigurationError

OWNER_ONLY = 0o600


def write_private(path: Path, data: bytes) -> None:
    """Write a file that the owner alone can read, whole or not at all. Raises `ConfigurationError`."""
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
