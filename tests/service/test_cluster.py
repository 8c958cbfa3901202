"""The engine ray: scaling without Ray, then one real Ray on loopback with the stub for all that needs it."""

from __future__ import annotations

import csv
import importlib.util
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data

from bench.service.chaos import ACTOR_NAME, descendants
from bench.service.stub import load
from service import keys
from service.cli.app import run as assay
from service.cluster.fleet import Fleet
from service.cluster.scaling import Scale
from service.cluster.session import ray_session
from service.errors import ConfigurationError
from service.jobs import COMPLETED
from service.settings import Settings
from service.wiring import Services, open_services
from tests.service.conftest import MODEL, new_job
from tests.service.waiting import until
from watermark import write_image

SECONDS = 300.0  # that actors may take to start, on a busy machine
NEEDS_RAY = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install 'assay[ray]'"
)


def test_the_queue_says_how_many_workers() -> None:
    scale = Scale(least=1, most=4, jobs_per_worker=2)
    assert [scale.wanted(jobs) for jobs in (0, 1, 2, 3, 8, 9, 1000)] == [1, 1, 1, 2, 4, 4, 4]
    assert Scale(least=0, most=2).wanted(0) == 0


def test_without_a_most_the_number_is_fixed() -> None:
    settings = Settings(home=Path("/x"), workers=3)
    assert Scale.of(settings) == Scale(least=3, most=3, jobs_per_worker=1, idle=settings.ray_idle_seconds)


def test_demand_counts_what_may_start(services: Services) -> None:
    for _ in range(3):
        services.jobs.submit(new_job("ada"))
    services.jobs.submit(new_job("bob"))
    services.jobs.submit(new_job("ada", model="other"))
    services.tenants.set_limits("ada", max_running=2)
    assert services.jobs.demand(MODEL).open == 3
    lease = services.jobs.claim("w", MODEL)
    assert lease is not None
    demand = services.jobs.demand(MODEL)
    assert (demand.open, demand.busy) == (3, frozenset({"w"}))


def test_the_leases_of_a_fleet_end_with_it(services: Services) -> None:
    for _ in range(3):
        services.jobs.submit(new_job())
    for worker in ("host:1/1", "host:1/2", "host:10/1"):
        assert services.jobs.claim(worker, MODEL) is not None
    assert services.jobs.release_worker("host:1") == 2


def test_a_missing_ray_is_named(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"assay\[ray\]"), ray_session(services.settings, slots=1):
        pass


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return _services(tmp_path)


def _services(home: Path) -> Services:
    settings = Settings(
        home=home, workers=2, lease_seconds=30, heartbeat_seconds=0.2, poll_seconds=0.1, engine="ray"
    )
    if not settings.keys.exists():
        keys.create_keys(settings.keys, now=datetime.now(UTC))
    return open_services(settings)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ray")


@pytest.fixture(scope="module")
def ray(home: Path) -> Iterator[Any]:
    """One Ray for the tests of this file; its processes read the settings that are set here."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("ASSAY_HOME", str(home)),
            ("ASSAY_LEASE_SECONDS", "30"),
            ("ASSAY_HEARTBEAT_SECONDS", "0.2"),
            ("ASSAY_POLL_SECONDS", "0.1"),
        ):
            patch.setenv(name, value)
        with ray_session(Settings(home=home), slots=2) as started:
            yield started


def kill_an_actor() -> None:
    actors = [pid for pid, command in descendants(os.getpid()) if command.startswith(ACTOR_NAME)]
    if actors:
        os.kill(actors[0], signal.SIGKILL)


@pytest.mark.slow
@NEEDS_RAY
def test_a_killed_actor_loses_no_job(ray: Any, home: Path) -> None:
    """Its job is started again at once, not when the lease of 30 s runs out."""
    services = _services(home)
    fleet = Fleet(ray, services, Scale.of(services.settings), name="fleet", load=load)
    keeper = threading.Thread(target=fleet.run)
    keeper.start()
    try:
        until(lambda: len(services.workers.alive(timedelta(seconds=30))) == 2, SECONDS)
        ids = [services.jobs.submit(new_job(digest=str(index)))[0].id for index in range(12)]
        until(lambda: len(services.jobs.demand(MODEL).busy) == 2, SECONDS)
        kill_an_actor()
        killed = time.monotonic()
        until(lambda: services.jobs.counts()[COMPLETED] == len(ids), SECONDS)
        assert time.monotonic() - killed < 25
        done = [services.jobs.get("ada", job_id) for job_id in ids]
        assert all(job.attempts <= 2 for job in done)
        assert {job.worker.split("/")[0] for job in done if job.worker} == {"fleet"}
        until(lambda: len(services.workers.alive(timedelta(seconds=2))) == 2, SECONDS)  # another one came
    finally:
        fleet.stop()
        keeper.join()
    assert services.workers.alive(timedelta(seconds=30)) == []


@pytest.mark.slow
@NEEDS_RAY
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.*")  # Ray's settings set themselves
def test_bulk_verification_gives_the_rows_of_the_local_engine(
    ray: Any, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _services(home)
    for index, photograph in enumerate((skimage.data.coffee(), skimage.data.chelsea())):
        write_image(tmp_path / f"{index}.png", np.ascontiguousarray(photograph[:64, :96]))
    (tmp_path / "2.png").write_bytes(b"no picture")
    names = [str(tmp_path / name) for name in ("2.png", "1.png", "none.png", "0.png")]
    tables = []
    for engine in ("local", "ray"):
        assert assay(["verify", *names, "--format", "csv", "--engine", engine, "--workers", "2"]) == 2
        tables.append(list(csv.DictReader(io.StringIO(capsys.readouterr().out))))
    assert tables[0] == tables[1]
    assert [row["file"] for row in tables[1]] == names
    assert [row["error"] for row in tables[1]] == ["not_media", "", "not_found", ""]
