"""Bulk verification with Ray Data: files are read by actors on many machines, rows come back in order.

An actor needs the detection keys and the files, no database: it gives the encoded evidence, which the
process that asked checks and judges, as it does without Ray. What an actor had in hand when it died is read
again by another one.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance import Evidence
from service.cluster.session import hide_main, ray_session
from service.codec import decode
from service.errors import IsolationError
from service.inspection import build_inspector
from service.isolate import RefusedError
from service.settings import Settings

MOST_BLOCKS = 10_000
"""Ray keeps a task and an object for each block: up to so many files each is a block of its own."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an actor says about one file."""

    evidence: bytes
    reason: str
    message: str

    def result(self) -> Evidence:
        """Raises `RefusedError` where the file could not be read, `IsolationError` for anything else."""
        if self.reason:
            raise RefusedError(self.reason, self.message)
        return decode(Evidence, self.evidence)


class Reader:
    """The actor. Settings and keys are those of its own node."""

    def __init__(self) -> None:
        hide_main()
        self._inspector = build_inspector(Settings.from_env(os.environ))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row of `name` and `path` as one of `name`, `evidence`, `reason`, `message`."""
        path = Path(row["path"])
        found = {"name": row["name"], "evidence": b"", "reason": "", "message": ""}
        try:
            if not path.is_file():
                raise RefusedError("not_found", "There is no such file.")
            found["evidence"] = self._inspector.encoded(path)
        except (RefusedError, IsolationError) as error:
            found |= {"reason": error.reason, "message": str(error)}
        return found


@contextmanager
def read_all(
    settings: Settings, paths: Sequence[tuple[str, Path]], *, workers: int = 0
) -> Iterator[Iterator[tuple[str, Reading]]]:
    """Every name with its reading, in the order of `paths`, as they come. `workers` 0: one per processor.

    Raises `ConfigurationError` where Ray is not installed, `EngineError` where it does not start.
    """
    with ray_session(settings, slots=workers or os.cpu_count() or 1) as ray:
        size = min(workers or int(ray.cluster_resources()["CPU"]), len(paths))
        yield _rows(paths, size)


def _rows(paths: Sequence[tuple[str, Path]], size: int) -> Iterator[tuple[str, Reading]]:
    data = importlib.import_module("ray.data")
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    context = data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    items = [{"name": name, "path": str(path.absolute())} for name, path in paths]
    files = data.from_items(items, override_num_blocks=min(len(items), MOST_BLOCKS))
    pool = data.ActorPoolStrategy(size=size)
    for row in files.map(Reader, compute=pool, num_cpus=1).iter_rows():
        yield row["name"], Reading(row["evidence"], row["reason"], row["message"])
