"""`assay admin`: tenants and their limits, keys, jobs, dead letters, the audit log."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import console

if TYPE_CHECKING:
    from service.wiring import Services

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

TenantName = Annotated[str, typer.Argument(help="Name of the tenant.")]
JobId = Annotated[str, typer.Argument(help="Id of the job.")]
OVERLAP_HOURS = 24.0


@app.command()
def tenants() -> None:
    """One line per tenant: limits, the credits that are left today, what its files take up."""
    services = _services()
    for one in services.tenants.all():
        left = services.jobs.credits_left(one.name, services.clock())
        kept = services.jobs.stored_bytes(one.name)
        console.emit({**asdict(one), "credits_left": left, "stored_bytes": kept})


@app.command("limit")
def set_limits(
    tenant: TenantName,
    weight: Annotated[float | None, typer.Option(help="Share against others; 1 is usual.")] = None,
    max_queued: Annotated[int | None, typer.Option(help="Jobs that may wait.")] = None,
    max_running: Annotated[int | None, typer.Option(help="Jobs that may run at once.")] = None,
    max_priority: Annotated[int | None, typer.Option(help="Highest priority it may ask for.")] = None,
    daily_credits: Annotated[int | None, typer.Option(help="Seconds of video a day (UTC).")] = None,
    retention_hours: Annotated[float | None, typer.Option(help="How long finished files are kept.")] = None,
    max_stored_bytes: Annotated[int | None, typer.Option(help="What they may take up.")] = None,
) -> None:
    """Set limits of a tenant; those not given stay as they are."""
    asked = {
        "weight": weight,
        "max_queued": max_queued,
        "max_running": max_running,
        "max_priority": max_priority,
        "daily_credits": daily_credits,
        "retention_hours": retention_hours,
        "max_stored_bytes": max_stored_bytes,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    services = _services()
    try:
        changed = services.tenants.set_limits(tenant, **given)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    services.audit.add(_actor(), "tenant.limit", tenant=tenant, target=tenant, detail=given)
    console.emit(asdict(changed))


@app.command("keys")
def api_keys(tenant: Annotated[str | None, typer.Option(help="Of this tenant alone.")] = None) -> None:
    """One line per API key, without its secret."""
    for key in _services().api_keys.keys(tenant):
        console.emit(_plain(asdict(key)))


@app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(help="Id of the key to be replaced.")],
    overlap_hours: Annotated[
        float, typer.Option(help="How long the old key is still taken.", min=0)
    ] = OVERLAP_HOURS,
) -> int:
    """Issue a key in place of another one and print it, once; the old one ends after the overlap."""
    services = _services()
    rotated = services.api_keys.rotate(key_id, overlap=timedelta(hours=overlap_hours))
    if rotated is None:
        console.complain(f"there is no live API key {key_id!r}")
        return console.BAD_INPUT
    key, secret = rotated
    services.audit.add(_actor(), "key.rotate", tenant=key.tenant, target=key_id, detail={"new": key.id})
    console.emit({"id": key.id, "tenant": key.tenant, "scopes": list(key.scopes), "key": secret})
    return console.FOUND


@app.command()
def cancel(tenant: TenantName, job_id: JobId) -> None:
    """Stop a job of a tenant; it costs nothing."""
    services = _services()
    job = services.jobs.cancel(tenant, job_id)
    services.audit.add(_actor(), "job.cancel", tenant=tenant, target=job_id)
    console.emit({"id": job.id, "status": job.status, "error": job.error_code})


@app.command()
def dead() -> None:
    """One line per dead letter: a job that failed for want of a working service."""
    for job in _services().jobs.dead():
        ended = None if job.completed_at is None else job.completed_at.isoformat()
        console.emit(
            {
                "id": job.id,
                "tenant": job.tenant,
                "error": job.error_code,
                "message": job.error_message,
                "at": ended,
            }
        )


@app.command()
def revive(job_id: JobId) -> int:
    """Queue a dead letter again; it costs its tenant nothing."""
    services = _services()
    if not services.jobs.revive(job_id):
        console.complain(f"there is no dead letter {job_id!r}")
        return console.BAD_INPUT
    services.audit.add(_actor(), "job.revive", target=job_id)
    return console.FOUND


@app.command()
def audit(limit: Annotated[int, typer.Option(help="How many.", min=1)] = 100) -> None:
    """What was done, newest first."""
    for entry in _services().audit.newest(limit):
        console.emit(_plain(asdict(entry)))


def _services() -> Services:
    from service.wiring import open_services

    return open_services(console.settings())


def _actor() -> str:
    return f"cli:{getpass.getuser()}"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}
