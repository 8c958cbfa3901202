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

RATE = 1e-5
"""Wrong people per upload that rules ask for where they say nothing."""
LOW_DISK_BYTES = 2 * 2**30


def doctor(json: Annotated[bool, typer.Option("--json", help="One JSON line per check.")] = False) -> int:
    """Say which stages are live, what is missing and what to do. Exit 0 when nothing is missing."""
    from service.keys import Finding, examine_keys

    settings = console.settings()
    checks: dict[str, Callable[[Settings], str]] = {
        "data folder": _home,
        "database": _database,
        "guard": _guard,
        "faces": _faces,
        "adapters": _adapters,
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
    live = [f"{check} by {model}" for check, model in guard.live_backends().items()]
    described = ", ".join([f"policy {guard.policy.label}", f"{len(guard.policy.rules)} rules", *live])
    missing = guard.missing_backends()
    if missing:
        raise ServiceError(
            f"{described}; cannot check {', '.join(missing)}: those rules do what their `on_error` says"
        )
    return described


def _faces(settings: Settings) -> str:
    """Which models look at faces, and how sure they can be of the people in the gallery."""
    from guard import GuardError
    from service import identity
    from service.errors import ServiceError

    detector = identity.face_detector(settings)
    matcher = identity.people(settings, detector)
    if matcher is None:
        embedder = identity.face_reader(settings, detector)
        who = f"{embedder.model_id}, nobody is enrolled" if embedder else "no ASSAY_FACE_EMBEDDER"
        return f"found by {detector.model_id}; protected people: none ({who})"
    people, rate = len(matcher.gallery.people), RATE
    try:
        matcher.calibration.threshold(rate, comparisons=len(matcher.gallery))
    except GuardError as error:
        raise ServiceError(f"{matcher.model_id}, {people} protected people: {error}") from error
    return (
        f"{matcher.model_id}, {people} protected people, 1 wrong person in {1 / rate:,.0f} uploads supported"
    )


def _adapters(settings: Settings) -> str:
    """Who vouches for how many adapters, and how many were tried."""
    from service.wiring import adapter_intake

    intake = adapter_intake(settings)
    named = sum(len(manifest.adapters) for manifest in intake.manifests)
    tried = len(list((settings.adapter_folder / "trials").glob("*.json")))
    return f"{named} vouched for in {len(intake.manifests)} manifests, {tried} trials"


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
