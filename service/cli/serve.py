"""`assay serve`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Annotated

import typer

from service.cli import console


def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind (ASSAY_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind (ASSAY_PORT).", min=1, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes (ASSAY_WORKERS).", min=0)] = None,
    engine: Annotated[str | None, typer.Option(help="local or ray (ASSAY_ENGINE).")] = None,
) -> None:
    """Serve the API and the verify page, with a worker process that makes what is asked for."""
    from service.serve import serve as run

    settings = console.settings()
    chosen = replace(
        settings,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
        workers=settings.workers if workers is None else workers,
        engine=settings.engine if engine is None else engine,
    )
    run(chosen, os.environ)
