"""`assay reproduce` on a job that this installation made."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.cli.app import run
from service.keys import create_keys
from service.production import Producer
from service.settings import Settings
from service.wiring import open_services
from service.worker import Worker
from tests.service.conftest import MODEL, new_job


@pytest.mark.slow
def test_a_finished_job_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    settings = Settings(home=tmp_path)
    create_keys(settings.keys, now=datetime.now(UTC))
    services = open_services(settings)
    request = {"prompt": "a red balloon", "frames": 5, "fps": 12.0, "steps": 2, "seed": 1}
    job, _ = services.jobs.submit(new_job(request=request))
    lease = services.jobs.claim("w", MODEL)
    assert lease is not None
    Worker(services, Producer.load(services), "w").work(lease)
    capsys.readouterr()
    assert run(["reproduce", job.medium.hex, "--json"]) == 0
    row = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert row["differs"] == []
    assert row["match"] in ("bytes", "pictures")  # an encoder may cut the same frames differently
    assert row["match"] == "bytes" or row["psnr"] > 45


def test_what_no_job_made_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    create_keys(Settings(home=tmp_path).keys, now=datetime.now(UTC))
    assert run(["reproduce", "0123456789ab"]) == 2
    assert "no finished job" in capsys.readouterr().err
