"""`assay doctor`: which promises this installation can keep, and what to do about the others."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from service.cli import console
from service.settings import Settings

if TYPE_CHECKING:
    from service.keys import Finding

LOW_DISK_BYTES = 2 * 2**30


def doctor(json: Annotated[bool, typer.Option("--json", help="One JSON line per check.")] = False) -> int:
    """Say which stages are live, what is missing and what to do. Exit 0 when nothing is missing."""
    from service.keys import Finding, examine_keys

    settings = console.settings()
    checks: dict[str, Callable[[Settings], str]] = {
        "data folder": _home,
        "database": _database,
        "guard": _guard,
        "generator": _generator,
        "isolation": _isolation,
        "media": _media,
        "disk": _disk,
    }
    findings = list(examine_keys(settings))
    for name, check in checks.items():
        try:
            findings.append(Finding(name, True, check(settings)))
        except Exception as error:
            findings.append(Finding(name, False, str(error)))
    return show(findings, as_json=json)


def show(findings: Sequence[Finding], *, as_json: bool) -> int:
    """Print findings; the exit code says whether all are good."""
    if as_json:
        for finding in findings:
            console.emit({"check": finding.name, "live": finding.good, "detail": finding.text})
    else:
        table = Table("check", "state", "detail", box=None)
        for finding in findings:
            table.add_row(finding.name, "live" if finding.good else "MISSING", finding.text)
        Console().print(table, markup=False)
    return console.FOUND if all(finding.good for finding in findings) else console.BAD_INPUT


def _home(settings: Settings) -> str:
    from service.wiring import open_services

    open_services(settings)
    return str(settings.home)


def _database(settings: Settings) -> str:
    from service.store.database import open_database

    database = open_database(settings.url)
    database.ping()
    return database.engine.url.render_as_string(hide_password=True)


def _guard(settings: Settings) -> str:
    from service.errors import ServiceError
    from service.wiring import build_guard

    guard = build_guard(settings)
    missing = guard.missing_backends()
    if missing:
        raise ServiceError(f"the policy needs backends that are not installed: {', '.join(missing)}")
    return f"policy {guard.policy.label}, {len(guard.policy.rules)} rules"


def _generator(settings: Settings) -> str:
    from service.production import system_spec

    spec = system_spec(settings.model)
    return f"{spec.name}: {spec.pipeline}, {spec.width}x{spec.height}, {spec.frames} frames"


def _isolation(settings: Settings) -> str:
    from service.errors import ServiceError
    from service.sandbox import can_deny_network

    if not can_deny_network():
        raise ServiceError(
            "uploads are parsed in a limited process, but its network cannot be cut off on this system"
        )
    return "uploads are parsed in a limited process without network"


def _media(settings: Settings) -> str:
    from service.store.media import open_media_store

    store = open_media_store(settings.media_url, folder=settings.media, work=settings.making)
    store.probe()
    return f"finished files are kept in {store.check()}"


def _disk(settings: Settings) -> str:
    from service.errors import ServiceError

    free = shutil.disk_usage(settings.home).free
    if free < LOW_DISK_BYTES:
        raise ServiceError(f"{free / 2**30:.1f} GiB free in {settings.home}; make room or move ASSAY_HOME")
    return f"{free / 2**30:.0f} GiB free"
