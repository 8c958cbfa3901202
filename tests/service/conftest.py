"""A database of each kind, a clock that is moved by hand, a real server process."""

import secrets
import shutil
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from openai import OpenAI
from openai.types import Video
from playwright.sync_api import Browser

from bench.service.postgres import fresh_schema, postgres_binaries, postgres_server
from service.jobs import JobLimits, JobStore, NewJob
from service.store.database import Database, open_database
from tests.service.browser import browsing
from tests.service.server import Server, running

NOW = datetime(2026, 11, 21, 12, 0, 0, 250, tzinfo=UTC)
LEASE = timedelta(seconds=30)
PROMPT = "a red balloon over a blue sea at dusk"
MODEL = "assay-tiny"


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, step: timedelta) -> None:
        self.now += step


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One service for every test that does not need one of its own."""
    changes = {"ASSAY_UPLOAD_MAX_BYTES": str(64 * 2**20), "ASSAY_INSPECT_SECONDS": "20"}
    with running(tmp_path_factory.mktemp("server") / "home", changes) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium, ended with the tests that used it: no page of theirs costs others their time. Skips
    where there is none."""
    with browsing() as opened:
        yield opened


@pytest.fixture(scope="session")
def client(server: Server) -> OpenAI:
    return server.openai()


@pytest.fixture(scope="session")
def video(client: OpenAI) -> Video:
    """One finished clip, shared by the tests that only look at it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made = client.videos.create_and_poll(prompt=PROMPT, poll_interval_ms=200, extra_body={"seed": 7})
    assert made.status == "completed", made.error
    return made


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of our own on loopback, in a folder that goes away."""
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server on this machine (Debian: apt install postgresql)")
    with postgres_server(binaries, durable=False) as url:
        yield url


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the newest schema: to copy it takes a tenth of the time of making one."""
    path = tmp_path_factory.mktemp("database") / "migrated.db"
    open_database(f"sqlite:///{path}").close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return fresh_schema(request.getfixturevalue("postgres_url"))
    copy = shutil.copy(request.getfixturevalue("migrated"), tmp_path / "test.db")
    return f"sqlite:///{copy}"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def jobs(database: Database, clock: Clock) -> JobStore:
    return JobStore(database, JobLimits(lease=LEASE, max_priority=9), clock=clock)


def new_job(tenant: str = "ada", **changes: object) -> NewJob:
    values: dict[str, object] = {
        "tenant": tenant,
        "kind": "video",
        "model": MODEL,
        "request": {"prompt": "a red balloon", "width": 480, "height": 480, "frames": 9, "fps": 12.0},
        "digest": secrets.token_hex(32),
    }
    return NewJob(**(values | changes))  # type: ignore[arg-type]
