"""Does `kill -9` lose a job, make an output twice, or charge twice?

Clients with the `openai` SDK submit jobs, half of them with an Idempotency-Key and half relying on the
service to recognise the SDK's own retries, while workers, API processes and database connections are
killed at random. At the end the books are read: each job completed once, one record, one file, one
settled charge, one event.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psycopg
from openai import OpenAI
from sqlalchemy import func, select

from bench.service.postgres import free_port
from service.keys import create_keys
from service.settings import Settings
from service.store.database import open_database
from service.store.tables import charges, jobs, records, webhook_deliveries

KINDS = ("worker", "api", "database")
RAY_KINDS = (*KINDS, "head")
ACTOR_NAME, HEAD_NAME = b"ray::WorkerActor", b"gcs_server"
CLIENTS = 4
WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE jobs SET progress = 55 WHERE status = 'in_progress'")
print("holding", flush=True)
time.sleep(60)
"""
"""A process that dies with a transaction open: what a killed connection is to SQLite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run. `embedded`: the real generator instead of the stub; `ray`: workers as Ray actors."""

    home: Path
    database_url: str
    jobs: int
    kills: int
    seed: int
    embedded: bool
    workers: int = 2
    ray: bool = False


@dataclass(slots=True)
class Outcome:
    """The books after a run; `faults` is empty when they balance."""

    database: str
    generator: str
    engine: str
    jobs: int
    kills: dict[str, int]
    seconds: float
    submitted: int = 0
    rows: int = 0
    completed: int = 0
    failed: int = 0
    records: int = 0
    files: int = 0
    settled: int = 0
    credits: int = 0
    events: int = 0
    restarted: int = 0
    retried_after_s: list[float] = field(default_factory=list)
    """From each killed worker that had a job to that job's next start."""
    faults: list[str] = field(default_factory=list)


class Receiver:
    """Counts webhook events by id."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["content-length"])))
                seen[f"{event['type']} {event['data']['id']}"] += 1
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()


class Deployment:
    """The service under a supervisor that starts it again at once, as systemd or Kubernetes would."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.starts = 0
        self.log = (plan.home / "serve.log").open("ab")
        self.process = self._start()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def workers(self) -> list[int]:
        """Process ids of the live workers."""
        mine = descendants(self.process.pid)
        return [pid for pid, command in mine if command.startswith(ACTOR_NAME) or _is_worker(command)]

    def heads(self) -> list[int]:
        """Process id of Ray's head, where there is one."""
        return [pid for pid, command in descendants(self.process.pid) if HEAD_NAME in command.split(b"\0")[0]]

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=20).is_success
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        self._stopping.set()
        self.process.terminate()
        self._thread.join(60)
        self.log.close()

    def _keep(self) -> None:
        while True:
            self.process.wait()
            if self._stopping.is_set():
                return
            self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        plan = self.plan
        own = {
            "ASSAY_HOME": str(plan.home),
            "ASSAY_PORT": str(self.port),
            "ASSAY_DATABASE_URL": plan.database_url,
            "ASSAY_WORKERS": str(plan.workers),
            "ASSAY_ENGINE": "ray" if plan.ray else "local",
            "ASSAY_LEASE_SECONDS": "6",
            "ASSAY_HEARTBEAT_SECONDS": "0.5",
            "ASSAY_POLL_SECONDS": "0.2",
            "ASSAY_MAX_ATTEMPTS": "50",
            "ASSAY_MAX_RUNNING_PER_TENANT": "8",
            "ASSAY_DAILY_CREDITS_PER_TENANT": "100000",
            "ASSAY_WEBHOOK_PRIVATE": "true",
            "ASSAY_SECONDS": "0.75",
            "ASSAY_STEPS": "2",
            "OMP_NUM_THREADS": "1",
        }
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
        module = ["service.cli", "serve"] if plan.embedded else ["bench.service.stub", "serve"]
        environ = {**clean, **own}
        return subprocess.Popen(
            [sys.executable, "-m", *module], env=environ, stdout=self.log, stderr=self.log
        )


def run(plan: Plan) -> Outcome:
    """Run the plan and read the books."""
    create_keys(plan.home / "keys", now=datetime.now(UTC))
    started, receiver = time.monotonic(), Receiver()
    chance = random.Random(plan.seed)
    with _deployed(plan) as deployment:
        _wait(deployment.ready, "the service did not start", 900)
        _subscribe(deployment, receiver)
        ids: dict[int, str] = {}
        clients = [
            threading.Thread(target=_submit, args=(deployment.url, part, plan, ids), daemon=True)
            for part in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        killed, retries = _kill(plan, deployment, chance)
        for client in clients:
            client.join()
        _wait(lambda: _open_jobs(plan) == 0, "jobs did not end", 1800, lambda: _progress(plan, killed))
        _wait(lambda: _pending_events(plan) == 0, "events were not delivered", 300)
        starts = deployment.starts
    outcome = Outcome(
        database="postgresql" if plan.database_url.startswith("postgresql") else "sqlite",
        generator="assay-tiny" if plan.embedded else "stub",
        engine="ray" if plan.ray else "local",
        jobs=plan.jobs,
        kills=dict(killed),
        seconds=round(time.monotonic() - started, 1),
        submitted=len(set(ids.values())),
        events=len(receiver.seen),
        restarted=starts - 1,
        retried_after_s=[round(seconds, 2) for seconds in sorted(retries)],
    )
    return _audit(plan, outcome)


@contextmanager
def _deployed(plan: Plan) -> Iterator[Deployment]:
    deployment = Deployment(plan)
    try:
        yield deployment
    finally:
        deployment.stop()


def _subscribe(deployment: Deployment, receiver: Receiver) -> None:
    asked = {"name": "chaos", "url": receiver.url, "event_types": ["video.completed", "video.failed"]}
    httpx.post(f"{deployment.url}/v1/webhook_endpoints", json=asked, timeout=30).raise_for_status()


def _submit(url: str, part: int, plan: Plan, ids: dict[int, str]) -> None:
    """Jobs of one client, one after the other; the SDK retries by itself."""
    warnings.simplefilter("ignore", DeprecationWarning)
    client = OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=1000, timeout=10)
    for index in range(part, plan.jobs, CLIENTS):
        keyed = {"Idempotency-Key": f"chaos-{index}"} if index % 2 else {}
        prompt = f"a red balloon over a blue sea, number {index}"
        ids[index] = client.videos.create(prompt=prompt, extra_headers=keyed).id


def _kill(plan: Plan, deployment: Deployment, chance: random.Random) -> tuple[Counter[str], list[float]]:
    """Kill something at random moments, spread over the run, while there is work.

    What was killed, and the seconds until the jobs of killed workers were started again.
    """
    killed: Counter[str] = Counter()
    retries: list[float] = []
    kinds = RAY_KINDS if plan.ray else KINDS
    order = [kinds[index % len(kinds)] for index in range(plan.kills)]
    chance.shuffle(order)
    for index, kind in enumerate(order):
        share = (index + 1) / (plan.kills + 1)
        _wait(
            lambda share=share: _finished(plan) >= share * plan.jobs * 0.9,
            "no progress",
            900,
            lambda: _progress(plan, killed),
        )
        time.sleep(chance.uniform(0, 0.5))
        before, moment = _attempts(plan), time.monotonic()
        while not _kill_one(plan, deployment, kind, chance):
            time.sleep(0.1)
        if kind == "worker":
            retries += _retried(plan, before, moment)
        killed[kind] += 1
        _progress(plan, killed)
    return killed, retries


def _retried(plan: Plan, before: dict[str, tuple[str, int]], moment: float) -> list[float]:
    """Seconds until the job of a worker that was just killed was started again; none where it had none."""
    running = {job: attempts for job, (status, attempts) in before.items() if status == "in_progress"}
    while time.monotonic() < moment + 60:
        now = _attempts(plan)
        if any(now.get(job, ("", 0))[1] > attempts for job, attempts in running.items()):
            return [time.monotonic() - moment]
        if all(now.get(job, ("", 0))[0] == "completed" for job in running):
            return []
        time.sleep(0.05)
    return [time.monotonic() - moment]


def _kill_one(plan: Plan, deployment: Deployment, kind: str, chance: random.Random) -> bool:
    if kind == "api":
        os.kill(deployment.process.pid, signal.SIGKILL)
        return True
    if kind in ("worker", "head"):
        victims = deployment.workers() if kind == "worker" else deployment.heads()
        if not victims:
            return False
        os.kill(chance.choice(victims), signal.SIGKILL)
        return True
    if plan.database_url.startswith("postgresql"):
        return _terminate_backends(plan.database_url)
    return _die_in_a_transaction(plan.home / "assay.db")


def _terminate_backends(url: str) -> bool:
    """End every connection of the service. True when there was one."""
    query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(f"{query} AND backend_type = 'client backend'").fetchone()
    return row is not None and int(row[0]) > 0


def _die_in_a_transaction(path: Path) -> bool:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        if writer.stdout is not None:
            writer.stdout.readline()
        time.sleep(0.3)
        writer.kill()
    return True


def _attempts(plan: Plan) -> dict[str, tuple[str, int]]:
    """State and starts of every job; empty while the database is away."""
    query = "SELECT id, status, attempts FROM jobs"
    try:
        if plan.database_url.startswith("postgresql"):
            with psycopg.connect(plan.database_url) as connection:
                rows = connection.execute(query).fetchall()
        else:
            with sqlite3.connect(f"file:{plan.home}/assay.db?mode=ro", uri=True, timeout=10) as lite:
                rows = lite.execute(query).fetchall()
            lite.close()
    except (psycopg.Error, sqlite3.Error):
        return {}
    return {str(job): (str(status), int(attempts)) for job, status, attempts in rows}


def _finished(plan: Plan) -> int:
    found = _attempts(plan)
    return sum(status in ("completed", "failed") for status, _ in found.values()) if found else -1


def _open_jobs(plan: Plan) -> int:
    return plan.jobs - _finished(plan)


def _pending_events(plan: Plan) -> int:
    database = open_database(plan.database_url)
    with database.reading() as connection:
        query = select(func.count()).where(webhook_deliveries.c.next_at.is_not(None))
        waiting = connection.scalar(query)
    database.close()
    return int(waiting or 0)


def _progress(plan: Plan, killed: Counter[str]) -> None:
    """One line for each job or kill more."""
    done = _finished(plan)
    text = f"{done} of {plan.jobs} jobs ended, {sum(killed.values())} of {plan.kills} kills"
    if done >= 0 and text != _said[-1]:
        _said.append(text)
        print(text, file=sys.stderr, flush=True)


_said = [""]


def _audit(plan: Plan, outcome: Outcome) -> Outcome:
    """Read the database and the media folder; note every way in which they disagree."""
    database = open_database(plan.database_url)
    with database.reading() as connection:
        rows = connection.execute(select(jobs)).all()
        registered = set(connection.scalars(select(records.c.media_id)))
        paid = connection.execute(select(charges)).all()
    database.close()
    done = [row for row in rows if row.status == "completed"]
    outcome.rows, outcome.completed = len(rows), len(done)
    outcome.failed = sum(row.status == "failed" for row in rows)
    outcome.records = len(registered)
    media = Settings(home=plan.home).media
    files = {row.id: list((media / row.id).rglob("*.mp4")) for row in rows}
    outcome.files = sum(map(len, files.values()))
    settled = [row for row in paid if row.state == "settled"]
    outcome.settled, outcome.credits = len(settled), sum(row.credits for row in settled)
    checks = {
        "a job was lost": outcome.completed == plan.jobs == outcome.submitted,
        "a request made two jobs": outcome.rows == plan.jobs,
        "a job has no or two records": {row.media_id for row in done} == registered,
        "a completed job's file is missing": all((media / row.result["file"]).is_file() for row in done),
        "an output exists twice": all(len(found) == 1 for found in files.values()),
        "a charge is missing or double": Counter(row.job_id for row in settled)
        == Counter(row.id for row in done),
        "credits do not add up": outcome.credits == sum(row.credits for row in done),
        "credits are still held": all(row.state != "held" for row in paid),
        "an event is missing or double": outcome.events == plan.jobs,
    }
    outcome.faults = [fault for fault, holds in checks.items() if not holds]
    return outcome


def _wait(done: object, complaint: str, seconds: float = 300, between: object = None) -> None:
    """Poll until `done()`; `between()` is called while waiting."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if callable(done) and done():
            return
        if callable(between):
            between()
        time.sleep(0.25)
    raise RuntimeError(f"{complaint} within {seconds:g} s")


def descendants(root: int) -> list[tuple[int, bytes]]:
    """Process id and command line of everything that `root` started, and what those started."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rsplit(")", 1)[1].split()
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, waiting = [], [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        waiting += below
        found += [(pid, _command(pid)) for pid in below]
    return found


def _is_worker(command: bytes) -> bool:
    words = command.split(b"\0")
    return b"worker" in words or any(b"service.worker" in word for word in words)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def as_json(outcome: Outcome) -> dict[str, object]:
    """The outcome as the results file keeps it."""
    return asdict(outcome)
