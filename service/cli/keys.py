"""`assay keys`: the keys folder, and API keys of tenants."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from service.cli import console

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def init() -> None:
    """Create the master key and a development signing authority, readable by you alone."""
    from service.keys import create_keys
    from service.wiring import utc_now

    settings = console.settings()
    path = create_keys(settings.keys, now=utc_now())
    print(f"Created {path} and a development signing authority beside it.")
    print("Back the folder up: without the master key no mark made with it can be detected again.")


@app.command("doctor")
def examine(json: Annotated[bool, typer.Option("--json", help="One JSON line per check.")] = False) -> int:
    """Say whether every key is there, readable and usable."""
    from service.cli.doctor import show
    from service.keys import examine_keys

    return show(list(examine_keys(console.settings())), as_json=json)


@app.command()
def issue(
    tenant: Annotated[str, typer.Argument(help="Who the key belongs to.")],
    scope: Annotated[list[str] | None, typer.Option(help="generate, verify, admin; may be repeated.")] = None,
    days: Annotated[int | None, typer.Option(help="Days until it expires.", min=1)] = None,
) -> None:
    """Create an API key and print it, once."""
    from service.wiring import open_services

    services = open_services(console.settings())
    try:
        key, secret = services.api_keys.issue(
            tenant, scope or ("generate", "verify"), lifetime=None if days is None else timedelta(days=days)
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    console.emit({"id": key.id, "tenant": key.tenant, "scopes": list(key.scopes), "key": secret})


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The id that `issue` printed.")]) -> int:
    """Refuse an API key from now on."""
    from service.wiring import open_services

    if open_services(console.settings()).api_keys.revoke(key_id):
        return console.FOUND
    console.complain(f"there is no live API key {key_id!r}")
    return console.BAD_INPUT
