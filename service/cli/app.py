"""All commands, mounted; every expected error becomes one line and exit code 2."""

from __future__ import annotations

import os
from collections.abc import Sequence

import typer

from service.cli import (
    adapters,
    admin,
    bench,
    consents,
    doctor,
    faces,
    keys,
    media,
    records,
    reproduce,
    serve,
    verify,
)
from service.cli.console import BAD_INPUT, complain
from service.cli.policy import app as policy_app
from service.errors import ServiceError

INTERRUPTED = 130
"""What a shell reports for a command ended by Ctrl-C."""

app = typer.Typer(
    name="assay",
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(keys.app, name="keys", help="Create and examine keys.")
app.add_typer(admin.app, name="admin", help="Tenants, limits, keys, jobs, audit log.")
app.add_typer(records.app, name="records", help="Revoke, delete and prune records.")
app.add_typer(faces.app, name="faces", help="The gallery of protected people.")
app.add_typer(consents.app, name="consents", help="Issue and withdraw consents.")
app.add_typer(adapters.app, name="adapters", help="Inspect adapters and vouch for them.")
app.add_typer(policy_app, name="policy", help="Check, test and try policies.")
app.add_typer(bench.app, name="bench", help="Measure.")
app.command()(serve.serve)
app.command()(media.generate)
app.command()(media.mark)
app.command()(media.detect)
app.command()(verify.verify)
app.command()(reproduce.reproduce)
app.command()(doctor.doctor)


@app.callback()
def options() -> None:
    """Guard, mark, sign and prove generated video and pictures.

    Exit codes: 0 evidence found or done, 1 no evidence, 2 bad input or configuration.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        code = app(args=list(arguments), prog_name="assay", standalone_mode=False)
    except typer.TyperException as error:
        complain(f"{error.format_message()} (assay --help)")
        return BAD_INPUT
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except ServiceError as error:
        complain(str(error))
        return BAD_INPUT
    return code if isinstance(code, int) else 0
