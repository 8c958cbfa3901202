"""What the policy commands share: finding, loading and compiling a policy, and showing its errors."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from service.cli import console

if TYPE_CHECKING:
    from guard import Guard, Policy, PolicyError, Problem

OK, FINDINGS = 0, 1
"""Exit codes, beside `console.BAD_INPUT` for a policy that cannot be loaded."""

PoliciesArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="Policy files; the one in use is the default.", metavar="POLICY..."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON line per result instead of tables.")]


def load(path: Path | None, out: Console, *, as_json: bool) -> Policy | None:
    """Returns the policy, or None after showing every error in it."""
    from guard import PolicyError, load_policy
    from guard.loader import default_policy_path

    try:
        return load_policy(path or console.settings().policy or default_policy_path())
    except PolicyError as error:
        show_errors(error, out, as_json=as_json)
        return None


def guard_of(policy: Policy) -> Guard:
    from guard import Guard

    return Guard(policy, faces=None, consents=None, clock=lambda: datetime.now(UTC))


def show_errors(error: PolicyError, out: Console, *, as_json: bool) -> None:
    for problem in error.problems:
        if as_json:
            at = problem.location
            console.emit(
                {
                    "severity": "error", "code": "invalid", "message": problem.message, "path": at.path,
                    "line": at.line, "column": at.column, "suggestion": problem.suggestion,
                }
            )  # fmt: skip
        else:
            out.print(_problem(problem), soft_wrap=True)
    if not as_json:
        count = len(error.problems)
        out.print(f"[bold red]{count} error{'s' * (count > 1)}[/]; the policy was not loaded")


def _problem(problem: Problem) -> Text:
    text = Text()
    text.append(f"{problem.location}: ", "bold")
    text.append(problem.message, "red")
    if problem.suggestion:
        text.append(" - did you mean ").append(problem.suggestion, "bold green").append("?")
    if problem.source_line:
        gutter = f"{problem.location.line:>5} | "
        text.append(f"\n{gutter}", "dim").append(problem.source_line)
        text.append("\n" + " " * (len(gutter) + problem.location.column - 1)).append("^", "bold red")
    return text
