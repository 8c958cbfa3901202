"""What signs manifests: files or a key store, looked after while the service runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from provenance import ProvenanceError, Severity, SigningKey, explain_certificate, keystores
from provenance.authority import DevAuthority, renew_dev_leaf
from provenance.profile import EXPIRY_ALARM
from service.errors import ConfigurationError
from service.private import write_private
from service.settings import Settings

LAST_CALL = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `assay keys doctor`: what was looked at, whether it is good, and what to do when not."""

    name: str
    good: bool
    text: str


def signing_files(settings: Settings) -> tuple[Path, Path]:
    """Certificate chain and private key in use."""
    authority = DevAuthority(settings.keys)
    return settings.signing_chain or authority.chain, settings.signing_key or authority.key


def signing_key(settings: Settings) -> SigningKey:
    """What signs manifests, read anew: a renewed certificate or key is used without a restart.

    Raises `ConfigurationError`.
    """
    chain, key = signing_files(settings)
    stamps = settings.timestamp_url or None
    try:
        if settings.signing_store:
            held = keystores.open_keystore(settings.signing_store)
            return keystores.signing_key(held, chain.read_bytes(), timestamp_url=stamps)
        missing = next((path for path in (chain, key) if not path.exists()), None)
        if missing is not None:
            raise ConfigurationError(f"{missing} is missing; create the keys with `assay keys init`")
        return SigningKey.from_files(chain, key, timestamp_url=stamps)
    except (OSError, ProvenanceError) as error:
        raise ConfigurationError(str(error)) from error


def signing_store(settings: Settings) -> keystores.KeyStore:
    """Where the private key is kept, for certificate requests. Raises `ConfigurationError`."""
    try:
        if settings.signing_store:
            return keystores.open_keystore(settings.signing_store)
        return keystores.PemKey(signing_files(settings)[1])
    except ProvenanceError as error:
        raise ConfigurationError(f"ASSAY_SIGNING_STORE: {error}") from error


def expiry_alarm(key: SigningKey, now: datetime) -> str:
    """What to say about a certificate that is about to expire, or ""."""
    left = key.not_after - now
    if left > EXPIRY_ALARM:
        return ""
    days = left.days
    when = f"{key.not_after:%Y-%m-%d %H:%M} UTC"
    if days < 0:
        return f"the signing certificate expired on {when}: nothing can be signed; renew it now"
    urgency = "renew it now" if left <= LAST_CALL else "renew it"
    return f"the signing certificate expires on {when}, in {days} days: {urgency} (assay keys renew)"


def examine_chain(chain: Path, key: Path | None, *, now: datetime) -> list[Finding]:
    """What is wrong with a certificate chain, in plain words, and what to do. Raises `ConfigurationError`."""
    try:
        chain_pem = chain.read_bytes()
        key_pem = None if key is None else key.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: cannot be read: {error.strerror}") from error
    found = [
        Finding(f.code, f.severity is not Severity.ERROR, f"{f.message}; {f.remedy}")
        for f in explain_certificate(chain_pem, now, key_pem)
    ]
    return found or [Finding("certificate", True, "it can sign; whether others trust it is up to its issuer")]


def renew_signing(settings: Settings, chain: Path | None, key: Path | None, *, now: datetime) -> str:
    """Put a new chain (and key) in the place of those in use, each in one step; say what was done.

    Raises `ConfigurationError`, with nothing changed, where the new ones could not sign.
    """
    places = signing_files(settings)
    if chain is None:
        if settings.signing_chain is not None or settings.signing_store:
            raise ConfigurationError("this certificate was issued by others: give the new one with --chain")
        try:
            renew_dev_leaf(settings.keys, now=now)
        except ProvenanceError as error:
            raise ConfigurationError(str(error)) from error
        return f"{places[0]}: a new development certificate"
    candidate = replace(settings, signing_chain=chain, signing_key=key or places[1])
    usable = signing_key(candidate)
    try:
        usable.require_usable(now)
        for source, place in ((key, places[1]), (chain, places[0])):
            if source is not None:
                write_private(place, source.read_bytes())
    except (OSError, ProvenanceError) as error:
        raise ConfigurationError(str(error)) from error
    return f"{places[0]}: {usable.subject}, until {usable.not_after:%Y-%m-%d}"


def certificate_findings(settings: Settings, now: datetime) -> list[Finding]:
    """The certificate in plain words, and how long it lasts. A warning is good: it signs today."""
    try:
        chain = signing_files(settings)[0].read_bytes()
        key = signing_key(settings)
    except (OSError, ConfigurationError):
        return []  # said by the check of the signing key
    found = [
        Finding(f"certificate: {f.code}", f.severity is not Severity.ERROR, f"{f.message}; {f.remedy}")
        for f in explain_certificate(chain, now)
    ]
    ends = Finding("certificate", True, f"{key.subject}, until {key.not_after:%Y-%m-%d %H:%M} UTC")
    return [ends, *found]
