"""`assay consents`: tokens by which people agree to be shown, and their withdrawal."""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from service.cli import console
from service.errors import ConfigurationError, ServiceError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def issue(
    subject: Annotated[str, typer.Argument(help="Who agrees: a pseudonym, as in the gallery.")],
    key: Annotated[Path, typer.Option("--key", help="The issuer's Ed25519 private key (PEM).")],
    file: Annotated[
        Path | None, typer.Option(help="For this very file, a picture or an adapter, byte for byte.")
    ] = None,
    copies_of: Annotated[
        Path | None, typer.Option(help="For this picture and copies of it: scaled, saved again.")
    ] = None,
    face: Annotated[bool, typer.Option("--face", help="For any picture of the enrolled person.")] = False,
    tenant: Annotated[str, typer.Option(help="Who may use it.")] = "default",
    purpose: Annotated[list[str] | None, typer.Option(help="What for; may be repeated.")] = None,
    days: Annotated[int, typer.Option(help="For how long.", min=1)] = 30,
) -> int:
    """Print a consent token. The person agreed; this writes it down, bound to a file, a picture or a face."""
    from guard import Consent, issue_consent
    from guard.consent import Binding
    from service.cli.keyfiles import private_key
    from service.wiring import utc_now

    if sum((file is not None, copies_of is not None, face)) != 1:
        raise ConfigurationError("say what the consent is for: --file FILE, --copies-of PICTURE or --face")
    now = utc_now()
    binding = Binding.PICTURE if file else Binding.COPIES if copies_of else Binding.FACE
    consent = Consent(
        id=f"c_{secrets.token_hex(8)}",
        subject=subject,
        picture_sha256=_sha256(file) if file else "",
        tenant=tenant,
        purposes=tuple(purpose or ("generate",)),
        not_before=now,
        not_after=now + timedelta(days=days),
        binding=binding,
        picture_pdq=_pdq(copies_of) if copies_of else "",
    )
    token = issue_consent(consent, private_key(key))
    console.emit(
        {"id": consent.id, "bound_to": binding.value, "until": consent.not_after.isoformat(), "token": token}
    )
    return console.FOUND


@app.command()
def revoke(consent_id: Annotated[str, typer.Argument(help="The id that `issue` printed.")]) -> int:
    """Withdraw a consent; it does not count from the next request on."""
    from service.identity import RevokedConsents

    if not consent_id or not consent_id.isprintable():
        raise ConfigurationError("give the id that `issue` printed")
    RevokedConsents(console.settings().revoked_consents).add(consent_id)
    print(f"{consent_id}: withdrawn")
    return console.FOUND


def _sha256(path: Path) -> str:
    import hashlib

    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ServiceError(f"{path} cannot be read: {error.strerror}") from error


def _pdq(path: Path) -> str:
    from guard import GuardError, Picture
    from guard.hashes import hash_of

    try:
        found = hash_of(Picture.from_file("consent", path).pixels)
    except GuardError as error:
        raise ServiceError(f"{path}: {error}") from error
    if found is None:
        raise ServiceError(f"{path} is too flat for a hash; use --file")
    return found
