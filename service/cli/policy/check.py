"""`lint`, `test` and `schema`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.cli import console
from service.cli.policy.common import FINDINGS, OK, JsonOption, PoliciesArgument, guard_of, load

if TYPE_CHECKING:
    from guard import Guard, Policy
    from guard.lint import Issue
    from guard.testing import TestReport, TestResult

_ISSUE_STYLE = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def lint(
    policies: PoliciesArgument = None,
    corpus: Annotated[
        Path | None,
        typer.Option("--corpus", help="Harmless texts, one in a line, in which no name should be found."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Report errors and doubtful places. Exit 0 at most notes, 1 findings, 2 a policy does not load."""
    from guard.ambiguity import everyday_texts

    try:
        texts = everyday_texts() if corpus is None else corpus.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        console.complain(f"{corpus}: {error}")
        return console.BAD_INPUT
    paths: list[Path | None] = [*policies] if policies else [None]
    return max(_lint(path, texts, as_json=as_json) for path in paths)


def _lint(path: Path | None, texts: Sequence[str], *, as_json: bool) -> int:
    from guard.lint import IssueSeverity, lint_policy

    out = Console(highlight=False)
    loaded = load(path, out, as_json=as_json)
    if loaded is None:
        return console.BAD_INPUT
    issues = lint_policy(loaded, today=datetime.now(UTC).date(), texts=texts)
    for issue in issues:
        _show_issue(issue, out, as_json=as_json)
    if not as_json:
        counts = Counter(issue.severity.value for issue in issues)
        found = ", ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in counts.items()) or "nothing to report"
        entries = sum(len(entries.entries) for entries in loaded.lists.values())
        out.print(f"[bold]{loaded.label}[/]: {len(loaded.rules)} rules, {entries:,} list entries; {found}")
    return FINDINGS if any(issue.severity is not IssueSeverity.NOTE for issue in issues) else OK


def run_tests(
    policies: PoliciesArgument = None,
    attack: Annotated[
        bool, typer.Option("--attack", help="Try attacks on every entry, not on a sample.")
    ] = False,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Show the conditions that no test has seen hold, or not hold.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Run the tests inside policies. Exit 0 all passed, 1 some failed or none exist, 2 bad policy."""
    paths: list[Path | None] = [*policies] if policies else [None]
    return max(_test(path, attack=attack, coverage=coverage, as_json=as_json) for path in paths)


def _test(path: Path | None, *, attack: bool, coverage: bool, as_json: bool) -> int:
    from guard import testing

    out = Console(highlight=False)
    loaded = load(path, out, as_json=as_json)
    if loaded is None:
        return console.BAD_INPUT
    guard = guard_of(loaded)
    report = testing.run_tests(loaded, guard, sample=None if attack else testing.ATTACK_SAMPLE)
    if as_json:
        for result in report.results:
            console.emit(_result_json(result))
    else:
        _show_report(loaded, report, out)
    if coverage:
        _show_coverage(loaded, guard, out, as_json=as_json)
    return OK if report.passed else FINDINGS


def _show_coverage(policy: Policy, guard: Guard, out: Console, *, as_json: bool) -> None:
    from guard.coverage import cover

    found = cover(policy, guard)
    for one in found:
        if as_json:
            console.emit(
                {
                    "rule": one.rule_id, "condition": one.condition, "line": one.line,
                    "held": one.held, "missed": one.missed,
                }
            )  # fmt: skip
        elif not one.covered:
            side = "never held" if not one.held else "held in every test"
            out.print(Text(f"{one.rule_id}, line {one.line}: {one.condition}: {side}", "yellow"))
    if not as_json:
        covered = sum(one.covered for one in found)
        out.print(f"[bold]{policy.label}[/]: tests show both sides of {covered} of {len(found)} conditions")


def schema() -> int:
    """Print the JSON Schema of policy files, for editors."""
    import json

    from guard.language import policy_json_schema

    print(json.dumps(policy_json_schema(), indent=1, ensure_ascii=False))
    return OK


def _show_issue(issue: Issue, out: Console, *, as_json: bool) -> None:
    if as_json:
        at = issue.at
        console.emit(
            {
                "severity": issue.severity.value, "code": issue.code, "message": issue.message,
                "path": at.path, "line": at.line, "column": at.column, "suggestion": issue.suggestion,
            }
        )  # fmt: skip
        return
    text = Text(f"{issue.at}: ", "bold")
    text.append(f"{issue.severity} ", _ISSUE_STYLE[issue.severity.value]).append(issue.message, "default")
    text.append(f"; {issue.suggestion}" if issue.suggestion else "", "green")
    out.print(text.append(f" [{issue.code}]", "dim"), soft_wrap=True)


def _result_json(result: TestResult) -> dict[str, object]:
    return {
        "rule": result.rule_id, "test": result.test, "attack": result.attack, "passed": result.passed,
        "message": result.message, "line": result.at.line, "seen": result.seen, "tried": result.tried,
    }  # fmt: skip


def _show_report(policy: Policy, report: TestReport, out: Console) -> None:
    table = Table("rule", "tests", "attacks", "", box=None, pad_edge=False)
    for rule_id in dict.fromkeys(result.rule_id for result in report.results):
        results = [result for result in report.results if result.rule_id == rule_id]
        attacks = [result for result in results if result.attack]
        good = all(result.passed for result in results)
        seen = sum(r.seen for r in attacks), sum(r.tried for r in attacks)
        share = f"{seen[0]} of {seen[1]} seen" if attacks else ""
        mark = "[green]passed[/]" if good else "[bold red]failed[/]"
        table.add_row(rule_id or "whole policy", str(len(results) - len(attacks)), share, mark)
    out.print(table)
    for failure in report.failures:
        where = f"{failure.attack}: " if failure.attack else ""
        out.print(Text(f"{failure.at}: ", "bold").append(where + failure.message, "red"))
        out.print(Text(f"      {failure.test}", "dim"))
        for missed in failure.missed:
            out.print(Text(f"      missed {missed}", "dim"))
    passed = len(report.results) - len(report.failures)
    out.print(f"[bold]{policy.label}[/]: {passed} of {len(report.results)} tests passed")
