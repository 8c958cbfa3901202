"""`assay serve`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import console
from service.settings import METRICS_FOLDER

if TYPE_CHECKING:
    from service.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind (ASSAY_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind (ASSAY_PORT).", min=1, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes (ASSAY_WORKERS).", min=0)] = None,
    engine: Annotated[str | None, typer.Option(help="local or ray (ASSAY_ENGINE).")] = None,
) -> None:
    """Serve the API and the verify page, with a worker process that makes what is asked for."""
    settings = console.settings()
    with _counting_together():
        _serve(settings, host, port, workers, engine)


@contextmanager
def _counting_together() -> Iterator[None]:
    """The processes of one server count in one folder, which must be named before anything counts."""
    if METRICS_FOLDER in os.environ:
        yield
        return
    with TemporaryDirectory(prefix="assay-metrics-") as folder:
        os.environ[METRICS_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[METRICS_FOLDER]


def _serve(
    settings: Settings, host: str | None, port: int | None, workers: int | None, engine: str | None
) -> None:
    from service.serve import serve as run

    chosen = replace(
        settings,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
        workers=settings.workers if workers is None else workers,
        engine=settings.engine if engine is None else engine,
    )
    run(chosen, os.environ)
