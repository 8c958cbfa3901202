"""`bench`: how often a policy stops texts that it should, and texts that it should not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.cli import console
from service.cli.policy.common import FINDINGS, OK, JsonOption, guard_of, load

if TYPE_CHECKING:
    from guard.measure import Measured


def bench(
    policy: Annotated[
        Path | None, typer.Argument(help="The policy file; the one in use is the default.", metavar="POLICY")
    ] = None,
    allow: Annotated[
        list[Path] | None,
        typer.Option("--allow", help="Texts that should pass: one in a line, or .jsonl with `prompt`."),
    ] = None,
    block: Annotated[
        list[Path] | None, typer.Option("--block", help="Texts that should be stopped, in the same form.")
    ] = None,
    wrong_at_most: Annotated[
        float | None,
        typer.Option("--wrong-at-most", help="Percent of --allow that may be stopped; more is exit 1."),
    ] = None,
    seen_at_least: Annotated[
        float | None,
        typer.Option("--seen-at-least", help="Percent of --block that must be stopped; less is exit 1."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Measure a policy on texts of your own. Exit 0 within the limits given, 1 not, 2 it cannot run."""
    from guard.errors import GuardError
    from guard.measure import measure, read_texts

    out = Console(highlight=False)
    loaded = load(policy, out, as_json=as_json)
    if loaded is None:
        return console.BAD_INPUT
    files = [(path, True) for path in allow or []] + [(path, False) for path in block or []]
    if not files:
        console.complain("nothing to measure; give texts with --allow FILE or --block FILE")
        return console.BAD_INPUT
    guard, good = guard_of(loaded), True
    for path, harmless in files:
        try:
            found = measure(guard, read_texts(path))
        except GuardError as error:
            console.complain(str(error))
            return console.BAD_INPUT
        kept = _within(found, wrong_at_most if harmless else seen_at_least, harmless=harmless)
        good &= kept
        if as_json:
            console.emit(_as_json(path, found, harmless=harmless, kept=kept))
        else:
            _show(path, found, out, harmless=harmless, kept=kept)
    return OK if good else FINDINGS


def _within(found: Measured, percent: float | None, *, harmless: bool) -> bool:
    if percent is None:
        return True
    return found.share <= percent / 100 if harmless else found.share >= percent / 100


def _as_json(path: Path, found: Measured, *, harmless: bool, kept: bool) -> dict[str, object]:
    return {
        "file": str(path), "should": "pass" if harmless else "be stopped", "texts": found.texts,
        "stopped": found.stopped, "share": found.share, "interval": found.interval, "kept": kept,
        "rules": dict(found.by_rule), "shadow_rules": dict(found.by_shadow_rule),
        "p50_ms": found.p50 * 1e3, "p99_ms": found.p99 * 1e3,
    }  # fmt: skip


def _show(path: Path, found: Measured, out: Console, *, harmless: bool, kept: bool) -> None:
    low, high = found.interval
    verdict = "" if kept else " [bold red]outside the limit[/]"
    out.print(
        f"[bold]{path.name}[/]: {found.stopped} of {found.texts} stopped, {found.share:.2%} "
        f"[dim](95 % interval {low:.2%} to {high:.2%})[/]{verdict}",
        soft_wrap=True,
    )
    table = Table("rule", "texts", "", box=None, pad_edge=False)
    for name, count in sorted(found.by_rule.items(), key=lambda pair: -pair[1]):
        table.add_row(name, str(count), "")
    for name, count in sorted(found.by_shadow_rule.items(), key=lambda pair: -pair[1]):
        table.add_row(name, str(count), "[yellow]shadow[/]")
    if table.rows:
        out.print(table)
    for text in found.stopped_texts if harmless else found.passed_texts:
        out.print(Text(f"  {'stopped' if harmless else 'passed'}: {text[:100]}", "dim"))
    out.print(
        f"[dim]{found.p50 * 1e3:.2f} ms for the median text, {found.p99 * 1e3:.2f} ms for one of 100[/]"
    )
