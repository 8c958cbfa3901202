"""`log verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli import console
from service.cli.policy.common import FINDINGS, OK, JsonOption


def verify_log(
    log: Annotated[
        Path | None,
        typer.Argument(help="The decision log; this installation's is the default.", metavar="LOG"),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="The file with the log's key; this installation's is the default."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Find lines that were changed, deleted or moved. Exit 0 sound, 1 not, 2 the log cannot be read."""
    from guard.errors import LogError
    from guard.log import verify_log as verify
    from service.recording import log_key

    log = log or console.settings().decision_log
    try:
        report = verify(log, key.read_bytes() if key else log_key(console.settings()))
    except (LogError, OSError) as error:
        console.complain(str(error))
        return console.BAD_INPUT
    for problem in report.problems:
        if as_json:
            console.emit({"line": problem.line, "message": problem.message})
        else:
            print(f"{log}:{problem.line}: {problem.message}")
    if not as_json:
        print(f"{log}: {report.lines} lines, {'sound' if report.sound else 'NOT sound'}")
    return OK if report.sound else FINDINGS
