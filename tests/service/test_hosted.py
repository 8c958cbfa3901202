"""Hosted systems behind the service: chosen by `ASSAY_MODEL`, made through the provider, refused as told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from generator.hosted import HostedGenerator
from service.errors import ConfigurationError
from service.jobs import COMPLETED, FAILED, Job
from service.keys import create_keys
from service.production import Producer, build_generator, system_spec
from service.settings import Settings
from service.wiring import Services, open_services
from service.worker import Worker
from tests.generator.hosted.provider import Provider, running
from tests.generator.hosted.shapes import SORA, play
from tests.service.conftest import new_job
from watermark import write_video

REQUEST = {"prompt": "a boat", "width": 1280, "height": 720, "frames": 96, "fps": 24.0}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running() as at:
        yield at


@pytest.fixture
def services(tmp_path: Path, provider: Provider) -> Services:
    settings = Settings(
        home=tmp_path / "home",
        model="sora-2",
        hosted_key="the-key",
        hosted_url=provider.address,
        heartbeat_seconds=0.2,
        lease_seconds=60,
    )
    create_keys(settings.keys, now=datetime.now(UTC))
    return open_services(settings)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_video(
        path, [np.ascontiguousarray(data.coffee()[60:316, 3 * i : 3 * i + 256]) for i in range(8)], fps=8
    )
    return path.read_bytes()


def work(services: Services) -> Job:
    job, _ = services.jobs.submit(new_job(model="sora-2", request=REQUEST))
    lease = services.jobs.claim("w", "sora-2")
    assert lease is not None
    Worker(services, Producer.load(services), "w").work(lease)
    found = services.jobs.find(job.tenant, job.id)
    assert found is not None
    return found


def test_a_job_is_made_by_the_provider_and_published(
    services: Services, provider: Provider, film: bytes
) -> None:
    play(provider, SORA, film)
    provider.answers[SORA.poll] = provider.answers[SORA.poll][1:]  # done at once: the poll would wait
    job = work(services)
    assert (job.status, job.error_message) == (COMPLETED, None)
    assert job.result is not None
    assert (services.settings.media / job.result["file"]).is_file()
    record = services.registry.by_media_id(job.medium)
    assert record is not None
    assert record.model is not None
    assert record.model.name == "sora-2"


def test_a_refusal_of_the_provider_fails_the_job_with_its_reason(
    services: Services, provider: Provider
) -> None:
    provider.on(SORA.submit, SORA.refused)
    job = work(services)
    assert (job.status, job.error_code) == (FAILED, "provider_refused")


def test_without_a_key_the_service_does_not_start(services: Services, tmp_path: Path) -> None:
    settings = Settings(home=services.settings.home, model="sora-2")
    with pytest.raises(ConfigurationError, match="key of its provider is missing"):
        build_generator(open_services(settings), tmp_path)


def test_every_hosted_system_can_be_chosen(services: Services, tmp_path: Path) -> None:
    assert system_spec("veo-3.1").provider == "veo"
    made = build_generator(services, tmp_path)
    assert isinstance(made, HostedGenerator)
    assert "the-key" not in repr(services.settings)
