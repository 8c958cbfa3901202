"""Puts the parts together from `Settings`: the one place that knows where everything comes from."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from guard import Decision, Guard, GuardError, Policy, SignedConsents
from guard.adapter_facts import AdapterIntake
from guard.clip import ClipIdeas, ClipModel, ClipPictures
from guard.ideas import embedded_ideas
from guard.vault import purge
from service import identity, keys, metrics, policies
from service.errors import ConfigurationError
from service.jobs import JobLimits, JobStore
from service.recording import build_recorder
from service.settings import Settings
from service.store.appeals import AppealStore
from service.store.audit import AuditLog
from service.store.characters import CharacterStore
from service.store.database import Database, open_database
from service.store.decisions import DecisionLog
from service.store.media import MediaStore, open_media_store
from service.store.records import SqlRegistry
from service.store.signals import Signals
from service.store.similar import SimilarMedia
from service.store.tenants import KeyStore, TenantStore
from service.store.webhooks import WebhookStore
from service.store.workers import WorkerStore

log = logging.getLogger(__name__)

PEM_END = b"-----END PUBLIC KEY-----\n"
PRIVATE_FOLDER = 0o700
STALE_SCRATCH = timedelta(hours=1)
"""No upload is looked at for this long: what is older was left by a process that died."""

STALE_REFERENCES = timedelta(days=7)
"""References are removed with their job; these belong to jobs that never started. So are files half made."""


def utc_now() -> datetime:
    """The service's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What API process and worker share: the data folder and the database."""

    settings: Settings
    clock: Callable[[], datetime]
    database: Database
    jobs: JobStore
    media: MediaStore
    registry: SqlRegistry
    similar: SimilarMedia
    decisions: DecisionLog
    appeals: AppealStore
    workers: WorkerStore
    api_keys: KeyStore
    signals: Signals
    characters: CharacterStore
    webhooks: WebhookStore
    tenants: TenantStore
    audit: AuditLog

    def sweep(self) -> None:
        """Remove files whose time is over; the records stay."""
        self.jobs.expire(self.media.remove)
        purge(self.settings.vault, now=self.clock(), keep=timedelta(days=self.settings.vault_days))
        for path in _older(self.settings.scratch, self.clock() - STALE_SCRATCH):
            path.unlink(missing_ok=True)
        for folder in (self.settings.references, self.settings.making):
            for path in _older(folder, self.clock() - STALE_REFERENCES):
                shutil.rmtree(path, ignore_errors=True)


def _older(folder: Path, moment: datetime) -> list[Path]:
    return [path for path in folder.iterdir() if path.stat().st_mtime < moment.timestamp()]


def open_services(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> Services:
    """Create the data folder where needed and connect. Raises `ConfigurationError`."""
    try:
        folders = (
            settings.home,
            settings.media,
            settings.making,
            settings.references,
            settings.characters,
            settings.scratch,
            settings.keys,
        )
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    except OSError as error:
        raise ConfigurationError(f"ASSAY_HOME={settings.home}: cannot be used: {error}") from error
    media = open_media_store(settings.media_url, folder=settings.media, work=settings.making)
    database = open_database(settings.url)
    limits = JobLimits(
        lease=timedelta(seconds=settings.lease_seconds),
        retention=timedelta(hours=settings.retention_hours),
        max_attempts=settings.max_attempts,
        quality_retries=settings.quality_retries,
        max_queued=settings.max_queued_per_tenant,
        max_running=settings.max_running_per_tenant,
        max_priority=settings.max_priority_per_tenant,
        daily_credits=settings.daily_credits_per_tenant or None,
        max_stored_bytes=settings.max_stored_bytes_per_tenant or None,
    )
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        jobs=JobStore(database, limits, clock=clock),
        media=media,
        registry=SqlRegistry(database, clock=clock),
        similar=SimilarMedia(database),
        decisions=DecisionLog(database),
        appeals=AppealStore(database, clock=clock),
        workers=WorkerStore(database, clock=clock),
        api_keys=KeyStore(database, clock=clock),
        signals=Signals(settings.url),
        characters=CharacterStore(database, clock=clock),
        webhooks=WebhookStore(database, clock=clock),
        tenants=TenantStore(database, clock=clock),
        audit=AuditLog(database, clock=clock),
    )


def policy_path(settings: Settings) -> Path:
    """The policy file in use: the configured one or the shipped default."""
    return settings.policy or Path(str(files("policies") / "default.yaml"))


def build_guard(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> Guard:
    """The guard with its policy, face detector and consent check. Raises `ConfigurationError`."""
    return follow_policy(settings, clock=clock).current


def follow_policy(
    settings: Settings, *, clock: Callable[[], datetime] = utc_now, record: bool = False
) -> policies.PolicyFollower:
    """The guard, following its policy's file; with `record`, decisions go to the log and the vault.

    Raises `ConfigurationError`.
    """
    faces, consented = identity.face_detector(settings), consents(settings)
    people, adapters = identity.people(settings, faces), adapter_intake(settings)
    handle_key = keys.prompt_key(settings)
    recorder = build_recorder(settings) if record else None
    ideas, classes = image_text(settings)

    def build(policy: Policy) -> Guard:
        return Guard(
            policy, faces=faces, consents=consented, clock=clock, handle_key=handle_key, record=recorder,
            ideas=ideas, classes=classes, people=people, adapters=adapters,
        )  # fmt: skip

    issuers = public_keys("ASSAY_POLICY_ISSUERS", settings.policy_issuers)
    try:
        return policies.follow(policy_path(settings), issuers, build, settings.policy_poll_seconds)
    except GuardError as error:
        raise ConfigurationError(str(error)) from error


def image_text(settings: Settings) -> tuple[ClipIdeas | None, ClipPictures | None]:
    """What reads ideas and pictures by the configured image-text model. Raises `ConfigurationError`."""
    if settings.image_text_model is None:
        return None, None
    try:
        model = ClipModel(settings.image_text_model)
        return ClipIdeas(model, beside=embedded_ideas()), ClipPictures(model)
    except GuardError as error:
        raise ConfigurationError(f"ASSAY_IMAGE_TEXT_MODEL: {error}") from error


def consents(settings: Settings) -> SignedConsents | None:
    """Checks consent tokens against the configured issuers. Raises `ConfigurationError`."""
    found = public_keys("ASSAY_CONSENT_ISSUERS", settings.consent_issuers)
    revoked = identity.RevokedConsents(settings.revoked_consents)
    return SignedConsents(found, revoked=revoked) if found else None


def adapter_intake(settings: Settings) -> AdapterIntake:
    """Who vouches for which adapters, and what their trials showed. Raises `ConfigurationError`."""
    return identity.adapters(settings, public_keys("ASSAY_ADAPTER_ISSUERS", settings.adapter_issuers))


def public_keys(setting: str, path: Path | None) -> tuple[Ed25519PublicKey, ...]:
    """The Ed25519 keys in a PEM file; none where there is no file. Raises `ConfigurationError`."""
    if path is None:
        return ()
    try:
        blocks = path.read_bytes().split(PEM_END)[:-1]
        issuers = [load_pem_public_key(block + PEM_END) for block in blocks]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{setting}={path}: {error}") from error
    found = tuple(issuer for issuer in issuers if isinstance(issuer, Ed25519PublicKey))
    if not found or len(found) < len(issuers):
        raise ConfigurationError(f"{setting}={path}: holds no, or other than, Ed25519 public keys")
    return found


def log_decision(services: Services, decision: Decision) -> None:
    """Keep what the guard decided."""
    services.decisions.add(decision)
    metrics.DECISIONS.labels(str(decision.stage), str(decision.outcome)).inc()
    log.info("decision %s: %s %s", decision.decision_id, decision.outcome, decision.reason)
