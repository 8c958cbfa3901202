"""Makes what a job asks for: `generator.SafeGenerator` between a lease and its publication.

Importing this module is cheap: torch, diffusers and the models come with the first system that is loaded.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generator import (
    Codec,
    GeneratorError,
    MediaFormat,
    MediaKind,
    ReadReference,
    Reference,
    ReferenceFrames,
    Request,
    SystemSpec,
    system_named,
)
from generator.digests import file_digest
from generator.errors import LoadError
from generator.stages import CancelRequested, Progress
from generator.systems import system_for_pipeline
from guard import Guard, GuardError
from service import keys
from service.errors import ConfigurationError, StorageError
from service.inspection import Inspector, build_inspector, media_limits
from service.jobs import COMPLETED, FAILED, Job, Lease
from service.policies import PolicyFollower
from service.settings import Settings
from service.store.patience import patiently
from service.wiring import Services, follow_policy
from watermark import Detector

if TYPE_CHECKING:
    import torch

    from generator import SafeGenerator, SignedMedia, UnsignedMedia
    from generator.hosted import HostedGenerator

    Generator = SafeGenerator | HostedGenerator  # what makes a job's medium: here, or at a provider

NOTES = ("remixed_from", "edited_from", "extended_from", "seed_drawn")
"""What a job's row says about its request besides the request itself."""

log = logging.getLogger(__name__)


def build_generator(services: Services, folder: Path, guard: Guard | None = None) -> Generator:
    """The system with its guard, mark and signature; without `guard`, one that records what it decides.

    Raises `ConfigurationError`.
    """
    from service.labelling import labelling

    settings = services.settings
    rings = keys.rings(settings)
    given: dict[str, Any] = {
        "ring": rings[0],
        "detector": Detector(rings),
        "signing_key": keys.signing_key(settings),
        "trust": keys.trust(settings),
        "folder": folder,
        "clock": services.clock,
        "randbelow": keys.randbelow(settings),
        "limits": media_limits(settings),
        "labelling": labelling(settings),
        "guard": guard or follow_policy(settings, clock=services.clock, record=True).current,
        "prompt_key": keys.prompt_key(settings),
        "read": reference_reader(build_inspector(settings)),
    }
    spec = system_spec(settings.model)
    try:
        return _hosted(settings, spec, given) if spec.provider else _local(settings, given)
    except LoadError as error:
        raise ConfigurationError(f"ASSAY_MODEL={settings.model}: {error}") from error


def _local(settings: Settings, given: dict[str, Any]) -> SafeGenerator:
    import diffusers
    import transformers

    from generator import SafeGenerator, load_system

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    system = load_system(
        settings.model, device=settings.device, dtype=_dtype(settings), offload=settings.offload
    )
    for path, weight in _adapters(settings):
        try:
            system = system.load_adapter(path, given["guard"], weight=weight)
        except GuardError as error:
            raise ConfigurationError(f"ASSAY_ADAPTERS: {path}: {error}") from error
    return SafeGenerator(system=system, **given)


def _adapters(settings: Settings) -> Iterator[tuple[Path, float]]:
    """The LoRA files of the setting with their weights. Raises `ConfigurationError`."""
    for entry in filter(None, settings.adapters.split(",")):
        path, _, weight = entry.strip().partition("=")
        try:
            yield Path(path).expanduser(), float(weight or 1.0)
        except ValueError as error:
            raise ConfigurationError(f"ASSAY_ADAPTERS: {entry!r} is not FILE or FILE=WEIGHT") from error


def _hosted(settings: Settings, spec: SystemSpec, given: dict[str, Any]) -> HostedGenerator:
    from generator.hosted import Credentials, HostedGenerator, api_for

    credentials = Credentials(settings.hosted_key, settings.hosted_secret)
    api = api_for(spec, credentials, sleep=time.sleep, now=time.time, base=settings.hosted_url)
    return HostedGenerator(
        api=api,
        sleep=time.sleep,
        clock_seconds=time.monotonic,
        max_dollars=settings.hosted_max_dollars or None,
        **given,
    )


def system_spec(name_or_folder: str) -> SystemSpec:
    """The row of the configured model, without loading its weights. Raises `ConfigurationError`."""
    index = Path(name_or_folder) / "model_index.json"
    try:
        if not index.is_file():
            return system_named(name_or_folder)
        spec = system_for_pipeline(str(json.loads(index.read_bytes())["_class_name"]))
    except (GeneratorError, OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"ASSAY_MODEL={name_or_folder}: {error}") from error
    return replace(spec, name=index.parent.name, source=str(index.parent))


def reference_reader(inspector: Inspector) -> ReadReference:
    """Reads references in limited processes. Raises `RefusedError` and `IsolationError`."""

    def read(reference: Reference, most: int) -> ReferenceFrames:
        seen = inspector.pictures(reference.path, str(reference.kind), most)
        digest = file_digest(reference.path).removeprefix("sha256:")
        return ReferenceFrames(reference, seen.mime, digest, seen.frames)

    return read


def _dtype(settings: Settings) -> torch.dtype:
    import torch

    return torch.float32 if settings.device == "cpu" else torch.bfloat16


@dataclass(frozen=True, slots=True)
class Producer:
    """Runs jobs on one loaded system."""

    services: Services
    generator: Generator
    policies: PolicyFollower | None = None

    @classmethod
    def load(cls, services: Services) -> Producer:
        """Load the system; takes as long as its weights are large."""
        policies = follow_policy(services.settings, clock=services.clock, record=True)
        return cls(services, build_generator(services, services.settings.media, policies.current), policies)

    def produce(self, lease: Lease, *, progress: Progress, cancelled: CancelRequested) -> None:
        """Make the medium and publish it under the lease. Raises what the stages raise, and `LeaseLostError`.

        Each attempt has a folder of its own, so that a worker that has lost its lease and does not know
        yet can neither replace nor remove the file of the one that took over.
        """
        job, media = lease.job, self.services.media

        def register(path: Path, asset: SignedMedia | UnsignedMedia) -> None:
            name = media.name(job.id, lease.fence, path)
            media.keep(path, name)
            result = _result(name, path, asset)
            # Until the database has said yes or no: the file goes away when this raises.
            patiently(lambda: self.services.jobs.publish(lease, asset.record, result))

        settings = self.services.settings
        key = keys.signing_key(settings)  # read for each job: a renewed certificate needs no restart
        if alarm := keys.expiry_alarm(key, self.services.clock()):
            log.warning("%s", alarm)
        guard = self.policies.current if self.policies else self.generator.guard
        folder = media.workspace(job.id, lease.fence)
        replace(self.generator, guard=guard, folder=folder, signing_key=key).generate(
            request_of(job), job.medium, register=register, progress=progress, cancelled=cancelled
        )

    def clean(self, lease: Lease) -> None:
        """Remove what attempts other than the published one left behind, and references no longer needed."""
        job = self.services.jobs.find(lease.job.tenant, lease.job.id)
        kept = None if job is None or job.result is None else Path(job.result["file"]).parent.name
        try:
            self.services.media.prune(lease.job.id, kept=kept, until=lease.fence)
        except (OSError, StorageError) as error:  # the job's next attempt, or its end, removes them
            log.warning("job %s: what is left over cannot be removed: %s", lease.job.id, error)
        if job is None or job.status in (COMPLETED, FAILED):
            for given in lease.job.request.get("references", ()):
                shutil.rmtree(Path(given["path"]).parent, ignore_errors=True)


def request_of(job: Job) -> Request:
    """The generator's request that a job's row holds. Raises `RequestError`."""
    asked: dict[str, Any] = dict(job.request)
    references = tuple(
        Reference(
            path=Path(given["path"]),
            kind=MediaKind(given["kind"]),
            title=given["title"],
            consents=tuple(given["consents"]),
        )
        for given in asked.pop("references", ())
    )
    wanted, codec = asked.pop("format", None), asked.pop("codec", None)
    for name in NOTES:
        asked.pop(name, None)
    return Request(
        **asked,
        references=references,
        tenant=job.tenant,
        format=None if wanted is None else MediaFormat(wanted),
        codec=None if codec is None else Codec(codec),
    )


def _result(name: str, path: Path, asset: SignedMedia | UnsignedMedia) -> dict[str, Any]:
    record = asset.record
    return {
        "file": name,
        "mime": asset.marked.mime,
        "bytes": path.stat().st_size,
        "provenance": {
            "media_id": record.media_id.hex,
            "manifest": record.manifest_label,
            "sha256": file_digest(path).removeprefix("sha256:"),
        },
    }
