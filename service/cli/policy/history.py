"""`explain`, `replay`, `diff`, `report`, `vault`: what a log says, and what another policy would say."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.cli import console
from service.cli.policy.common import FINDINGS, OK, JsonOption, guard_of, load

if TYPE_CHECKING:
    from guard import GuardRequest
    from guard.history import Past
    from guard.replay import Replay
    from guard.transparency import Appeals

LogArgument = Annotated[Path, typer.Argument(help="A decision log.", metavar="LOG")]
LogOption = Annotated[
    Path | None, typer.Option("--log", help="The decision log; this installation's is the default.")
]
VaultOption = Annotated[Path | None, typer.Option("--vault", help="The folder of the prompt vault.")]
KeyOption = Annotated[
    Path | None, typer.Option("--vault-key", help="The vault's private key (PEM).", metavar="FILE")
]
WhyOption = Annotated[str, typer.Option("--why", help="Why prompts are read; noted in the vault.")]
_SHOWN = 50  # changes in a table; --json has all


def explain(
    decision: Annotated[str, typer.Argument(help="The id of a decision.", metavar="DECISION")],
    log: LogOption = None,
    vault: VaultOption = None,
    vault_key: KeyOption = None,
    why: WhyOption = "explain",
    policy: Annotated[Path | None, typer.Option("--policy", "-p", help="The policy it was made by.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Say why a decision came out as it did. Exit 0 found, 1 not in the log, 2 the log cannot be read."""
    from guard import GuardError
    from guard.history import read_log

    out = Console(highlight=False)
    try:
        found = next((past for past in read_log(_log(log)) if past.id == decision), None)
        if found is None:
            console.complain(f"{_log(log)} has no decision {decision}")
            return FINDINGS
        texts = _requests(vault, vault_key, frozenset({decision}), why) if vault else {}
    except (GuardError, OSError, ValueError) as error:
        console.complain(str(error))
        return console.BAD_INPUT
    if as_json:
        console.emit(found.record)
        return OK
    _show_past(found, texts.get(decision), out)
    if decision in texts:
        return _show_trees(found, texts[decision], policy, out)
    out.print("[dim]the prompt itself is not in the log; with --vault and --vault-key it can be shown[/]")
    return OK


def replay(
    log: LogArgument,
    new: Annotated[Path, typer.Option("--with", help="The policy to replay with.", metavar="NEW")],
    vault: VaultOption = None,
    vault_key: KeyOption = None,
    why: WhyOption = "replay",
    as_json: JsonOption = False,
) -> int:
    """Say which past decisions another policy would change. Exit 0 none, 1 some, 2 it cannot be told."""
    from guard.replay import replay as run

    out = Console(highlight=False)
    policy = load(new, out, as_json=as_json)
    if policy is None:
        return console.BAD_INPUT
    material = _material(log, vault, vault_key, why)
    if material is None:
        return console.BAD_INPUT
    return _show_replay(run(*material, policy), out, as_json=as_json)


def diff(
    old: Annotated[Path, typer.Argument(help="A policy.", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="Another policy.", metavar="NEW")],
    log: Annotated[Path, typer.Option("--on", help="A decision log.", metavar="LOG")],
    vault: VaultOption = None,
    vault_key: KeyOption = None,
    why: WhyOption = "diff",
    as_json: JsonOption = False,
) -> int:
    """Judge a log's requests by two policies and compare. Exit 0 no difference, 1 some, 2 not possible."""
    from guard.replay import compare

    out = Console(highlight=False)
    policies = [load(path, out, as_json=as_json) for path in (old, new)]
    if policies[0] is None or policies[1] is None:
        return console.BAD_INPUT
    material = _material(log, vault, vault_key, why)
    if material is None:
        return console.BAD_INPUT
    return _show_replay(compare(*material, policies[0], policies[1]), out, as_json=as_json)


def report(
    log: LogOption = None,
    since: Annotated[
        datetime | None, typer.Option("--since", help="First day (UTC).", formats=["%Y-%m-%d"])
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", help="The day after the last.", formats=["%Y-%m-%d"])
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Count decisions for a transparency report, with the DSA's categories. Exit 0 done, 2 no log."""
    from guard import GuardError
    from guard.history import read_log
    from guard.transparency import Appeals, count

    out = Console(highlight=False)
    span = [moment.replace(tzinfo=UTC) if moment else None for moment in (since, until)]
    try:
        appeals = _appeals(span[0], span[1]) if log is None else Appeals()
        counted = count(read_log(_log(log)), since=span[0], until=span[1], appeals=appeals)
    except (GuardError, OSError) as error:
        console.complain(str(error))
        return console.BAD_INPUT
    body = counted.to_json()
    if as_json:
        console.emit(body)
        return OK
    out.print(f"[bold]{counted.decisions:,} decisions[/]  {body['period'][0]} to {body['period'][1]}")
    restrictions, appealed = body["restrictions"], body["appeals"]
    tables = {
        "outcome": body["outcomes"], "restricted at stage": restrictions["by_stage"],
        "reason": restrictions["by_reason"], "DSA category": restrictions["by_dsa_category"],
        "rule": body["rules"], "shadow rule": body["shadow_rules"], "exception": body["exceptions"],
        "policy": body["policies"],
    }  # fmt: skip
    for title, counts in tables.items():
        if counts:
            table = Table(title, "decisions", box=None, pad_edge=False)
            for name, number in counts.items():
                table.add_row(name, f"{number:,}")
            out.print(table)
    rate = "" if appealed["reversal_rate"] is None else f" ({appealed['reversal_rate']:.0%} of those decided)"
    closed = f"{appealed['decided']} decided, {appealed['reversed']} reversed{rate}"
    out.print(f"appeals: {appealed['filed']} filed, {closed}")
    return OK


def vault_keys(
    folder: Annotated[Path, typer.Argument(help="Where the two files go.", metavar="FOLDER")],
) -> int:
    """Make the vault's key pair: vault.pub for the service, vault.key for those who may read. Exit 0 or 2."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    key = X25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data, mode in (("vault.key", private, 0o600), ("vault.pub", public, 0o644)):
            with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(data)
    except OSError as error:
        console.complain(f"{folder}: {error.strerror}")
        return console.BAD_INPUT
    print(f"{folder / 'vault.pub'}: set ASSAY_VAULT_KEY to it on the machines that serve")
    print(f"{folder / 'vault.key'}: keep it away from them; whoever has it can read prompts")
    return OK


def _log(path: Path | None) -> Path:
    return path or console.settings().decision_log


def _appeals(since: datetime | None, until: datetime | None) -> Appeals:
    from service.store.appeals import AppealStore
    from service.store.database import open_database

    database = open_database(console.settings().url)
    try:
        return AppealStore(database, clock=lambda: datetime.now(UTC)).statistics(since=since, until=until)
    finally:
        database.close()


def _material(
    log: Path, vault: Path | None, key: Path | None, why: str
) -> tuple[list[Past], dict[str, GuardRequest]] | None:
    from guard import GuardError
    from guard.history import read_log

    if vault is None or key is None:
        console.complain(
            "a log holds no prompts, only keyed digests of them, so nothing can be replayed from it alone; "
            "give --vault and --vault-key (the vault is filled from the day ASSAY_VAULT_KEY is set)"
        )
        return None
    try:
        past = list(read_log(log))
        return past, _requests(vault, key, None, why)
    except (GuardError, OSError, ValueError) as error:
        console.complain(str(error))
        return None


def _requests(
    vault: Path, key: Path | None, wanted: frozenset[str] | None, why: str
) -> dict[str, GuardRequest]:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from guard.vault import OpenVault

    if key is None:
        raise ValueError("a vault is read with its private key: --vault-key FILE")
    try:
        private = load_pem_private_key(key.read_bytes(), password=None)
    except TypeError as error:
        raise ValueError(f"{key}: {error}") from error
    if not isinstance(private, X25519PrivateKey):
        raise ValueError(f"{key} is not an X25519 key")
    return OpenVault(vault, private).read(wanted, who=getpass.getuser(), why=why, now=datetime.now(UTC))


def _show_past(past: Past, request: GuardRequest | None, out: Console) -> None:
    record = past.record
    out.print(
        f"[bold]{past.outcome.upper()}[/]  {record['points']} points  {past.policy}  {past.at.isoformat()}"
    )
    out.print(f"stage {past.stage}, tenant {past.tenant}, handle {record.get('handle') or 'none'}")
    for word, findings in (("fired", past.findings), ("shadow", record.get("shadow", []))):
        for finding in findings:
            reason = f"{finding['severity']} · {finding['reason']}"
            out.print(f"[bold]{finding['rule_id']}[/] {word}: {finding['action']} · {reason}", markup=True)
            if finding.get("error"):
                out.print(Text(f"  {finding['error']}", "yellow"))
            for evidence in finding["evidence"]:
                out.print(Text("  " + _evidence(evidence, request)))
    for miss in record.get("near_misses", []):
        held = f"{miss['held']} of {miss['total']} held"
        out.print(Text(f"{miss['rule_id']}: {held}; missing: {', '.join(miss['missing'])}"))
    for exception in record.get("exceptions", []):
        out.print(Text(f"exception {exception} applied"))


def _evidence(evidence: dict[str, object], request: GuardRequest | None) -> str:
    start, end, index = evidence.get("start"), evidence.get("end"), evidence.get("index")
    where = f"{evidence['source']} {index}"
    if not (isinstance(start, int) and isinstance(end, int) and isinstance(index, int)):
        return f"{evidence['condition']} in {where}"
    seen = f" {request.texts[index].value[start:end]!r}" if request and index < len(request.texts) else ""
    what = f"{evidence['list']}/{evidence['entry']}"
    return f"{evidence['condition']} in {where} at {start}-{end}{seen}: {what} ({evidence['view']})"


def _show_trees(past: Past, request: GuardRequest, path: Path | None, out: Console) -> int:
    from service.cli.policy.tryout import show_decision

    policy = load(path, out, as_json=False)
    if policy is None:
        return console.BAD_INPUT
    if policy.digest != past.record.get("policy_digest"):
        out.print(
            f"[yellow]{policy.label} is not the policy that decided; what follows is what it says now[/]"
        )
    guard = guard_of(policy)
    show_decision(guard, request, guard.evaluate(request), out, every=False)
    return OK


def _show_replay(result: Replay, out: Console, *, as_json: bool) -> int:
    if as_json:
        for change in result.changes:
            console.emit(
                {
                    "decision_id": change.decision_id, "at": change.at.isoformat(), "tenant": change.tenant,
                    "before": change.before.value, "after": change.after.value,
                    "rule_before": change.rule_before, "rule_after": change.rule_after,
                }
            )  # fmt: skip
        return FINDINGS if result.changes else OK
    if result.changes:
        table = Table("decision", "before", "after", "rule before", "rule after", box=None, pad_edge=False)
        for change in result.changes[:_SHOWN]:
            style = "red" if change.stricter else ""
            after = Text(change.after.value, style)
            table.add_row(
                change.decision_id, change.before.value, after, change.rule_before, change.rule_after
            )
        out.print(table)
    if len(result.changes) > _SHOWN:
        out.print(f"[dim]and {len(result.changes) - _SHOWN} more (--json shows all)[/]")
    kinds = ", ".join(f"{n} {before} to {after}" for (before, after), n in result.counts.items())
    skipped = result.decisions - result.replayed
    left = f"; {skipped} without a prompt in the vault" if skipped else ""
    changed = f"{len(result.changes)} would change ({kinds})" if result.changes else "none would change"
    out.print(f"{result.replayed} of {result.decisions} decisions replayed: {changed}{left}")
    return FINDINGS if result.changes else OK
