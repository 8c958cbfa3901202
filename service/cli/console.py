"""What commands share: settings, output, progress."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from service.settings import Settings

FOUND, NOTHING, BAD_INPUT = 0, 1, 2
"""Exit codes."""


def settings() -> Settings:
    """The settings of the environment. Raises `ConfigurationError`."""
    return Settings.from_env(os.environ)


def complain(message: str) -> None:
    """Say on standard error what is wrong."""
    print(f"assay: {message}", file=sys.stderr)


def emit(value: dict[str, Any]) -> None:
    """One JSON line on standard output."""
    print(json.dumps(value, ensure_ascii=True), flush=True)


@contextmanager
def progress_bar(title: str) -> Iterator[Any]:
    """A bar on standard error; yields `progress(stage, fraction)`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=1.0)

        def progress(stage: str, fraction: float) -> None:
            bars.update(task, description=f"{title}: {stage}", completed=fraction)

        yield progress
