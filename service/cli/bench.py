"""`assay bench`: the benchmarks live in the checkout, not in the installed package."""

from __future__ import annotations

import importlib.util
import runpy
import sys

import typer

from service.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Measure what the marks survive."""


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def watermark(context: typer.Context) -> None:
    """Attack marked media and report what is still read; options as `python -m bench.watermark`."""
    if importlib.util.find_spec("bench") is None:
        raise ConfigurationError("the benchmarks are not installed; run this in a checkout of the repository")
    sys.argv = ["assay bench watermark", *context.args]
    runpy.run_module("bench.watermark", run_name="__main__")
