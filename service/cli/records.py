"""`assay records`: what the registry keeps, for whom and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import console

if TYPE_CHECKING:
    from service.wiring import Services
    from watermark import MediaId

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="Media id, 12 hexadecimal digits.")]
Owner = Annotated[str | None, typer.Option("--tenant", help="Only where this tenant owns it.")]


@app.command()
def revoke(media_id: Id, tenant: Owner = None) -> int:
    """Withdraw a record: it is still found, said to be withdrawn, and its manifest is handed out no more."""
    services, value = _services(), _media_id(media_id)
    done = _owned(services, value, tenant) and services.registry.revoke(value)
    return _said(media_id, "revoked", done=done)


@app.command()
def delete(media_id: Id, tenant: Owner = None) -> int:
    """Forget a record for good: manifest, fingerprint and digests. Its id is never used again."""
    services, value = _services(), _media_id(media_id)
    done = _owned(services, value, tenant) and services.registry.delete(value)
    return _said(media_id, "deleted", done=done)


@app.command()
def prune(
    days: Annotated[int, typer.Option("--older-than", help="Days to keep.", min=1)],
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only records of this tenant.")] = None,
    really: Annotated[bool, typer.Option("--yes", help="Delete; without, only count.")] = False,
) -> int:
    """Forget the records that are older than so many days."""
    services = _services()
    before = services.clock() - timedelta(days=days)
    count = services.registry.count_older(before, tenant)
    if really:
        count = services.registry.delete_older(before, tenant)
    word = "deleted" if really else "would be deleted (add --yes)"
    print(f"{count} records from before {before:%Y-%m-%d} {word}")
    return console.FOUND


def _owned(services: Services, media_id: MediaId, tenant: str | None) -> bool:
    return tenant is None or services.registry.owner_of(media_id) == tenant


def _said(media_id: str, word: str, *, done: bool) -> int:
    if done:
        print(f"{media_id}: {word}")
        return console.FOUND
    console.complain(f"there is no record {media_id!r} that could be {word}")
    return console.BAD_INPUT


def _media_id(text: str) -> MediaId:
    from watermark import MediaId, PayloadError

    try:
        return MediaId.parse(text)
    except PayloadError as error:
        raise typer.BadParameter(str(error)) from error


def _services() -> Services:
    from service.wiring import open_services

    return open_services(console.settings())
