"""`assay keys`: the keys folder, and API keys of tenants."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from service.cli import console
from service.errors import ConfigurationError

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
def examine(
    chain: Annotated[
        Path | None, typer.Argument(help="Certificate chain, PEM; left out: the keys in use.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON line per check.")] = False,
) -> int:
    """Say in plain words whether keys and certificates are usable, and what to do when not."""
    from service.cli.doctor import show
    from service.keys import examine_chain, examine_keys
    from service.wiring import utc_now

    if chain is not None:
        return show(examine_chain(chain, key, now=utc_now()), as_json=json)
    return show(list(examine_keys(console.settings(), now=utc_now())), as_json=json)


@app.command()
def csr(
    organisation: Annotated[str, typer.Option(help="O= of the subject.")],
    name: Annotated[str, typer.Option(help="CN= of the subject.")],
    country: Annotated[str | None, typer.Option(help="C= of the subject, two letters.")] = None,
) -> int:
    """Print a certificate request for the signing key, to be sent to an authority."""
    from provenance import KeyMaterialError
    from provenance.keystores import certificate_request
    from service.keys import signing_store

    try:
        request = certificate_request(
            signing_store(console.settings()), organisation=organisation, common_name=name, country=country
        )
    except (KeyMaterialError, ValueError) as error:
        raise ConfigurationError(str(error)) from error
    print(request.decode(), end="")
    return console.FOUND


@app.command()
def renew(
    chain: Annotated[
        Path | None, typer.Option(help="The new chain, PEM; left out: the development authority issues one.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, PEM, where it changed.")] = None,
) -> int:
    """Replace the signing certificate. Running workers use the new one from the next job on."""
    from service.keys import renew_signing
    from service.wiring import utc_now

    print(renew_signing(console.settings(), chain, key, now=utc_now()))
    return console.FOUND


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
