"""`assay policy`: check a policy, run its tests, and try a prompt against it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from service.cli import console

if TYPE_CHECKING:
    from guard import Decision, Guard, GuardRequest, Policy, PolicyError, Problem
    from guard.explain import ConditionTrace, RuleTrace, Seen
    from guard.lint import Issue
    from guard.testing import TestReport, TestResult

OK, FINDINGS = 0, 1
"""Exit codes, beside `console.BAD_INPUT` for a policy that cannot be loaded."""

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
log_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(log_app, name="log", help="Examine decision logs.")
bundle_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(bundle_app, name="bundle", help="Sign policies and check signed ones.")

_Path = Annotated[
    Path | None, typer.Argument(help="The policy file; the one in use is the default.", metavar="POLICY")
]
_Json = Annotated[bool, typer.Option("--json", help="One JSON line per result instead of tables.")]

_ISSUE_STYLE = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_OUTCOME_STYLE = {"allow": "bold green", "review": "bold yellow", "block": "bold red"}


@app.command()
def lint(policy: _Path = None, as_json: _Json = False) -> int:
    """Report errors and doubtful places. Exit 0 at most notes, 1 findings, 2 the policy does not load."""
    from guard.lint import IssueSeverity, lint_policy

    out = Console(highlight=False)
    loaded = _load(policy, out, as_json=as_json)
    if loaded is None:
        return console.BAD_INPUT
    issues = lint_policy(loaded, today=datetime.now(UTC).date())
    for issue in issues:
        _show_issue(issue, out, as_json=as_json)
    if not as_json:
        counts = Counter(issue.severity.value for issue in issues)
        found = ", ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in counts.items()) or "nothing to report"
        entries = sum(len(entries.entries) for entries in loaded.lists.values())
        out.print(f"[bold]{loaded.label}[/]: {len(loaded.rules)} rules, {entries:,} list entries; {found}")
    return FINDINGS if any(issue.severity is not IssueSeverity.NOTE for issue in issues) else OK


@app.command(name="test")
def run_tests(
    policy: _Path = None,
    attack: Annotated[
        bool, typer.Option("--attack", help="Try attacks on every entry, not on a sample.")
    ] = False,
    as_json: _Json = False,
) -> int:
    """Run the tests inside the policy. Exit 0 all passed, 1 some failed or none exist, 2 bad policy."""
    from guard import testing

    out = Console(highlight=False)
    loaded = _load(policy, out, as_json=as_json)
    if loaded is None:
        return console.BAD_INPUT
    report = testing.run_tests(loaded, _guard(loaded), sample=None if attack else testing.ATTACK_SAMPLE)
    if as_json:
        for result in report.results:
            console.emit(_result_json(result))
    else:
        _show_report(loaded, report, out)
    return OK if report.passed else FINDINGS


@app.command(name="try")
def try_(
    prompt: Annotated[str, typer.Argument(help="The text to judge.", metavar="PROMPT")],
    policy: Annotated[
        Path | None, typer.Option("--policy", "-p", help="The policy file.", metavar="POLICY")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show also the rules that saw nothing.")] = False,
    as_json: _Json = False,
) -> int:
    """Judge a text and show what each rule saw, or nearly saw. Exit 0 allowed, 1 not, 2 bad policy."""
    from guard import GuardRequest, Stage
    from guard import Text as PromptText

    out = Console(highlight=False)
    loaded = _load(policy, out, as_json=as_json)
    if loaded is None:
        return console.BAD_INPUT
    guard = _guard(loaded)
    request = GuardRequest(Stage.PROMPT, texts=(PromptText("prompt", prompt),))
    decision = guard.evaluate(request)
    if as_json:
        console.emit(decision.to_json())
    else:
        _show_decision(guard, request, decision, out, every=every)
    return OK if decision.allowed else FINDINGS


@app.command()
def schema() -> int:
    """Print the JSON Schema of policy files, for editors."""
    import json

    from guard.language import policy_json_schema

    print(json.dumps(policy_json_schema(), indent=1, ensure_ascii=False))
    return OK


@log_app.command(name="verify")
def verify_log(
    log: Annotated[Path, typer.Argument(help="The decision log.", metavar="LOG")],
    key: Annotated[Path, typer.Option("--key", help="The file with the log's key.", metavar="FILE")],
    as_json: _Json = False,
) -> int:
    """Find lines that were changed, deleted or moved. Exit 0 sound, 1 not, 2 the log cannot be read."""
    from guard.errors import LogError
    from guard.log import verify_log as verify

    try:
        report = verify(log, key.read_bytes())
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


@bundle_app.command()
def sign(
    policy: Annotated[Path, typer.Argument(help="The policy file.", metavar="POLICY")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write.", metavar="FILE")],
    key: Annotated[Path, typer.Option("--key", help="An Ed25519 private key (PEM).", metavar="FILE")],
) -> int:
    """Sign a policy and its lists as one file. It must load and pass its tests. Exit 2 otherwise."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from guard import GuardError
    from guard.bundle import sign_bundle

    try:
        private = load_pem_private_key(key.read_bytes(), password=None)
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError(f"{key} is not an Ed25519 key")
        signed = sign_bundle(policy, output, private)
    except (GuardError, ValueError, TypeError, OSError) as error:
        console.complain(str(error))
        return console.BAD_INPUT
    print(f"{output}: {signed.label}, digest {signed.digest}")
    return OK


@bundle_app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="The bundle.", metavar="BUNDLE")],
    issuer: Annotated[Path, typer.Option("--issuer", help="An Ed25519 public key (PEM).", metavar="FILE")],
) -> int:
    """Check that a bundle is whole and signed by an issuer. Exit 0 good, 2 not."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from guard import GuardError
    from guard.bundle import load_bundle

    try:
        public = load_pem_public_key(issuer.read_bytes())
        if not isinstance(public, Ed25519PublicKey):
            raise ValueError(f"{issuer} is not an Ed25519 key")
        loaded = load_bundle(bundle, (public,))
    except (GuardError, ValueError, TypeError, OSError) as error:
        console.complain(str(error))
        return console.BAD_INPUT
    print(f"{bundle}: {loaded.label}, digest {loaded.digest}")
    return OK


def _load(path: Path | None, out: Console, *, as_json: bool) -> Policy | None:
    """Returns the policy, or None after showing every error in it."""
    from guard import PolicyError, load_policy
    from guard.loader import default_policy_path

    try:
        return load_policy(path or console.settings().policy or default_policy_path())
    except PolicyError as error:
        _show_errors(error, out, as_json=as_json)
        return None


def _guard(policy: Policy) -> Guard:
    from guard import Guard

    return Guard(policy, faces=None, consents=None, clock=lambda: datetime.now(UTC))


# ---------------------------------------------------------------- errors and issues


def _show_errors(error: PolicyError, out: Console, *, as_json: bool) -> None:
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


def _show_issue(issue: Issue, out: Console, *, as_json: bool) -> None:
    if as_json:
        at = issue.at
        console.emit(
            {
                "severity": issue.severity.value, "code": issue.code, "message": issue.message,
                "path": at.path, "line": at.line, "column": at.column, "suggestion": None,
            }
        )  # fmt: skip
        return
    text = Text(f"{issue.at}: ", "bold")
    text.append(f"{issue.severity} ", _ISSUE_STYLE[issue.severity.value]).append(issue.message, "default")
    out.print(text.append(f" [{issue.code}]", "dim"), soft_wrap=True)


# ---------------------------------------------------------------- tests


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


# ---------------------------------------------------------------- try


def _show_decision(
    guard: Guard, request: GuardRequest, decision: Decision, out: Console, *, every: bool
) -> None:
    from guard.explain import explain

    text = request.texts[0].value
    traces = explain(guard, request)
    shown = [trace for trace in traces if every or trace.fires or _came_near(trace.when)]
    out.print(_headline(decision, text))
    for trace in sorted(shown, key=lambda trace: not trace.fires):
        out.print(_rule_tree(trace, text))
    quiet = len(traces) - len(shown)
    if quiet:
        out.print(f"[dim]{quiet} other rule{'s' * (quiet > 1)} saw nothing (--all shows them)[/]")


def _came_near(trace: ConditionTrace) -> bool:
    return bool(trace.seen or trace.near or trace.note) or any(map(_came_near, trace.parts))


def _headline(decision: Decision, text: str) -> Panel:
    prompt = Text(text)
    for finding in decision.findings:
        for evidence in finding.evidence:
            if evidence.start is not None and evidence.end is not None:
                prompt.stylize("bold red underline", evidence.start, evidence.end)
    style = _OUTCOME_STYLE[decision.outcome.value]
    verdict = Text(f"{decision.outcome.value.upper()}", style)
    verdict.append(f"  {decision.points} points  {decision.policy}", "dim")
    told = Text(f"the user is told: {decision.user_text()}", "italic") if decision.findings else Text()
    return Panel(
        Group(prompt, told) if told else prompt,
        title=verdict,
        title_align="left",
        border_style=style.split()[1],
    )


def _rule_tree(trace: RuleTrace, text: str) -> Tree:
    rule = trace.rule
    state = f"[bold red]{rule.then}s[/]" if trace.fires else "[green]does not fire[/]"
    shadow = " [yellow](shadow)[/]" if rule.mode.value == "shadow" else ""
    tree = Tree(
        f"[bold]{rule.id}[/] {state}{shadow} [dim]{escape(rule.title)} · {rule.severity} · {rule.reason}[/]"
    )
    _add_condition(tree, trace.when, text)
    for exemption in trace.unless:
        _add_condition(tree.add("[dim]unless[/]"), exemption, text)
    return tree


def _add_condition(tree: Tree, trace: ConditionTrace, text: str) -> None:
    mark = "[green]✓[/]" if trace.holds else "[dim]✗[/]"
    note = f" [yellow]{escape(trace.note)}[/]" if trace.note else ""
    branch = tree.add(f"{mark} {escape(trace.label)}{note}")
    for part in trace.parts:
        _add_condition(branch, part, text)
    for seen in trace.seen:
        branch.add(_seen("saw", seen, text))
    for seen in trace.near:
        branch.add(_seen("close", seen, text))


def _seen(word: str, seen: Seen, text: str) -> Text:
    line = Text(f"{word} ", "dim")
    line.append(repr(text[seen.start : seen.end])[1:-1], "bold")
    line.append(f" at {seen.start}-{seen.end}", "dim")
    return line.append(" as ", "dim").append(seen.entry, "cyan").append(f" ({seen.view})", "dim")
