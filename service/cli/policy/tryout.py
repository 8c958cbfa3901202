"""`try`: judge a text and show what each rule saw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.text import Text
from rich.tree import Tree

from service.cli import console
from service.cli.policy.common import FINDINGS, OK, JsonOption, guard_of, load

if TYPE_CHECKING:
    from guard import Decision, Guard, GuardRequest
    from guard.explain import ConditionTrace, RuleTrace, Seen

_OUTCOME_STYLE = {"allow": "bold green", "review": "bold yellow", "block": "bold red"}


def try_(
    prompt: Annotated[str, typer.Argument(help="The text to judge.", metavar="PROMPT")],
    policy: Annotated[
        Path | None, typer.Option("--policy", "-p", help="The policy file.", metavar="POLICY")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show also the rules that saw nothing.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Judge a text and show what each rule saw, or nearly saw. Exit 0 allowed, 1 not, 2 bad policy."""
    from guard import GuardRequest, Stage
    from guard import Text as PromptText

    out = Console(highlight=False)
    loaded = load(policy, out, as_json=as_json)
    if loaded is None:
        return console.BAD_INPUT
    guard = guard_of(loaded)
    request = GuardRequest(Stage.PROMPT, texts=(PromptText("prompt", prompt),))
    decision = guard.evaluate(request)
    if as_json:
        console.emit(decision.to_json())
    else:
        show_decision(guard, request, decision, out, every=every)
    return OK if decision.allowed else FINDINGS


def show_decision(
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
    told = Text()
    if decision.findings:
        told.append(f"{decision.reason}: ", "dim").append(
            f"the user is told: {decision.user_text()}", "italic"
        )
    if decision.reason == "GUARD.NO_RULES":
        told.append(
            f"\nno rule of stage {decision.stage} is in `mode: enforce`, so everything is refused", "yellow"
        )
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
    if why := trace.why_not(text):
        tree.add(Text(why, "yellow"))
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
